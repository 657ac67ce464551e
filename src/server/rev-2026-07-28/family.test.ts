import { classifyInboundRequest } from "@modelcontextprotocol/server";
import { assert, constantFrom, option, property, record } from "fast-check";
import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { VmcpError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundMessage,
} from "../../mcp/inbound-message.ts";
import { wireCodeOf } from "../../mcp/wire-errors.ts";
import { readEnvelope } from "./envelope.ts";
import { isStateless } from "./family.ts";
import { checkStandardHeaders } from "./standard-headers.ts";

const VERSION = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const REVISIONS = ["2025-11-25", "2026-07-28", "2099-01-01"];

interface Sent {
  readonly version: string | undefined;
  readonly mcpMethod: string | undefined;
  readonly method: string;
  readonly hasId: boolean;
  readonly meta: JsonObject | undefined;
}

function http({ version, mcpMethod }: Sent): IncomingMessage {
  const headers = { "mcp-protocol-version": version, "mcp-method": mcpMethod };
  // Only these are looked at.
  return { headers } as unknown as IncomingMessage;
}

function bodyOf({ method, hasId, meta }: Sent): JsonObject {
  const params = meta === undefined ? {} : { params: { _meta: meta } };
  return { jsonrpc: "2.0", ...(hasId && { id: 1 }), method, ...params };
}

function parse(body: JsonObject): InboundMessage {
  return parseInbound(Buffer.from(JSON.stringify(body)), DEFAULT_MESSAGE_LIMITS);
}

/** The code that a request is refused with for what it says of itself; undefined where it is not. */
function refusalOf(request: IncomingMessage, message: InboundMessage): number | undefined {
  if (message.kind !== "request") return undefined;
  try {
    checkStandardHeaders(request, message, readEnvelope(message.params).revision);
    return undefined;
  } catch (error) {
    return wireCodeOf(VmcpError.from(error).code);
  }
}

const sent = record<Sent>({
  version: option(constantFrom(...REVISIONS), { nil: undefined }),
  mcpMethod: constantFrom(undefined, "tools/list", "other"),
  method: constantFrom("tools/list", "initialize"),
  hasId: constantFrom(true, false),
  meta: option(
    record(
      {
        [VERSION]: constantFrom(...REVISIONS),
        [CAPABILITIES]: constantFrom({}, { roots: {} }),
        other: constantFrom(1),
      },
      { requiredKeys: [] },
    ),
    { nil: undefined },
  ),
});

test("what is told from sessions, and refused, is what the official SDK tells from them and refuses", () => {
  const always = property(sent, (each) => {
    const body = bodyOf(each);
    const official = classifyInboundRequest({
      httpMethod: "POST",
      body,
      ...(each.version !== undefined && { protocolVersionHeader: each.version }),
      ...(each.mcpMethod !== undefined && { mcpMethodHeader: each.mcpMethod }),
    });
    const message = parse(body);

    const isOurs = isStateless(http(each), message);
    const code = isOurs ? refusalOf(http(each), message) : undefined;

    // An initialize that is not whole is a matter of taste: it opens a session here, or is refused.
    if (each.method === "initialize" || !each.hasId) return;
    const isRefused = official.kind === "reject";
    expect([isOurs, isRefused ? code : undefined]).toEqual([
      official.kind !== "legacy",
      isRefused ? official.code : undefined,
    ]);
  });
  assert(always, { numRuns: 500 });
});

test.for<[string, Partial<Sent>, boolean]>([
  ["a request that says nothing", {}, false],
  ["a header of sessions", { version: "2025-11-25" }, false],
  ["a header of this revision", { version: "2026-07-28" }, true],
  ["a header of a later revision", { version: "2099-01-01" }, true],
  ["a header that is no date", { version: "banana" }, false],
  ["a header that is later than any date", { version: "v999" }, false],
  ["a body that names the revision", { meta: { [VERSION]: "2026-07-28" } }, true],
  ["a body that names another one", { meta: { [VERSION]: "2025-11-25" } }, true],
  ["a body that names none", { meta: { [CAPABILITIES]: {} } }, false],
  ["a notification under such a header", { version: "2026-07-28", hasId: false }, true],
  ["an initialize under such a header", { version: "2026-07-28", method: "initialize" }, false],
  [
    "an initialize that names the revision",
    { method: "initialize", meta: { [VERSION]: "2026-07-28" } },
    true,
  ],
])("%s is for this revision: %s", ([, given, expected]) => {
  const each: Sent = {
    version: undefined,
    mcpMethod: undefined,
    method: "tools/list",
    hasId: true,
    meta: undefined,
    ...given,
  };

  expect(isStateless(http(each), parse(bodyOf(each)))).toBe(expected);
});

test.for(["[]", "{", '{"jsonrpc":"2.0","id":1,"result":{}}', "{}"])(
  "%s is told by its header alone",
  (text) => {
    const message = parseInbound(Buffer.from(text), DEFAULT_MESSAGE_LIMITS);
    const base = { mcpMethod: undefined, method: "", hasId: false, meta: undefined };

    const verdicts = ["2026-07-28", "2025-11-25"].map((version) =>
      isStateless(http({ ...base, version }), message),
    );

    expect(verdicts).toEqual([true, false]);
  },
);
