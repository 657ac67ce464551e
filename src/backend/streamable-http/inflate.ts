import { gunzip } from "node:zlib";

/** Decodes a gzip body, unless more than so many bytes come out of it. Calls back once, later. */
export function inflateWithin(
  bytes: Buffer,
  maxBytes: number,
  callback: (inflated: Buffer | "too_large" | "broken") => void,
): void {
  gunzip(bytes, { maxOutputLength: maxBytes }, (error, inflated) => {
    if (error === null) callback(inflated);
    else if ("code" in error && error.code === "ERR_BUFFER_TOO_LARGE") callback("too_large");
    else callback("broken");
  });
}
