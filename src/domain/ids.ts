import { randomUUID } from "node:crypto";
import { VmcpError } from "./errors.ts";

declare const kind: unique symbol;

/** A string that was checked once and can no longer be mistaken for another kind of id. */
type Id<Kind extends string> = string & { readonly [kind]: Kind };

/** Names one client's session. Minted by the gateway; never a backend's own session id. */
export type SessionId = Id<"SessionId">;

/** The configured alias of one backend, as clients see it in names and errors. */
export type BackendName = Id<"BackendName">;

const BACKEND_NAME = /^[A-Za-z0-9_-]{1,48}$/;

/** Visible ASCII, as the streamable HTTP transport demands of session ids (section "Session Management"). */
const SESSION_ID = /^[\x21-\x7e]+$/;

/** Makes an unguessable session id: a version 4 UUID, 122 random bits. */
export function mintSessionId(): SessionId {
  // The one door through which new session ids are made.
  return randomUUID() as string as SessionId;
}

/** Accepts any non-empty string of visible ASCII; throws `invalid_argument` otherwise. */
export function parseSessionId(text: string): SessionId {
  if (text === "") throw new VmcpError("invalid_argument", "session ID must not be empty");
  if (!SESSION_ID.test(text)) {
    throw new VmcpError(
      "invalid_argument",
      "session ID must consist of visible ASCII characters (0x21 to 0x7E)",
    );
  }
  // Checked on the lines above.
  return text as SessionId;
}

export function isBackendName(text: string): text is BackendName {
  return BACKEND_NAME.test(text);
}

/** Throws `invalid_config` naming the text and the rule. */
export function parseBackendName(text: string): BackendName {
  if (!isBackendName(text)) {
    throw new VmcpError(
      "invalid_config",
      `"${text}" is not a backend name: use 1 to 48 of A-Z, a-z, 0-9, _ and -`,
    );
  }
  return text;
}
