import type { Expected } from "./entry.ts";

/** An entry of the shipped catalogue that is answered otherwise than it says, on purpose. */
export interface Exception {
  readonly id: string;
  readonly reason: string;
  /** What is expected in place of the members of the entry that it names. */
  readonly instead: Partial<Expected>;
}

export const EXCEPTIONS: readonly Exception[] = [];
