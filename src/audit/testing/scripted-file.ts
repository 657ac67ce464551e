import type { LineFile } from "../line-file.ts";

/** A file of which the test decides how much it takes. */
export interface ScriptedFile extends LineFile {
  readonly text: string;
  /** Bytes that it still takes; then it fails with `ENOSPC`. */
  room: number;
  readonly attempts: number;
  readonly isClosed: boolean;
}

export function scriptedFile(room = Number.POSITIVE_INFINITY): ScriptedFile {
  const state = { text: "", attempts: 0, isClosed: false };
  return {
    name: "scripted.log",
    room,
    get text() {
      return state.text;
    },
    get attempts() {
      return state.attempts;
    },
    get isClosed() {
      return state.isClosed;
    },
    write(bytes) {
      state.attempts += 1;
      const taken = Math.min(bytes.length, this.room);
      if (taken === 0 && this.room === 0) {
        throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      }
      this.room -= taken;
      state.text += bytes.toString("latin1", 0, taken);
      return taken;
    },
    [Symbol.dispose]() {
      state.isClosed = true;
    },
  };
}
