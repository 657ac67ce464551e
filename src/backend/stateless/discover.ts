import type { BackendGreeting } from "../../domain/capabilities.ts";
import { VmcpError, type VmcpErrorCode } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../domain/json.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import type { JsonRpcError } from "../../mcp/json-rpc.ts";
import { isSessionfulRevision, STATELESS_REVISION } from "../../mcp/revisions.ts";
import type { Ask } from "../ask.ts";
import { backendError } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import { HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_REVISION } from "./error-codes.ts";

/** How often `discover` asks at most. */
export const MAX_DISCOVERIES = 2;

/** What asking a backend for its revisions came to. */
export type Discovery =
  | { readonly family: "stateless"; readonly greeting: BackendGreeting }
  | { readonly family: "sessionful" }
  /** Nothing that tells one from the other. */
  | { readonly family: "unclear"; readonly error: VmcpError };

/**
 * Failures that come whatever is asked, and that another question would meet as well: they are told at once and say
 * nothing of the revision.
 */
const OUTER_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "backend_unreachable",
  "backend_tls",
  "backend_auth",
  "backend_redirect",
  "backend_rate_limited",
]);

/** What a server of sessions says to a request that it does not know, over HTTP, without JSON-RPC. */
const SESSIONFUL_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "backend_http_4xx",
  "backend_protocol",
]);

/** The answers by which a server shows that it knows the stateless revision, though it refuses the request. */
const STATELESS_ERRORS: ReadonlySet<number> = new Set([HEADER_MISMATCH, MISSING_CAPABILITY]);

/**
 * Asks `server/discover`. Rejects where the backend cannot be had at all, where it speaks no revision that the
 * gateway speaks, and with the signal's reason.
 */
export async function discover(
  ask: Ask,
  { name }: BackendSettings,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Discovery> {
  let answer: BackendMessage;
  try {
    const question = { method: "server/discover", timeoutMs };
    answer = await ask(question, signal);
    // Refused in the revision that it names as its own: what was wrong is not the revision.
    if (isSupportedAfterAll(answer.message.error)) answer = await ask(question, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const error = VmcpError.from(thrown);
    if (OUTER_CODES.has(error.code)) throw error;
    return SESSIONFUL_CODES.has(error.code)
      ? { family: "sessionful" }
      : { family: "unclear", error };
  }
  const { result, error } = answer.message;
  return result === undefined ? judgeError(name, error) : judgeResult(name, result);
}

function judgeResult(name: string, result: JsonObject): Discovery {
  const { supportedVersions, capabilities, instructions } = result;
  // Some servers answer whatever they do not know with an empty result.
  if (!Array.isArray(supportedVersions)) return { family: "sessionful" };
  if (!supportedVersions.includes(STATELESS_REVISION))
    return judgeRevisions(name, supportedVersions);
  const meta = result["_meta"];
  const named = isJsonObject(meta) ? meta["io.modelcontextprotocol/serverInfo"] : undefined;
  // Where it stood before the revision was final.
  const serverInfo = named ?? result["serverInfo"];
  return {
    family: "stateless",
    greeting: {
      revision: STATELESS_REVISION,
      capabilities: isJsonObject(capabilities) ? capabilities : {},
      serverInfo: isJsonObject(serverInfo) ? serverInfo : {},
      instructions: typeof instructions === "string" ? instructions : undefined,
    },
  };
}

function judgeError(name: string, error: JsonRpcError | undefined): Discovery {
  if (error?.code === UNSUPPORTED_REVISION) return judgeRevisions(name, supportedIn(error));
  if (error !== undefined && STATELESS_ERRORS.has(error.code)) {
    throw backendError(
      name,
      "backend_protocol",
      `answered server/discover with error ${error.code}`,
      {
        executionState: "executed",
      },
    );
  }
  return { family: "sessionful" };
}

function isSupportedAfterAll(error: JsonRpcError | undefined): boolean {
  return error?.code === UNSUPPORTED_REVISION && supportedIn(error).includes(STATELESS_REVISION);
}

function supportedIn({ data }: JsonRpcError): readonly JsonValue[] {
  const supported = isJsonObject(data) ? data["supported"] : undefined;
  return Array.isArray(supported) ? supported : [];
}

/** What a backend speaks that does not speak the stateless revision. */
function judgeRevisions(name: string, revisions: readonly JsonValue[]): Discovery {
  if (revisions.length === 0 || revisions.some(isSessionfulRevision))
    return { family: "sessionful" };
  const named = revisions.map((revision) => JSON.stringify(revision).slice(0, 32)).slice(0, 8);
  throw backendError(name, "backend_protocol", `speaks none but ${named.join(", ")} of MCP`, {
    executionState: "executed",
  });
}
