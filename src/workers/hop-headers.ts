/** Carries the secret by which a worker knows another one. */
export const SIBLING_HEADER = "vmcp-sibling";

/** About one hop only; each end of a hop says its own. */
const HOP_HEADERS: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
];

const LEFT_OUT_OF_REQUESTS: ReadonlySet<string> = new Set([
  ...HOP_HEADERS,
  "expect",
  SIBLING_HEADER,
]);

/** Besides what is left out of every request: what is said anew for a body that is sent as a whole. */
const LEFT_OUT_OF_WHOLE_REQUESTS: ReadonlySet<string> = new Set([
  ...LEFT_OUT_OF_REQUESTS,
  "host",
  "content-length",
]);

const LEFT_OUT_OF_ANSWERS: ReadonlySet<string> = new Set([...HOP_HEADERS, "transfer-encoding"]);

/**
 * What goes on of a request's headers, names and values in turn. The length of its body is told in whichever way it
 * was: without it the body would be the next request.
 */
export function toForwarded(rawHeaders: readonly string[]): readonly string[] {
  return without(LEFT_OUT_OF_REQUESTS, rawHeaders);
}

/** As `toForwarded`, with names in lower case and without what a client says itself of a body that it has as a whole. */
export function toForwardedWhole(rawHeaders: readonly string[]): string[] {
  return without(LEFT_OUT_OF_WHOLE_REQUESTS, rawHeaders, true);
}

/** What goes on of an answer's headers, names and values in turn. */
export function toRelayed(headers: readonly string[]): string[] {
  return without(LEFT_OUT_OF_ANSWERS, headers);
}

function without(
  names: ReadonlySet<string>,
  headers: readonly string[],
  isLowered = false,
): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const lower = name.toLowerCase();
    if (!names.has(lower)) kept.push(isLowered ? lower : name, headers[index + 1] ?? "");
  }
  return kept;
}
