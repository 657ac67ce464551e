import { createHash } from "node:crypto";

/** Most clients ask once and never for a second page, so that pages are large. */
const DEFAULT_PAGE_ITEMS = 1_000;

/** One list as its pages, each a whole result as JSON bytes that are never written to. */
export interface ListPages {
  readonly first: Buffer;
  /** Equal for lists of equal content. */
  readonly hash: string;
  /** The page that a cursor stands for; undefined if no page of this list ever gave it out. */
  at(cursor: string): Buffer | undefined;
}

/**
 * Prepares the results of a list method. A cursor says nothing to anyone but us, and is good for this very
 * list only: after a change an old cursor is unknown, and the client starts again.
 *
 * Source: MCP server utilities, "Pagination".
 */
export function toListPages(
  member: string,
  itemJsons: readonly string[],
  pageItems: number = DEFAULT_PAGE_ITEMS,
): ListPages {
  const count = Math.max(1, Math.ceil(itemJsons.length / pageItems));
  const hash = hashOf(member, itemJsons);
  if (count === 1) return { first: page(member, itemJsons), hash, at: () => undefined };
  const listId = hash.slice(0, 16);
  const pages = Array.from({ length: count }, (_value, index) =>
    page(
      member,
      itemJsons.slice(index * pageItems, (index + 1) * pageItems),
      index + 1 < count ? cursorOf(listId, index + 1) : undefined,
    ),
  );
  const byCursor = new Map(pages.map((bytes, index) => [cursorOf(listId, index), bytes]));
  const [first = page(member, [])] = pages;
  return { first, hash, at: (cursor) => byCursor.get(cursor) };
}

function hashOf(member: string, itemJsons: readonly string[]): string {
  const hash = createHash("sha256").update(member);
  // No JSON text holds a bare line break, so that no two lists give one text.
  for (const json of itemJsons) hash.update("\n").update(json);
  return hash.digest("base64url");
}

function cursorOf(listId: string, index: number): string {
  return Buffer.from(`${listId}:${index}`).toString("base64url");
}

function page(member: string, itemJsons: readonly string[], nextCursor?: string): Buffer {
  const next = nextCursor === undefined ? "" : `,"nextCursor":"${nextCursor}"`;
  return Buffer.from(`{"${member}":[${itemJsons.join(",")}]${next}}`);
}
