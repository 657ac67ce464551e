/** What the configurations of MCP clients call the ways to a server, and how a backend's `transport` says the same. */
const TRANSPORTS: ReadonlyMap<string, string> = new Map([
  ["stdio", "stdio"],
  ["local", "stdio"],
  ["sse", "sse"],
  ["auto", "auto"],
  ["http", "streamable-http"],
  ["remote", "streamable-http"],
  ["streamable", "streamable-http"],
  ["streamablehttp", "streamable-http"],
]);

/** The value of `transport` that somebody meant; undefined for what names no transport. Case, `_` and `-` count for nothing. */
export function transportMeantBy(word: unknown): string | undefined {
  if (typeof word !== "string") return undefined;
  return TRANSPORTS.get(word.toLowerCase().replaceAll(/[_-]/g, ""));
}
