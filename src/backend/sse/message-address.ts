import type { VmcpError } from "../../domain/errors.ts";
import { backendError } from "../node-errors.ts";

/** Longer than any address in use, and short enough for the first line of a request. */
const MAX_ADDRESS_CHARS = 8_192;

/**
 * Where messages go (2024-11-05, "HTTP with SSE"): the path and query that the `endpoint` event names,
 * relative to the URL of the stream.
 *
 * Throws `backend_protocol` for what is no address on the stream's own origin: configured headers hold
 * credentials, and a backend must not be able to send them, or any message, elsewhere.
 */
export function toMessagePath(backend: string, streamUrl: URL, data: Buffer): string {
  const text = data.toString().trim();
  if (text === "" || text.length > MAX_ADDRESS_CHARS || !URL.canParse(text, streamUrl.href)) {
    throw refused(backend, "named no usable address for messages");
  }
  const url = new URL(text, streamUrl);
  if (url.origin !== streamUrl.origin || url.username !== "" || url.password !== "") {
    throw refused(backend, "named an address for messages that is not on its own origin");
  }
  return `${url.pathname}${url.search}`;
}

function refused(backend: string, sentence: string): VmcpError {
  return backendError(backend, "backend_protocol", sentence, { executionState: "not_executed" });
}
