/** What a worker is told at its start about its place among the others. */
export interface WorkerPlace {
  /** From 0. */
  readonly index: number;
  /** How many workers there are. */
  readonly count: number;
  /** The endpoint, as clients know it. */
  readonly url: string;
  /** A folder that only this user can enter, with one socket per worker. */
  readonly folder: string;
  /** What a worker shows another one to be believed. */
  readonly secret: string;
}

/**
 * From the supervisor. `Task` is what a worker is to do; what it and `News` are is no business of this folder.
 * All of it travels by structured clone.
 */
export type ToWorker<Task> =
  | { readonly kind: "place"; readonly place: WorkerPlace; readonly task: Task }
  | { readonly kind: "connection"; readonly firstBytes: Uint8Array }
  | { readonly kind: "task"; readonly task: Task };

/** From a worker. */
export type FromWorker<News> =
  /** Asks for its place: whatever is sent before would be lost. */
  | { readonly kind: "hello" }
  /** It takes connections. */
  | { readonly kind: "open" }
  /** It has the connection that was sent first of those that it has not taken yet. */
  | { readonly kind: "taken" }
  | { readonly kind: "news"; readonly news: News };

/** The socket at which the others reach a worker. */
export function siblingPath({ folder }: Pick<WorkerPlace, "folder">, index: number): string {
  return process.platform === "win32"
    ? `\\\\.\\pipe\\${folder.replaceAll(/[^A-Za-z0-9]/g, "-")}-${index}`
    : `${folder}/${index}.sock`;
}
