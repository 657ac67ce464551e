import type { ReloadReport, Vmcp } from "../../app/vmcp.ts";
import { ConfigError } from "../../config/problems.ts";
import { messageOf, VmcpError, type VmcpErrorCode } from "../../domain/errors.ts";
import type { Logger } from "../../domain/logger.ts";
import { CliError } from "../cli-error.ts";
import { configNotes } from "../config-notes.ts";
import { describeProblems } from "../config-problems.ts";
import type { UsedConfig } from "../config-source.ts";
import type { ServeView } from "../serve/serve-view.ts";

export interface ReloaderOptions {
  readonly vmcp: Pick<Vmcp, "reload" | "reloadRefused">;
  /** Reads the configuration anew. Throws what is wrong with it. */
  readonly load: () => UsedConfig;
  readonly view: Pick<ServeView, "reloaded" | "reloadRefused">;
  readonly logger: Logger;
}

/** Takes the gateway over to what its configuration says now, and tells what came of it. */
export class Reloader {
  readonly #options: ReloaderOptions;
  #lastTold: string | undefined;
  #wasRefused = false;

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  /** `isAsked`: a person wants to hear of it also where nothing changed. Never rejects. */
  async reload({ isAsked }: { readonly isAsked: boolean }): Promise<void> {
    const { vmcp } = this.#options;
    const used = this.#load();
    if (used === undefined) return;
    try {
      this.#tell(await vmcp.reload(used), used, isAsked);
    } catch (error) {
      if (error instanceof VmcpError && error.code === "shutting_down") return;
      this.#refused(error);
    }
  }

  /** Undefined where it must not be used, which is said then. */
  #load(): UsedConfig | undefined {
    const { load, vmcp } = this.#options;
    try {
      return load();
    } catch (error) {
      vmcp.reloadRefused(codeOf(error));
      this.#refused(error);
      return undefined;
    }
  }

  #refused(error: unknown): void {
    this.#wasRefused = true;
    const reasons = reasonsOf(error);
    this.#options.view.reloadRefused(reasons);
    this.#options.logger.warn("the configuration was not reloaded; the one before stays in force", {
      problems: reasons.length,
    });
  }

  #tell(report: ReloadReport, used: UsedConfig, isAsked: boolean): void {
    const { view, logger } = this.#options;
    const { generation, changes, sessions } = report;
    const said = JSON.stringify([generation, changes]);
    // What needs a restart is found again by every reload until there was one.
    const isNews = changes.length > 0 && said !== this.#lastTold;
    // Who was told that the configuration is wrong wants to hear that it is right again.
    const isAwaited = isAsked || this.#wasRefused;
    this.#lastTold = said;
    this.#wasRefused = false;
    if (!isNews && !isAwaited) {
      logger.debug("the configuration was looked at and is the same");
      return;
    }
    const backends = used.config.backends.map(({ name, transport }) => ({ name, transport }));
    view.reloaded({ ...report, backends, notes: configNotes(used) });
    logger.info("configuration reloaded", { generation, changes: changes.length, sessions });
  }
}

function codeOf(error: unknown): VmcpErrorCode {
  const isOfFile = error instanceof ConfigError || error instanceof CliError;
  return isOfFile ? "invalid_config" : VmcpError.from(error).code;
}

function reasonsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return describeProblems(error.problems);
  if (error instanceof CliError || error instanceof VmcpError) return [error.message];
  return [`A fault of vmcp itself: ${messageOf(error)}`];
}
