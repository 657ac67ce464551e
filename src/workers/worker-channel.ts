import { once } from "node:events";
import { Socket } from "node:net";
import process from "node:process";
import type { FromWorker, ToWorker, WorkerPlace } from "./messages.ts";

export interface ChannelListeners<Task> {
  readonly onTask: (task: Task) => void;
  readonly onConnection: (socket: Socket, firstBytes: Uint8Array) => void;
}

/** A worker's end of the channel to its supervisor. */
export class WorkerChannel<Task, News> implements Disposable {
  readonly place: WorkerPlace;
  /** What the worker is started for. */
  readonly task: Task;
  readonly #onLost: () => void;

  private constructor(place: WorkerPlace, task: Task, onLost: () => void) {
    this.place = place;
    this.task = task;
    this.#onLost = onLost;
  }

  /**
   * Asks for the place of this process; resolves when it is told. `onLost` is called when the supervisor has ended,
   * unless the channel was disposed before.
   */
  static async open<Task, News>(
    onLost: (place: WorkerPlace | undefined) => void,
  ): Promise<WorkerChannel<Task, News>> {
    let place: WorkerPlace | undefined;
    const lost = (): void => onLost(place);
    process.on("disconnect", lost);
    const told = once(process, "message");
    tell<News>({ kind: "hello" });
    // Both ends are this program, of one version.
    const [message] = (await told) as [ToWorker<Task>];
    if (message.kind !== "place") throw new Error("a worker was told something before its place");
    place = message.place;
    return new WorkerChannel(place, message.task, lost);
  }

  /** To be called once. Nothing is heard before. */
  listen({ onTask, onConnection }: ChannelListeners<Task>): void {
    process.on("message", (received, handle) => {
      // Both ends are this program, of one version.
      const message = received as ToWorker<Task>;
      if (message.kind === "task") onTask(message.task);
      if (message.kind !== "connection") return;
      tell<News>({ kind: "taken" });
      // A connection that broke on its way comes as a message alone.
      if (handle instanceof Socket) onConnection(handle, message.firstBytes);
    });
  }

  /** Says that connections may be sent. */
  announceOpen(): void {
    tell<News>({ kind: "open" });
  }

  tell(news: News): void {
    tell({ kind: "news", news });
  }

  /** Lets go of the supervisor, so that this process can end. */
  [Symbol.dispose](): void {
    process.removeListener("disconnect", this.#onLost);
    if (process.connected) process.disconnect();
  }
}

/** A supervisor that is gone hears nothing; that it has ended is told elsewhere. */
function tell<News>(message: FromWorker<News>): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
