import type { IncomingMessage } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import { clip, type InboundRequest } from "../../mcp/inbound-message.ts";
import { STATELESS_REVISION } from "../../mcp/revisions.ts";
import { decodeHeaderValue } from "./header-value.ts";

/** The methods whose requests say in `Mcp-Name` what they are about, and the member of their params that says it too. */
const NAME_MEMBER: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);

/** What a request is about: a name, a URI or the id of a task; undefined where it has none. */
export function subjectOf({ method, params }: InboundRequest): string | undefined {
  const member = NAME_MEMBER.get(method);
  const subject = member === undefined ? undefined : params?.[member];
  return typeof subject === "string" ? subject : undefined;
}

/**
 * Holds the headers of a request against its body, which alone decides what is done. Throws `header_mismatch` for
 * one that is missing, malformed or says something else, and `unsupported_revision`.
 *
 * Source: MCP 2026-07-28, Streamable HTTP, "Server Validation".
 */
export function checkStandardHeaders(
  { headers }: IncomingMessage,
  request: InboundRequest,
  revision: string,
): void {
  const version = headers["mcp-protocol-version"];
  const method = headers["mcp-method"];
  if (version !== undefined) requireEqual("MCP-Protocol-Version", version, revision);
  if (method !== undefined) requireEqual("Mcp-Method", method, request.method);
  if (revision !== STATELESS_REVISION) throw unsupported(revision);
  if (version === undefined) throw missing("MCP-Protocol-Version", revision);
  if (method === undefined) throw missing("Mcp-Method", request.method);
  const subject = subjectOf(request);
  if (subject !== undefined) checkName(headers["mcp-name"], subject);
}

function checkName(value: string | readonly string[] | undefined, subject: string): void {
  if (typeof value !== "string") throw missing("Mcp-Name", subject);
  const name = decodeHeaderValue(value);
  if (name === undefined) {
    throw new VmcpError(
      "header_mismatch",
      "The Mcp-Name header must be visible ASCII, or UTF-8 in Base64 as =?base64?…?=",
    );
  }
  requireEqual("Mcp-Name", name, subject);
}

function requireEqual(
  name: string,
  value: string | readonly string[] | undefined,
  expected: string,
): void {
  if (value === expected) return;
  throw new VmcpError(
    "header_mismatch",
    `The ${name} header must say the same as the body: "${clip(expected)}"`,
  );
}

function missing(name: string, expected: string): VmcpError {
  return new VmcpError(
    "header_mismatch",
    `The ${name} header is missing; the body asks for "${clip(expected)}"`,
  );
}

function unsupported(requested: string): VmcpError {
  return new VmcpError(
    "unsupported_revision",
    `The revision "${clip(requested)}" is not spoken without a session; use ${STATELESS_REVISION}`,
    { data: { supported: [STATELESS_REVISION], requested: clip(requested) } },
  );
}
