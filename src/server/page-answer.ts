import type { ServerResponse } from "node:http";
import { RESULT_TAIL, resultHead } from "../mcp/json-rpc.ts";
import { prefersGzip } from "./accept-encoding.ts";
import { compressedPage } from "./compressed-pages.ts";
import { writeLoneAnswer } from "./lone-answer.ts";
import { readsEventsOnly } from "./media-types.ts";

/** A page of at least so many bytes is not copied to stand in one piece with what is around it. */
const LARGE_BYTES = 32_768;

/** Below this, compressing costs both ends more than the bytes that it saves. */
const MIN_COMPRESSED_BYTES = 16_384;

export interface PageContext {
  /** The id as the client wrote it. */
  readonly idJson: string;
  /** What an answer adds to the members of the page, as it stands in it. Default: nothing. */
  readonly members?: string;
}

/**
 * Ends a response with a page of a list: the prepared bytes of a result that is a JSON object with at least one member.
 * A client that reads gzip gets it compressed once it is, with the id as its last member.
 */
export function writePage(response: ServerResponse, page: Buffer, context: PageContext): void {
  const { req: request } = response;
  if (page.length < MIN_COMPRESSED_BYTES || readsEventsOnly(request)) {
    writeLoneAnswer(response, Buffer.concat(plainParts(page, context)));
    return;
  }
  const stem = prefersGzip(request.headers["accept-encoding"]) ? compressedPage(page) : undefined;
  if (stem === undefined) {
    const parts = plainParts(page, context);
    writeParts(response, page.length < LARGE_BYTES ? [Buffer.concat(parts)] : parts);
    return;
  }
  const { idJson, members } = context;
  const added = members === undefined ? "" : `,${members}`;
  const end = stem.end(Buffer.from(`${added}},"id":${idJson}}`));
  writeParts(response, [stem.bytes, end], { "content-encoding": "gzip" });
}

function plainParts(page: Buffer, { idJson, members }: PageContext): readonly Buffer[] {
  const head = resultHead(idJson);
  return members === undefined
    ? [Buffer.from(head), page, TAIL]
    : [Buffer.from(`${head}{${members},`), page.subarray(1), TAIL];
}

/** Node holds the parts together until the end of this turn: they leave in one write. */
function writeParts(
  response: ServerResponse,
  parts: readonly Buffer[],
  encoding: { readonly "content-encoding"?: string } = {},
): void {
  const vary = response.getHeader("vary");
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": parts.reduce((sum, part) => sum + part.length, 0),
    // Tells caches which of the next requests may be answered with this.
    vary: vary === undefined ? "accept-encoding" : `${String(vary)}, accept-encoding`,
    ...encoding,
  });
  for (const part of parts.slice(0, -1)) response.write(part);
  response.end(parts.at(-1));
}

const TAIL = Buffer.from(RESULT_TAIL);
