import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReloadReport } from "../../app/vmcp.ts";
import { defaultMaxConnections } from "../../app/max-connections.ts";
import { planReload } from "../../config/reload-plan.ts";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import type { VmcpErrorCode } from "../../domain/errors.ts";
import { endpointUrl } from "../../domain/listen-error.ts";
import type { Logger } from "../../domain/logger.ts";
import { settledWithin } from "../../lib/settled-within.ts";
import type { LogLevel } from "../../telemetry/logger.ts";
import { Crew, type WorkerExit } from "../../workers/crew.ts";
import { Doorkeeper } from "../../workers/doorkeeper.ts";
import { MAX_CRASHES } from "../../workers/restart-delays.ts";
import { EXIT } from "../exit-codes.ts";
import type { ServeView } from "./serve-view.ts";
import type { WorkerNews, WorkerTask } from "./worker-messages.ts";
import { WorkersReload } from "./workers-reload.ts";

export interface SupervisorOptions {
  readonly config: VmcpConfig;
  readonly count: number;
  /** Of the workers' own lines; undefined has them written here. */
  readonly logLevel: LogLevel | undefined;
  readonly view: ServeView;
  readonly logger: Logger;
}

/** Why the gateway cannot go on. */
export interface SupervisorFailure {
  readonly exitCode: number;
  /** Whole lines. */
  readonly text: string;
}

const SECRET_BYTES = 32;

/** How long the workers may take to say how many sessions they have to end. */
const COUNT_MS = 500;

/** Beside this module, with its ending: sources and the build differ in it. */
const WORKER = fileURLToPath(new URL(`../worker${extname(import.meta.url)}`, import.meta.url));

/** The processes of a gateway from outside: who listens, who serves, and what becomes of both. */
export class Supervisor implements AsyncDisposable {
  /** Resolves when every worker takes connections. */
  readonly opened: Promise<true>;
  /** Resolves when every worker has probed the backends, or had its time for it. */
  readonly ready: Promise<true>;
  /** Resolves when a worker could not start at all, or ended too often. */
  readonly failed: Promise<SupervisorFailure>;
  readonly #options: SupervisorOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "vmcp-workers-"));
  readonly #doorkeeper: Doorkeeper;
  readonly #reloads: WorkersReload;
  readonly #ready = new Set<number>();
  readonly #draining = new Map<number, number>();
  #crew: Crew<WorkerTask, WorkerNews> | undefined;
  #config: VmcpConfig;
  #graceTimer: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;
  #isOpen = false;
  #sayOpened: (isOpen: true) => void = () => {};
  #sayReady: (isReady: true) => void = () => {};
  #fail: (failure: SupervisorFailure) => void = () => {};
  #sayCounted: () => void = () => {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#config = options.config;
    this.opened = new Promise((resolve) => {
      this.#sayOpened = resolve;
    });
    this.ready = new Promise((resolve) => {
      this.#sayReady = resolve;
    });
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    const { server, limits } = options.config;
    this.#doorkeeper = new Doorkeeper({
      host: server.host,
      port: server.port,
      headersTimeoutMs: limits.headersTimeoutMs,
      maxHeadBytes: limits.headerBytes,
      maxConnections: limits.maxConnections ?? defaultMaxConnections(),
      admit: (socket, firstBytes, sessionId) => {
        if (this.#crew === undefined) socket.destroy();
        else this.#crew.admit(socket, firstBytes, sessionId);
      },
    });
    this.#reloads = new WorkersReload({
      open: () => this.#crew?.open ?? [],
      tell: (task) => this.#crew?.tell(task),
    });
  }

  /** Listens, starts the workers and resolves with the endpoint's URL; rejects as the listener does. */
  async listen(): Promise<string> {
    const { host, path } = this.#config.server;
    const url = endpointUrl(host, await this.#doorkeeper.listen(), path);
    const secret = randomBytes(SECRET_BYTES).toString("base64url");
    this.#crew = new Crew<WorkerTask, WorkerNews>({
      entry: WORKER,
      place: { count: this.#options.count, url, folder: this.#folder, secret },
      task: () => ({ kind: "serve", config: this.#config, logLevel: this.#options.logLevel }),
      onNews: (index, news) => this.#heard(index, news),
      onOpen: () => this.#workerOpened(),
      onCrash: (index, exit, retryMs) => this.#crashed(index, exit, retryMs),
    });
    this.#crew.start();
    return url;
  }

  /** Takes every worker to another configuration; those that start later begin with it. Rejects as `Vmcp.reload`. */
  async reload(next: VmcpConfig): Promise<ReloadReport> {
    const report = await this.#reloads.reload(next);
    this.#config = planReload(this.#config, next).config;
    return report;
  }

  /** Has the workers put on record that a configuration was refused before it came to them. */
  reloadRefused(code: VmcpErrorCode): void {
    this.#crew?.tell({ kind: "reloadRefused", code });
  }

  /** Has the workers drain, after the grace, and resolves when they have ended. Safe to repeat. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#graceTimer);
    await this.#doorkeeper[Symbol.asyncDispose]();
    await this.stop(0);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #stop(graceMs: number): Promise<void> {
    const crew = this.#crew;
    if (crew === undefined) return;
    const counted = new Promise<void>((resolve) => {
      this.#sayCounted = resolve;
    });
    crew.tell({ kind: "stop", graceMs });
    const ended = crew.ended();
    this.#graceTimer = setTimeout(() => this.#doorkeeper.stop(), graceMs);
    await settledWithin(Promise.race([counted, ended]), COUNT_MS);
    const sessions = [...this.#draining.values()].reduce((sum, count) => sum + count, 0);
    if (this.#isOpen) this.#options.view.draining(sessions);
    await ended;
  }

  #workerOpened(): void {
    if (this.#crew?.isWhole !== true) return;
    this.#isOpen = true;
    this.#sayOpened(true);
  }

  #heard(index: number, news: WorkerNews): void {
    const { view, logger, count } = this.#options;
    switch (news.kind) {
      case "health":
        // All of them see the same backends.
        if (index === 0) view.backendChanged(news.report);
        return;
      case "ready":
        this.#ready.add(index);
        if (this.#ready.size === count) this.#sayReady(true);
        return;
      case "reloaded":
      case "notReloaded":
        this.#reloads.heard(index, news);
        return;
      case "draining":
        this.#draining.set(index, news.sessions);
        if (this.#draining.size >= (this.#crew?.open.length ?? 0)) this.#sayCounted();
        return;
      case "log":
        logger[news.level](news.message, news.fields);
        return;
      case "failed":
        // Nothing that was served is lost when the gateway cannot start, and each worker would say the same.
        if (!this.#isOpen) this.#fail(news);
        else logger.error("a worker could not start", { worker: index + 1, reason: news.text });
        return;
    }
  }

  #crashed(index: number, { code, signal }: WorkerExit, retryMs: number | undefined): void {
    this.#reloads.left(index);
    const worker = index + 1;
    const how = signal ?? `exit code ${code ?? "unknown"}`;
    this.#options.logger.error("a worker ended; its sessions are lost", {
      worker,
      how,
      ...(retryMs !== undefined && { retryMs }),
    });
    if (retryMs !== undefined) return;
    const times = `${MAX_CRASHES} times in a row`;
    this.#fail({
      exitCode: EXIT.internal,
      text: `vmcp: Worker ${worker} ended ${times} soon after its start, the last time by ${how}; the gateway stops.\n`,
    });
  }
}
