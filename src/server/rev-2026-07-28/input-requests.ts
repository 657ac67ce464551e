import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import { INTERNAL_ERROR, METHOD_NOT_FOUND, type JsonRpcError } from "../../mcp/json-rpc.ts";
import { spansAt } from "../../mcp/json-paths.ts";

/** The methods that may be answered with a question (MCP 2026-07-28, "Supported Requests"). */
export const ASKING_METHODS: ReadonlySet<string> = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

/** What a client can be asked by an answer, and the capability it must have declared for it. */
const CAPABILITY_OF: ReadonlyMap<string, string> = new Map([
  ["elicitation/create", "elicitation"],
  ["sampling/createMessage", "sampling"],
  ["roots/list", "roots"],
]);

/** What a backend hears that asks for something which no answer can carry. */
export const REFUSED_REQUEST: JsonRpcError = {
  code: METHOD_NOT_FOUND,
  message: "The client cannot be asked this here",
};

/** What a backend hears whose question ended with the call that it belongs to. */
export const DROPPED_QUESTION: JsonRpcError = {
  code: INTERNAL_ERROR,
  message: "The call that this belongs to has ended without the client's answer",
};

/** A backend's request as it stands in `inputRequests`; undefined for one that cannot stand there. */
export function toInputRequest(method: string, bytes: Buffer): string | undefined {
  if (!CAPABILITY_OF.has(method)) return undefined;
  const [params] = spansAt(bytes, ["params"]);
  const text = params && bytes.toString("utf8", params.valueStart, params.valueEnd);
  const rest = text === undefined ? "" : `,"params":${text}`;
  return `{"method":"${method}"${rest}}`;
}

/** For a request whose client cannot be asked what the backend needs to know. */
export function capabilityMissing(method: string, params: JsonObject | undefined): VmcpError {
  const capability = CAPABILITY_OF.get(method) ?? method;
  return new VmcpError(
    "client_capability_missing",
    `This needs the client capability "${capability}", which the request did not declare in this form`,
    { data: { requiredCapabilities: { [capability]: detailsOf(method, params) } } },
  );
}

/**
 * The questions that stand for a failure, by key and as JSON: the links that its `data` names, for a client that opens
 * links. Undefined where there are none, or the request is none that can be answered with a question.
 *
 * `code` is the one by which revisions with sessions told of links (MCP 2025-11-25, "URL Elicitation Required").
 */
export function questionsOf(
  { code, data }: Pick<JsonRpcError, "code" | "data">,
  method: string,
  { elicitation }: JsonObject,
): string | undefined {
  const opensLinks = isJsonObject(elicitation) && elicitation["url"] !== undefined;
  if (code !== URL_ELICITATION_REQUIRED || !opensLinks || !ASKING_METHODS.has(method)) {
    return undefined;
  }
  const given = isJsonObject(data) ? data["elicitations"] : undefined;
  const links = (Array.isArray(given) ? given : []).filter(isJsonObject).map(toLink);
  return links.length === 0 ? undefined : `{${links.join(",")}}`;
}

/** The revision knows no ids of questions besides their keys. */
function toLink({ elicitationId: _id, ...params }: JsonObject, index: number): string {
  return `"link-${index + 1}":${JSON.stringify({ method: "elicitation/create", params })}`;
}

/** For a request about a task of a client that does not know of tasks. */
export function tasksMissing(): VmcpError {
  return new VmcpError(
    "client_capability_missing",
    `This needs the extension "${TASKS}", which the request did not declare`,
    { data: { requiredCapabilities: { extensions: { [TASKS]: {} } } } },
  );
}

/** Whether a client declared that calls may go on as tasks. */
export function knowsTasks({ extensions }: JsonObject): boolean {
  return isJsonObject(extensions) && extensions[TASKS] !== undefined;
}

const URL_ELICITATION_REQUIRED = -32_042;

const TASKS = "io.modelcontextprotocol/tasks";

function detailsOf(method: string, params: JsonObject | undefined): JsonObject {
  if (method === "elicitation/create")
    return params?.["mode"] === "url" ? { url: {} } : { form: {} };
  const wantsTools = params?.["tools"] !== undefined || params?.["toolChoice"] !== undefined;
  return method === "sampling/createMessage" && wantsTools ? { tools: {} } : {};
}
