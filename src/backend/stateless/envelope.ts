import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import type { ClientEnvelope } from "../../mcp/client-envelope.ts";
import { STATELESS_REVISION } from "../../mcp/revisions.ts";
import type { ClientProfile } from "../ports.ts";
import { META_KEYS } from "./request-bytes.ts";

/**
 * What a client of a session would say of itself with each request, were it one of a stateless revision: what it
 * declared, as far as it can be asked for in an answer. It gets no task of which it could not hear the end.
 */
export function envelopeOf(
  { capabilities, info }: Pick<ClientProfile, "capabilities" | "info">,
  logLevel: string | undefined,
): ClientEnvelope {
  return {
    revision: STATELESS_REVISION,
    capabilities: mirrored(capabilities),
    info,
    ...(logLevel !== undefined && { logLevel }),
  };
}

/** The members of `_meta` that say it, as JSON text. */
export function toEnvelopeJson({ capabilities, info, logLevel }: ClientEnvelope): string {
  const members = {
    [META_KEYS.revision]: STATELESS_REVISION,
    [META_KEYS.capabilities]: capabilities,
    ...(isImplementation(info) && { [META_KEYS.info]: info }),
    ...(logLevel !== undefined && { [META_KEYS.logLevel]: logLevel }),
  };
  return JSON.stringify(members).slice(1, -1);
}

/** The extension that runs calls in the background; its answers mean nothing to a client of a session. */
const TASKS = "io.modelcontextprotocol/tasks";

function mirrored({
  elicitation,
  sampling,
  roots,
  extensions,
  experimental,
}: JsonObject): JsonObject {
  return {
    ...(isJsonObject(elicitation) && { elicitation: only(elicitation, ["form", "url"]) }),
    ...(isJsonObject(sampling) && { sampling: only(sampling, ["context", "tools"]) }),
    ...(isJsonObject(roots) && { roots: {} }),
    ...(isJsonObject(extensions) && { extensions: without(extensions, TASKS) }),
    ...(isJsonObject(experimental) && { experimental }),
  };
}

function only(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key)));
}

function without(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([other]) => other !== key));
}

/** A server refuses a whole request whose client has no name or no version. */
function isImplementation({ name, version }: JsonObject): boolean {
  return typeof name === "string" && typeof version === "string";
}
