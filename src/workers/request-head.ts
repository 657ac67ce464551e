/** Where clients of HTTP+SSE, which send no header of it, name their session. */
const SESSION_QUERY = /[?&]sessionId=(?<id>[^&#\s]*)/;

const SESSION_HEADER = /\r\nmcp-session-id:(?<id>[^\r\n]*)\r\n/i;

/** How every request begins, as far as it is there. */
const BEGINNING = /^[A-Z]{1,16}(?: |$)/;

const HEAD_END = "\r\n\r\n";

/** What the first bytes of a connection say about where it belongs. */
export type FirstLook =
  | { readonly kind: "undecided" }
  /** `sessionId` is what the first request names, whatever it is; undefined where it names none. */
  | { readonly kind: "decided"; readonly sessionId: string | undefined };

/**
 * Looks at the beginning of the first request of a connection for the session that it names. Undecided as long as
 * more bytes can tell more; bytes that are no request are decided, because somebody has to refuse them.
 */
export function lookAtHead(bytes: Buffer): FirstLook {
  const text = bytes.toString("latin1");
  const end = text.indexOf(HEAD_END);
  const head = end === -1 ? text : text.slice(0, end + 2);
  const sessionId = SESSION_HEADER.exec(head)?.groups?.["id"]?.trim();
  if (sessionId !== undefined) return { kind: "decided", sessionId };
  if (end !== -1) return { kind: "decided", sessionId: sessionIdOfTarget(head) };
  return BEGINNING.test(text) ? { kind: "undecided" } : { kind: "decided", sessionId: undefined };
}

/** The session that a request line, or a target alone, names in its query. */
export function sessionIdOfTarget(text: string): string | undefined {
  const lineEnd = text.indexOf("\r\n");
  const line = lineEnd === -1 ? text : text.slice(0, lineEnd);
  return SESSION_QUERY.exec(line)?.groups?.["id"];
}
