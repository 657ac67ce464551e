import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { INVALID_PARAMS, METHOD_NOT_FOUND, type JsonRpcError } from "../mcp/json-rpc.ts";
import type { ClientProfile } from "./backend-connection.ts";

/** What a client must have declared to be asked for something (MCP lifecycle, "Capability Negotiation"). */
const NEEDED_CAPABILITY: ReadonlyMap<string, string> = new Map([
  ["sampling/createMessage", "sampling"],
  ["elicitation/create", "elicitation"],
  ["roots/list", "roots"],
  ["tasks/get", "tasks"],
  ["tasks/result", "tasks"],
  ["tasks/list", "tasks"],
  ["tasks/cancel", "tasks"],
]);

/**
 * Why a client must not be asked this, as the answer for the backend that asks; undefined where it may be.
 *
 * An undeclared method is not found; an undeclared mode of elicitation and undeclared tools in sampling are
 * invalid params, as the 2025-11-25 chapters on elicitation and sampling have it.
 */
export function refusalByAbilities(
  capabilities: JsonObject,
  method: string,
  params: JsonObject | undefined,
): JsonRpcError | undefined {
  const needed = NEEDED_CAPABILITY.get(method);
  if (needed === undefined || !Object.hasOwn(capabilities, needed)) {
    return { code: METHOD_NOT_FOUND, message: "The client does not offer this method" };
  }
  const declared = capabilities[needed];
  const details = isJsonObject(declared) ? declared : {};
  if (method === "elicitation/create" && !offersMode(details, params?.["mode"] ?? "form")) {
    return { code: INVALID_PARAMS, message: "The client does not offer this mode of elicitation" };
  }
  const wantsTools = params?.["tools"] !== undefined || params?.["toolChoice"] !== undefined;
  if (method === "sampling/createMessage" && wantsTools && details["tools"] === undefined) {
    return { code: INVALID_PARAMS, message: "The client does not offer tools in sampling" };
  }
  return undefined;
}

/**
 * Whether a backend asks that context of other servers be put into the prompt although the client never offered
 * that. Revisions before 2025-11-25 knew no such offer; there any client may be asked.
 */
export function wantsUnofferedContext(
  { revision, capabilities }: Pick<ClientProfile, "revision" | "capabilities">,
  method: string,
  params: JsonObject | undefined,
): boolean {
  const wanted = params?.["includeContext"];
  if (method !== "sampling/createMessage" || wanted === undefined || wanted === "none")
    return false;
  const sampling = capabilities["sampling"];
  // Dates of this form sort as text.
  return revision >= "2025-11-25" && (!isJsonObject(sampling) || sampling["context"] === undefined);
}

/** A client that names no mode means forms: revisions before 2025-11-25 had nothing else. */
function offersMode({ form, url }: JsonObject, mode: unknown): boolean {
  if (mode === "form") return form !== undefined || url === undefined;
  return mode === "url" && url !== undefined;
}
