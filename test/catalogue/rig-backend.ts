import type { JsonObject } from "../../src/domain/json.ts";

/** A backend of the rig, whatever carries its messages. */
export interface RigBackend extends AsyncDisposable {
  /** Its entry in `backends`. */
  readonly configuration: JsonObject;
  /** What it executed, in order: the nonce of each call, or what else the request was about. */
  executions(): readonly string[];
  /** Requests that it was told to give up, by a message or by the end of their connection. */
  cancellations(): number;
  /** Its sessions with anybody. */
  openSessions(): number;
  /** Everything it was sent, head and body. */
  received(): string;
  /** The names of all headers that it was ever sent. */
  headerNames(): ReadonlySet<string>;
  /** What is true only from the tested request on becomes true. */
  arm(): Promise<void>;
}
