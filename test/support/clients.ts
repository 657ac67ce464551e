import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject } from "../../src/domain/json.ts";

/** How a client answers what a backend asks of it. A handler that is given declares its capability. */
export interface ClientOptions {
  readonly name?: string;
  /** Sent with every HTTP request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Returns the result of `sampling/createMessage`. */
  readonly onSampling?: (params: unknown) => unknown;
  /** Returns the result of `elicitation/create`. */
  readonly onElicitation?: (params: unknown) => unknown;
  readonly roots?: readonly { readonly uri: string; readonly name?: string }[];
}

/** A connected client of the official SDK. Disposing ends the session (DELETE) and closes the client. */
export interface Connected<Client> extends AsyncDisposable {
  readonly client: Client;
  readonly sessionId: string | undefined;
  /** Every notification so far, except progress, which goes to the call's `onprogress`. */
  readonly notifications: readonly ReceivedNotification[];
  /** Closes the client without ending the session, as a client that vanishes does. */
  vanish(): Promise<void>;
  /** As disposing. */
  close(): Promise<void>;
}

export interface ReceivedNotification {
  readonly method: string;
  readonly params?: unknown;
}

/** Connects the client of the SDK's first major version. */
export async function connectV1(
  url: string,
  options: ClientOptions = {},
): Promise<Connected<ClientV1>> {
  const client = new ClientV1(infoOf(options), { capabilities: capabilitiesOf(options) });
  const { onSampling, onElicitation, roots } = options;
  // What the handlers return is the test's business: the receiving side judges it.
  if (onSampling)
    client.setRequestHandler(
      CreateMessageRequestSchema,
      async ({ params }) => (await onSampling(params)) as never,
    );
  if (onElicitation)
    client.setRequestHandler(
      ElicitRequestSchema,
      // As above.
      async ({ params }) => (await onElicitation(params)) as never,
    );
  if (roots) client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [...roots] }));
  const notifications: ReceivedNotification[] = [];
  client.fallbackNotificationHandler = recordInto(notifications);
  const transport = new TransportV1(new URL(url), requestInit(options));
  await client.connect(transport);
  return toConnected(client, transport, notifications);
}

/**
 * Connects the client of the SDK's second major version. It speaks the sessionful revisions, as that client does
 * unless told otherwise.
 */
export async function connectV2(
  url: string,
  options: ClientOptions = {},
): Promise<Connected<ClientV2>> {
  const client = new ClientV2(infoOf(options), { capabilities: capabilitiesOf(options) });
  const { onSampling, onElicitation, roots } = options;
  // What the handlers return is the test's business: the receiving side judges it.
  if (onSampling)
    client.setRequestHandler(
      "sampling/createMessage",
      async ({ params }) => (await onSampling(params)) as never,
    );
  if (onElicitation)
    client.setRequestHandler(
      "elicitation/create",
      // As above.
      async ({ params }) => (await onElicitation(params)) as never,
    );
  if (roots) client.setRequestHandler("roots/list", () => ({ roots: [...roots] }));
  const notifications: ReceivedNotification[] = [];
  client.fallbackNotificationHandler = recordInto(notifications);
  const transport = new TransportV2(new URL(url), requestInit(options));
  await client.connect(transport);
  return toConnected(client, transport, notifications);
}

/** The text of the first content block of a tool's result; fails where there is none. */
export function textOf(result: unknown): string {
  const { content } = result as { readonly content?: readonly { readonly text?: string }[] };
  const text = content?.[0]?.text;
  if (text === undefined) throw new Error(`no text in ${JSON.stringify(result)}`);
  return text;
}

interface SdkClient {
  close(): Promise<void>;
}

interface SdkTransport {
  readonly sessionId: string | undefined;
  terminateSession(): Promise<void>;
}

function toConnected<Client extends SdkClient>(
  client: Client,
  transport: SdkTransport,
  notifications: readonly ReceivedNotification[],
): Connected<Client> {
  const close = async (): Promise<void> => {
    // The server may be gone or may have ended the session: closing must work all the same.
    await transport.terminateSession().catch(() => {});
    await client.close();
  };
  return {
    client,
    sessionId: transport.sessionId,
    notifications,
    vanish: async () => client.close(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function recordInto(
  notifications: ReceivedNotification[],
): (notification: ReceivedNotification) => Promise<void> {
  return async (notification) => {
    notifications.push(notification);
  };
}

function infoOf(options: ClientOptions): { name: string; version: string } {
  return { name: options.name ?? "test-client", version: "1.0.0" };
}

function capabilitiesOf({ onSampling, onElicitation, roots }: ClientOptions): {
  [key: string]: JsonObject;
} {
  return {
    ...(onSampling && { sampling: {} }),
    ...(onElicitation && { elicitation: {} }),
    ...(roots && { roots: { listChanged: true } }),
  };
}

function requestInit({ headers }: ClientOptions): { requestInit?: RequestInit } {
  return headers === undefined ? {} : { requestInit: { headers } };
}
