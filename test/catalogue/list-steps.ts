import type { ServerResponse } from "node:http";
import { z } from "zod";
import type { JsonObject } from "../../src/domain/json.ts";
import type { LedgerScript } from "../support/ledger-script.ts";
import type { Behaviour } from "./entry.ts";
import { writeOrWait } from "./http-steps.ts";
import { toolEntry } from "./rig-tools.ts";

type Do = Readonly<Record<string, unknown>>;
type Change = (value: unknown, script: Partial<LedgerScript>) => Partial<LedgerScript>;

/** Steps that change what the backend lists or says of itself, and how. */
const CHANGES: ReadonlyMap<string, Change> = new Map<string, Change>([
  ["initVersion", (revision) => ({ revision: String(revision) })],
  ["schema", (inputSchema, script) => changeEcho(script, { inputSchema })],
  ["description", (description, script) => changeEcho(script, { description })],
  // The advertised name of another backend's tool, as this backend's own.
  ["shadow", (name, script) => addTools(script, [toolEntry(String(name))])],
  ["xMcpHeader", (names, script) => addTools(script, [headerTool(names)])],
]);

/** What the steps of a behaviour make of a backend's script. */
export function scriptOf(
  behaviour: Behaviour | undefined,
  script: Partial<LedgerScript>,
): Partial<LedgerScript> {
  let changed = script;
  for (const step of behaviour?.do ?? []) {
    for (const [name, value] of Object.entries(step))
      changed = { ...changed, ...CHANGES.get(name)?.(value, changed) };
  }
  return changed;
}

/** Answers a listing that no script could hold. False where the behaviour has nothing of the kind. */
export function listAnswer(
  behaviour: Behaviour | undefined,
  { id }: JsonObject,
  response: ServerResponse,
): boolean {
  const step = behaviour?.do.find((given) => "pages" in given || "tools" in given);
  if (step === undefined) return false;
  const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":`;
  response.writeHead(200, { "content-type": "application/json" });
  if ("pages" in step) {
    const pages = z.strictObject({ pages: z.literal("same-cursor") });
    pages.parse(step);
    response.end(`${head}{"tools":[${toolEntry("echo")}],"nextCursor":"again"}}`);
  } else {
    void writeTools(head, step, response);
  }
  return true;
}

async function writeTools(head: string, step: Do, response: ServerResponse): Promise<void> {
  const { tools, bytesEach } = z.strictObject({ tools: z.int(), bytesEach: z.int() }).parse(step);
  const description = "d".repeat(bytesEach);
  response.write(`${head}{"tools":[${toolEntry("echo")}`);
  for (let n = 0; n < tools && !response.destroyed; n += 1) {
    // As fast as it is taken.
    // oxlint-disable-next-line no-await-in-loop
    await writeOrWait(response, `,${toolEntry(`t${n}`, { description })}`);
  }
  response.end("]}}");
}

function changeEcho(script: Partial<LedgerScript>, more: object): Partial<LedgerScript> {
  const tools = (script.tools ?? []).map((tool) =>
    tool === toolEntry("echo") ? toolEntry("echo", more) : tool,
  );
  return { tools };
}

function addTools(script: Partial<LedgerScript>, tools: readonly string[]): Partial<LedgerScript> {
  return { tools: [...(script.tools ?? []), ...tools] };
}

/** A tool whose arguments are to be sent as headers of these names. */
function headerTool(names: unknown): string {
  const properties = z
    .array(z.string())
    .parse(names)
    .map((name, index) => [`a${index}`, { type: "string", "x-mcp-header": name }]);
  const inputSchema = { type: "object", properties: Object.fromEntries(properties) };
  return toolEntry("headed", { inputSchema });
}
