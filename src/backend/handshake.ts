import type { BackendGreeting } from "../domain/capabilities.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { encodeNotification } from "../mcp/json-rpc.ts";
import { isSessionfulRevision, LATEST_SESSIONFUL, SESSIONFUL_REVISIONS } from "../mcp/revisions.ts";
import { resultOf, type Ask } from "./ask.ts";
import { backendError } from "./node-errors.ts";
import type { BackendSettings } from "./options.ts";
import type { Channel, ClientProfile } from "./ports.ts";

/**
 * Opens the backend session: `initialize` in the client's own words, then `notifications/initialized`.
 *
 * Offers the configured revision, else the newest sessionful one, and takes any sessionful revision in
 * return. Throws `backend_protocol` where the backend speaks another one or none.
 */
export async function shakeHands(
  channel: Channel,
  ask: Ask,
  settings: BackendSettings,
  client: Pick<ClientProfile, "capabilities" | "info">,
  signal: AbortSignal,
): Promise<BackendGreeting> {
  const { name, revision, timeouts } = settings;
  const params = {
    protocolVersion: revision === undefined || revision === "auto" ? LATEST_SESSIONFUL : revision,
    capabilities: client.capabilities,
    clientInfo: client.info,
  };
  const question = { method: "initialize", params, timeoutMs: timeouts.startMs };
  const result = resultOf(name, "initialize", await ask(question, signal));
  if (result === undefined) {
    throw backendError(name, "backend_protocol", "does not know the method initialize", {
      executionState: "not_executed",
    });
  }
  const greeting = readGreeting(name, result);
  channel.agree(greeting.revision);
  await unlessAborted(channel.send(encodeNotification("notifications/initialized")), signal);
  return greeting;
}

/** Stops waiting when the signal aborts; what was waited for runs on and its failure is nobody's. */
async function unlessAborted(sending: Promise<void>, signal: AbortSignal): Promise<void> {
  let giveUp: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
  });
  try {
    await Promise.race([sending, aborted]);
    signal.throwIfAborted();
  } finally {
    if (giveUp !== undefined) signal.removeEventListener("abort", giveUp);
  }
}

function readGreeting(backend: string, result: JsonObject): BackendGreeting {
  const { protocolVersion, capabilities, serverInfo, instructions } = result;
  if (!isSessionfulRevision(protocolVersion)) throw unknownRevision(backend, protocolVersion);
  return {
    revision: protocolVersion,
    capabilities: isJsonObject(capabilities) ? capabilities : {},
    serverInfo: isJsonObject(serverInfo) ? serverInfo : {},
    instructions: typeof instructions === "string" ? instructions : undefined,
  };
}

function unknownRevision(backend: string, revision: JsonValue | undefined): Error {
  const spoken =
    typeof revision === "string"
      ? `speaks revision ${JSON.stringify(revision.slice(0, 32))} of MCP`
      : "does not say which revision of MCP it speaks";
  const known = SESSIONFUL_REVISIONS.join(", ");
  return backendError(backend, "backend_protocol", `${spoken}; the gateway speaks ${known}`, {
    executionState: "executed",
  });
}
