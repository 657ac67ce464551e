import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { type Client, messagesIn } from "./client.ts";
import { textOf } from "./text-of.ts";

/** The tool whose calls the entries answer: it asks the client something before its result. */
const TOOL = "wf_ask";

/** What a client holds between two rounds of a call. */
interface Round {
  readonly state: string;
  readonly inputResponses: JsonObject;
}

/** What the placeholders of this kind stand for, each made by a call of its own. */
export const STATES: ReadonlyMap<string, (client: Client) => Promise<string>> = new Map([
  ["STATE^1", async (client: Client) => withOneBitTurned((await ask(client)).state)],
  ["STATE_ALICE", async (client: Client) => (await ask(client)).state],
  ["STATE_USED", async (client: Client) => used(client)],
]);

/** A state that has had its effect: the call that it belonged to is over. */
async function used(client: Client): Promise<string> {
  const { state, inputResponses } = await ask(client);
  const result = await call(client, { requestState: state, inputResponses });
  if (result["resultType"] !== "complete") throw new Error("the answer did not end the call");
  return state;
}

async function ask(client: Client): Promise<Round> {
  const { requestState, inputRequests } = await call(client, {});
  if (!isJsonObject(inputRequests)) throw new Error(`${TOOL} asks nothing`);
  const answers = Object.keys(inputRequests).map((key) => [key, { action: "decline" }] as const);
  return { state: textOf(requestState), inputResponses: Object.fromEntries(answers) };
}

async function call(client: Client, more: JsonObject): Promise<JsonObject> {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
  };
  const params = { name: TOOL, arguments: {}, ...more, _meta: meta };
  const message = { jsonrpc: "2.0", id: "round", method: "tools/call", params };
  const headers = new Map([
    ["mcp-protocol-version", "2026-07-28"],
    ["mcp-method", "tools/call"],
    ["mcp-name", TOOL],
  ]);
  const answer = await client.post(message, headers);
  const last = messagesIn(answer).at(-1);
  const result = isJsonObject(last) ? last["result"] : undefined;
  if (!isJsonObject(result)) throw new Error(`no round: ${answer.status} ${answer.body}`);
  return result;
}

function withOneBitTurned(state: string): string {
  const bytes = Buffer.from(state, "base64url");
  const middle = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
  return bytes.toString("base64url");
}
