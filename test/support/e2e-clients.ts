import type { JsonObject } from "../../src/domain/json.ts";
import {
  connectV1,
  connectV2,
  textOf,
  type ClientOptions,
  type ReceivedNotification,
} from "./clients.ts";

/** A client as the scenarios use it, whichever of the official SDKs is behind it. */
export interface E2eClient extends AsyncDisposable {
  readonly sessionId: string | undefined;
  readonly notifications: readonly ReceivedNotification[];
  readonly instructions: string | undefined;
  toolNames(): Promise<readonly string[]>;
  listTools(): Promise<readonly JsonObject[]>;
  call(name: string, args?: JsonObject): Promise<JsonObject>;
  /** The text of the first content block. */
  callText(name: string, args?: JsonObject): Promise<string>;
  vanish(): Promise<void>;
  close(): Promise<void>;
}

export type Connect = (url: string, options?: ClientOptions) => Promise<E2eClient>;

/** Longer than the clients' own minute, for tools that take their time. */
const CALL_OPTIONS = { timeout: 120_000 };

/** Every scenario runs with both official clients. */
export const CLIENTS: readonly [string, Connect][] = [
  [
    "SDK v1",
    async (url, options) => {
      const connected = await connectV1(url, options);
      const { client } = connected;
      return toE2eClient(connected, async (params) =>
        client.callTool(params, undefined, CALL_OPTIONS),
      );
    },
  ],
  [
    "SDK v2",
    async (url, options) => {
      const connected = await connectV2(url, options);
      const { client } = connected;
      return toE2eClient(connected, async (params) => client.callTool(params, CALL_OPTIONS));
    },
  ],
];

interface ConnectedSdk {
  readonly client: {
    listTools(): Promise<{ tools: readonly object[] }>;
    getInstructions(): string | undefined;
  };
  readonly sessionId: string | undefined;
  readonly notifications: readonly ReceivedNotification[];
  vanish(): Promise<void>;
  close(): Promise<void>;
}

function toE2eClient(
  sdk: ConnectedSdk,
  callTool: (params: { name: string; arguments: Record<string, unknown> }) => Promise<object>,
): E2eClient {
  const call = async (name: string, args: JsonObject = {}): Promise<JsonObject> =>
    // Results are JSON objects, whatever the SDK's types name in them.
    (await callTool({ name, arguments: { ...args } })) as JsonObject;
  const listTools = async (): Promise<readonly JsonObject[]> => {
    const { tools } = await sdk.client.listTools();
    // As above.
    return tools as readonly JsonObject[];
  };
  return {
    sessionId: sdk.sessionId,
    notifications: sdk.notifications,
    instructions: sdk.client.getInstructions(),
    listTools,
    toolNames: async () =>
      (await listTools()).map(({ name }) => (typeof name === "string" ? name : "")),
    call,
    callText: async (name, args) => textOf(await call(name, args)),
    vanish: async () => sdk.vanish(),
    close: async () => sdk.close(),
    [Symbol.asyncDispose]: async () => sdk.close(),
  };
}
