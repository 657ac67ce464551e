import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import type { JsonObject } from "../../../src/domain/json.ts";
import { faultsOfError } from "../../support/error-rules.ts";
import { startGateway, type Gateway } from "../../support/gateway.ts";
import type { LedgerScript } from "../../support/ledger-script.ts";
import { startSseLedger } from "../../support/ledger-sse.ts";
import { lastMessage, type RawAnswer, type RawSession } from "../../support/raw-client.ts";
import { startHttp, startStdio, toolCall, type TestBackend } from "../protocol-backends.ts";

export type BackendEntry = NonNullable<VmcpConfigInput["backends"]>[number];

type StartBackend = (script?: Partial<LedgerScript>) => Promise<TestBackend>;

/** What is shown of a backend holds over every transport. */
export const TRANSPORTS: readonly (readonly [string, StartBackend])[] = [
  ["HTTP", async (script) => startHttp(script)],
  ["HTTP+SSE", async (script) => startSse(script)],
  ["stdio", async (script) => startStdio(script)],
];

export async function startSse(script: Partial<LedgerScript> = {}): Promise<TestBackend> {
  const backend = await startSseLedger(script);
  return {
    backend,
    entry: (name = "b") => ({ name, transport: "sse", url: backend.url }),
    canSpeakTo: async () => {},
    [Symbol.asyncDispose]: async () => backend.close(),
  };
}

/**
 * A gateway whose breakers never open, so that each fault of a backend is seen as itself, and whose ends are quick.
 */
export async function startFaultGateway(
  backends: readonly BackendEntry[],
  more: Omit<VmcpConfigInput, "backends"> = {},
): Promise<Gateway> {
  const { operational } = more;
  return startGateway({
    ...more,
    backends: [...backends],
    operational: {
      sessionManagementV2: true,
      ...operational,
      sessions: { drainDeadline: "200ms", ...operational?.sessions },
      failureHandling: { circuitBreaker: { enabled: false }, ...operational?.failureHandling },
    },
  });
}

/** The JSON-RPC error that a call of a tool is answered with, which must be one that a client may see. */
export async function errorOfCall(
  session: RawSession,
  name: string,
  args: JsonObject = {},
): Promise<JsonObject> {
  return errorOf(await session.post(toolCall("failing", name, args)));
}

/** The error in an answer to a call, of the gateway's own making. */
export function errorOf(answer: RawAnswer): JsonObject {
  // Whatever was answered is a message.
  const message = lastMessage(answer) as { readonly error?: JsonObject };
  if (message.error === undefined) throw new Error(`no error: ${answer.text}`);
  const faults = faultsOfError(message.error);
  if (faults.length > 0) throw new Error(`${faults.join("; ")}: ${answer.text}`);
  return message.error;
}
