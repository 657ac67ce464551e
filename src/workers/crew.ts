import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import type { FromWorker, ToWorker, WorkerPlace } from "./messages.ts";
import { ownerOf } from "./owned-session-id.ts";
import { RestartDelays } from "./restart-delays.ts";

/** How a worker ended: one of the two is set. */
export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface CrewOptions<Task, News> {
  /** The module that a worker runs. */
  readonly entry: string;
  readonly place: Omit<WorkerPlace, "index">;
  /** What a worker that starts now is to do. */
  readonly task: () => Task;
  readonly onNews: (index: number, news: News) => void;
  /** Called when a worker takes connections, the first time and after each restart. */
  readonly onOpen: (index: number) => void;
  /** Called when a worker has ended unasked. `retryMs` is undefined where it will not be started again. */
  readonly onCrash: (index: number, exit: WorkerExit, retryMs: number | undefined) => void;
}

interface Worker {
  readonly delays: RestartDelays;
  child: ChildProcess | undefined;
  isOpen: boolean;
  /** Connections that were sent and not taken yet, oldest first. Ours stay open till then, lest they are lost. */
  readonly leaving: Socket[];
  timer: NodeJS.Timeout | undefined;
}

interface WaitingConnection {
  readonly socket: Socket;
  readonly firstBytes: Buffer;
  readonly owner: number | undefined;
}

/**
 * The workers of one gateway as their supervisor sees them: starts each again when it ends, and gives every
 * connection to the worker that owns its session, or to one after the other.
 */
export class Crew<Task, News> {
  readonly #options: CrewOptions<Task, News>;
  readonly #workers: readonly Worker[];
  /** Connections that came while no worker was open; whoever accepts them bounds them. */
  #waiting: WaitingConnection[] = [];
  #next = 0;
  #isStopping = false;
  #allEnded: () => void = () => {};

  constructor(options: CrewOptions<Task, News>) {
    this.#options = options;
    this.#workers = Array.from({ length: options.place.count }, () => ({
      delays: new RestartDelays({ now: () => performance.now() }),
      child: undefined,
      isOpen: false,
      leaving: [],
      timer: undefined,
    }));
  }

  start(): void {
    for (const index of this.#workers.keys()) this.#start(index);
  }

  /** Whether every worker takes connections. */
  get isWhole(): boolean {
    return this.#workers.every(({ isOpen }) => isOpen);
  }

  /** Indexes of the workers that take connections. */
  get open(): readonly number[] {
    return [...this.#workers.keys()].filter((index) => this.#workers[index]?.isOpen === true);
  }

  /** Gives a paused connection away. It waits where no worker is open, and is closed where none will be. */
  admit(socket: Socket, firstBytes: Buffer, sessionId: string | undefined): void {
    const owner = sessionId === undefined ? undefined : ownerOf(sessionId, this.#workers.length);
    this.#give({ socket, firstBytes, owner });
  }

  /** To every worker that has its place. */
  tell(task: Task): void {
    for (const { child, isOpen } of this.#workers) if (isOpen) send(child, { kind: "task", task });
  }

  /** Starts no worker again, and resolves when the last one has ended. */
  async ended(): Promise<void> {
    this.#isStopping = true;
    for (const worker of this.#workers) clearTimeout(worker.timer);
    for (const { socket } of this.#waiting.splice(0)) socket.destroy();
    // One that has not begun to serve has nothing to bring to an end.
    for (const { child, isOpen } of this.#workers) if (!isOpen) child?.kill("SIGKILL");
    if (this.#workers.every(({ child }) => child === undefined)) return;
    await new Promise<void>((resolve) => {
      this.#allEnded = resolve;
    });
  }

  #start(index: number): void {
    const worker = this.#workers[index];
    if (worker === undefined || this.#isStopping) return;
    worker.delays.started();
    const child = fork(this.#options.entry, [], {
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    worker.child = child;
    child.on("message", (message) => {
      // Both ends are this program, of one version.
      this.#heard(index, child, message as FromWorker<News>);
    });
    // A process that cannot be started ends with this and nothing else.
    child.on("error", () => {
      if (child.pid === undefined) this.#ended(index, { code: null, signal: null });
    });
    child.on("exit", (code, signal) => this.#ended(index, { code, signal }));
  }

  #heard(index: number, child: ChildProcess, message: FromWorker<News>): void {
    // What a process said last can come after its end is known.
    if (this.#workers[index]?.child !== child) return;
    const { place, task, onNews, onOpen } = this.#options;
    switch (message.kind) {
      case "hello":
        send(child, { kind: "place", place: { ...place, index }, task: task() });
        return;
      case "open": {
        const worker = this.#workers[index];
        if (worker !== undefined) worker.isOpen = true;
        onOpen(index);
        for (const connection of this.#waiting.splice(0)) this.#give(connection);
        return;
      }
      case "taken":
        // The worker has a descriptor of its own; only ours is closed.
        this.#workers[index]?.leaving.shift()?.destroy();
        return;
      case "news":
        onNews(index, message.news);
        return;
    }
  }

  #ended(index: number, exit: WorkerExit): void {
    const worker = this.#workers[index];
    if (worker?.child === undefined) return;
    worker.child = undefined;
    worker.isOpen = false;
    // Whether it has begun with one of them is not known, so nobody else may.
    for (const socket of worker.leaving.splice(0)) socket.destroy();
    if (this.#isStopping) {
      if (this.#workers.every(({ child }) => child === undefined)) this.#allEnded();
      return;
    }
    const retryMs = worker.delays.crashed();
    if (retryMs !== undefined) worker.timer = setTimeout(() => this.#start(index), retryMs);
    this.#options.onCrash(index, exit, retryMs);
  }

  #give(connection: WaitingConnection): void {
    const { socket, firstBytes, owner } = connection;
    if (socket.destroyed) return;
    const worker = this.#openWorker(owner) ?? this.#nextWorker();
    if (worker !== undefined) {
      worker.leaving.push(socket);
      send(worker.child, { kind: "connection", firstBytes }, socket);
    } else if (this.#isStopping) socket.destroy();
    else this.#waiting.push(connection);
  }

  #openWorker(index: number | undefined): Worker | undefined {
    const worker = index === undefined ? undefined : this.#workers[index];
    return worker?.isOpen === true ? worker : undefined;
  }

  #nextWorker(): Worker | undefined {
    for (let step = 0; step < this.#workers.length; step += 1) {
      const worker = this.#openWorker(this.#next);
      this.#next = (this.#next + 1) % this.#workers.length;
      if (worker !== undefined) return worker;
    }
    return undefined;
  }
}

/** A worker that is gone hears nothing; that it ended is told elsewhere. */
function send<Task>(
  child: ChildProcess | undefined,
  message: ToWorker<Task>,
  socket?: Socket,
): void {
  if (child?.connected !== true) return;
  child.send(message, socket, { keepOpen: true }, () => {});
}
