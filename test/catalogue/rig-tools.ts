import type { LedgerScript } from "../support/ledger-script.ts";

/** The result of every call that succeeds. It has characters of more than one byte, which may be cut anywhere. */
export const RESULT =
  '{"content":[{"type":"text","text":"done — ünïcödé ✓ 𝄞"}],"structuredContent":{"n":1}}';

/** What the backends of the rig offer; `ask` puts a question to the client and `slow` ones take their time. */
const TOOL_NAMES = [
  "echo",
  "slow",
  "slow10s",
  "ask",
  "delete",
  "hidden",
  "admin",
  "sql",
  "p",
  "evil",
  "charge",
];

/** All of them but the one that nobody may see. */
export const VISIBLE_TOOLS = TOOL_NAMES.filter((name) => name !== "hidden");

const INPUT_SCHEMA = {
  type: "object",
  properties: { nonce: { type: "string" }, region: { type: "string" }, path: { type: "string" } },
};

/** The same, with an argument that stateless clients repeat in a header. */
const MIRRORING_SCHEMA = {
  type: "object",
  properties: {
    ...INPUT_SCHEMA.properties,
    region: { type: "string", "x-mcp-header": "Region" },
  },
};

const OUTPUT_SCHEMA = { type: "object", properties: { n: { type: "number" } } };

/** Templates whose expressions cost a careless matcher time that grows without bound. */
const TEMPLATES = [
  '{"name":"data","uriTemplate":"file:///data/{name}"}',
  '{"name":"list","uriTemplate":"res://x/{items*}"}',
];

/** The script of the first backend. */
export function firstBackend(): Partial<LedgerScript> {
  return { ...toolsOf("b1"), resourceTemplates: TEMPLATES };
}

/** The script of a backend besides: with a resource of its own, so that a URI of nobody has no likely owner. */
export function furtherBackend(name: string): Partial<LedgerScript> {
  return { ...toolsOf(name), resources: [`{"name":"own","uri":"res://${name}/own"}`] };
}

/** The script of a backend whose one tool asks the client something, under the name that entries call it by. */
export function askingBackend(name: string): Partial<LedgerScript> {
  return { ...toolsOf(name), tools: [toolEntry("ask")] };
}

/** One entry of `tools/list`. */
export function toolEntry(name: string, more: object = {}): string {
  return JSON.stringify({ name, inputSchema: INPUT_SCHEMA, outputSchema: OUTPUT_SCHEMA, ...more });
}

function toolsOf(name: string): Partial<LedgerScript> {
  return {
    name,
    hasBuiltInTools: false,
    tools: TOOL_NAMES.map((tool) =>
      toolEntry(tool, tool === "sql" ? { inputSchema: MIRRORING_SCHEMA } : {}),
    ),
    results: new Map(TOOL_NAMES.map((tool) => [tool, RESULT])),
  };
}
