import type { ReloadReport } from "../../app/vmcp.ts";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import { VmcpError } from "../../domain/errors.ts";
import type { WorkerNews, WorkerTask } from "./worker-messages.ts";

export interface WorkersReloadOptions {
  /** Indexes of the workers that will answer. */
  readonly open: () => readonly number[];
  readonly tell: (task: WorkerTask) => void;
}

interface Pending {
  readonly number: number;
  readonly waiting: Set<number>;
  readonly reports: Map<number, ReloadReport>;
  readonly resolve: (report: ReloadReport) => void;
  readonly reject: (error: VmcpError) => void;
}

/** Takes all workers over to another configuration, and adds up what they report. One reload after the other. */
export class WorkersReload {
  readonly #options: WorkersReloadOptions;
  #number = 0;
  #pending: Pending | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: WorkersReloadOptions) {
    this.#options = options;
  }

  /** Resolves when every worker has answered or ended. Rejects with what one of them refused it with. */
  async reload(config: VmcpConfig): Promise<ReloadReport> {
    const turn = this.#reloadAfter(this.#turn, config);
    this.#turn = turn;
    return turn;
  }

  heard(index: number, news: Extract<WorkerNews, { kind: "reloaded" | "notReloaded" }>): void {
    const pending = this.#pending;
    if (pending?.number !== news.number) return;
    if (news.kind === "notReloaded") {
      this.#pending = undefined;
      pending.reject(new VmcpError(news.code, news.message));
      return;
    }
    pending.reports.set(index, news.report);
    this.left(index);
  }

  /** A worker that has ended answers no more. */
  left(index: number): void {
    this.#pending?.waiting.delete(index);
    this.#settleWhenComplete();
  }

  async #reloadAfter(before: Promise<unknown>, config: VmcpConfig): Promise<ReloadReport> {
    await Promise.allSettled([before]);
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve, reject) => {
      const waiting = new Set(this.#options.open());
      this.#pending = { number, waiting, reports: new Map(), resolve, reject };
      this.#options.tell({ kind: "reload", number, config });
      this.#settleWhenComplete();
    });
  }

  #settleWhenComplete(): void {
    const pending = this.#pending;
    if (pending === undefined || pending.waiting.size > 0) return;
    this.#pending = undefined;
    const reports = [...pending.reports].toSorted(([left], [right]) => left - right);
    const [first] = reports;
    if (first === undefined) {
      pending.reject(new VmcpError("shutting_down", "No worker is left to reload"));
      return;
    }
    const sessions = reports.reduce((sum, [, report]) => sum + report.sessions, 0);
    pending.resolve({ ...first[1], sessions });
  }
}
