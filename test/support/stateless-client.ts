import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { JSON_AND_EVENTS, lastMessage, startRaw, type RawAnswer } from "./raw-client.ts";

export const REVISION = "2026-07-28";

export interface StatelessOptions {
  readonly capabilities?: JsonObject;
  readonly logLevel?: string;
  /** Replace or, where undefined, leave out what a client would send. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Added to `_meta`. */
  readonly meta?: JsonObject;
}

/** A request as a client of the stateless revision writes it. */
export function statelessMessage(
  id: number | string,
  method: string,
  params: JsonObject = {},
  { capabilities = {}, logLevel, meta }: StatelessOptions = {},
): JsonObject {
  const own = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": { name: "stateless-client", version: "1.0.0" },
    "io.modelcontextprotocol/clientCapabilities": capabilities,
    ...(logLevel !== undefined && { "io.modelcontextprotocol/logLevel": logLevel }),
  };
  return { jsonrpc: "2.0", id, method, params: { ...params, _meta: { ...own, ...meta } } };
}

/** The headers that go with a message, as its text has it. */
export function statelessHeaders(
  message: JsonObject,
  replaced: StatelessOptions["headers"] = {},
): Record<string, string> {
  const { method, params } = message;
  const { name, uri, taskId } = isJsonObject(params) ? params : {};
  const subject = name ?? uri ?? taskId;
  const headers: Record<string, string | undefined> = {
    "content-type": "application/json",
    accept: JSON_AND_EVENTS,
    "mcp-protocol-version": REVISION,
    ...(typeof method === "string" && { "mcp-method": method }),
    ...(typeof subject === "string" && { "mcp-name": subject }),
    ...replaced,
  };
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name_, value]) =>
      value === undefined ? [] : [[name_, value]],
    ),
  );
}

/** Posts a request and resolves at the head of its answer. */
export async function startStateless(
  url: string,
  message: JsonObject,
  headers?: StatelessOptions["headers"],
): Promise<RawAnswer> {
  return startRaw(url, {
    method: "POST",
    headers: statelessHeaders(message, headers),
    body: JSON.stringify(message),
  });
}

/** Posts a request and resolves when its whole answer is there. */
export async function postStateless(
  url: string,
  message: JsonObject,
  headers?: StatelessOptions["headers"],
): Promise<RawAnswer> {
  const answer = await startStateless(url, message, headers);
  await answer.ended;
  return answer;
}

let lastId = 0;

/** Sends a request under a fresh id and returns the last message of its answer. */
export async function askStateless(
  url: string,
  method: string,
  params: JsonObject = {},
  options: StatelessOptions = {},
): Promise<JsonObject> {
  lastId += 1;
  const message = statelessMessage(lastId, method, params, options);
  // What answers a request is an object.
  return lastMessage(await postStateless(url, message, options.headers)) as JsonObject;
}

/** The result of a request; fails where it was answered with an error. */
export async function resultOf(
  url: string,
  method: string,
  params: JsonObject = {},
  options: StatelessOptions = {},
): Promise<JsonObject> {
  const { result, error } = await askStateless(url, method, params, options);
  if (!isJsonObject(result)) throw new Error(`no result: ${JSON.stringify(error)}`);
  return result;
}

/** A client of the official SDK that speaks the stateless revision. */
export interface StatelessSdkClient extends AsyncDisposable {
  readonly client: Client;
}

export interface StatelessSdkOptions {
  readonly mode?: "auto" | { readonly pin: string };
  readonly headers?: Readonly<Record<string, string>>;
  /** Handlers of what backends ask, by method; each declares its capability. */
  readonly onElicitation?: (params: unknown) => unknown;
  readonly onSampling?: (params: unknown) => unknown;
  readonly roots?: readonly { readonly uri: string }[];
}

export async function connectStateless(
  url: string,
  { mode = "auto", headers, onElicitation, onSampling, roots }: StatelessSdkOptions = {},
): Promise<StatelessSdkClient> {
  const capabilities = {
    ...(onElicitation && { elicitation: { form: {}, url: {} } }),
    ...(onSampling && { sampling: {} }),
    ...(roots && { roots: {} }),
  };
  const client = new Client(
    { name: "stateless-sdk", version: "1.0.0" },
    { capabilities, versionNegotiation: { mode } },
  );
  // What the handlers return is the test's business: the receiving side judges it.
  if (onElicitation)
    client.setRequestHandler(
      "elicitation/create",
      async ({ params }) => (await onElicitation(params)) as never,
    );
  if (onSampling)
    client.setRequestHandler(
      "sampling/createMessage",
      // As above.
      async ({ params }) => (await onSampling(params)) as never,
    );
  if (roots) client.setRequestHandler("roots/list", () => ({ roots: [...roots] }));
  const requestInit = headers === undefined ? {} : { requestInit: { headers } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), requestInit));
  return { client, [Symbol.asyncDispose]: async () => client.close() };
}
