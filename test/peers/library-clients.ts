import process from "node:process";
import { Client as ClientV2, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import type { JsonObject } from "../../src/domain/json.ts";
import { importPeer, peerFile } from "./packages.ts";
import { createPeerHome } from "./peer-home.ts";

/** A client that a program holds, in the words of our tests. Disposing closes it as its users would. */
export interface LibraryClient extends AsyncDisposable {
  toolNames(): Promise<readonly string[]>;
  /** The text that its user gets of a tool's answer. */
  callText(name: string, args: JsonObject): Promise<string>;
}

export type ConnectLibrary = (url: string) => Promise<LibraryClient>;

const CLIENT_INFO = { name: "peer-test", version: "1.0.0" };

/** The SDK's second client as it is when told to try the stateless revision first. */
export async function connectSdkV2Auto(url: string): Promise<LibraryClient> {
  const client = new ClientV2(CLIENT_INFO, { versionNegotiation: { mode: "auto" } });
  const transport = new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  return {
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    callText: async (name, args) => contentText(await client.callTool({ name, arguments: args })),
    async [Symbol.asyncDispose]() {
      await transport.terminateSession();
      await client.close();
    },
  };
}

/** A stdio client behind `mcp-remote`, the bridge for hosts that start commands only. */
export async function connectThroughMcpRemote(
  url: string,
  flags: readonly string[] = [],
): Promise<LibraryClient> {
  const home = createPeerHome();
  const bridge = peerFile("mcp-remote/dist/proxy.js");
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [bridge, url, "--allow-http", ...flags],
    env: { ...home.env },
    stderr: "ignore",
  });
  const client = new ClientV1(CLIENT_INFO);
  await client.connect(transport);
  return {
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    callText: async (name, args) => contentText(await client.callTool({ name, arguments: args })),
    async [Symbol.asyncDispose]() {
      await client.close();
      home[Symbol.dispose]();
    },
  };
}

interface AiSdkClient {
  tools(): Promise<Readonly<Record<string, AiSdkTool>>>;
  close(): Promise<void>;
}

interface AiSdkTool {
  execute(args: JsonObject, call: { toolCallId: string; messages: [] }): Promise<unknown>;
}

interface AiSdkModule {
  readonly createMCPClient: (options: {
    transport: { type: "http"; url: string };
  }) => Promise<AiSdkClient>;
}

/** The client of the AI SDK, which speaks the protocol by code of its own. */
export async function connectAiSdk(url: string): Promise<LibraryClient> {
  // The part of the module's documented types that is used here.
  const { createMCPClient } = (await importPeer("@ai-sdk/mcp/dist/index.js")) as AiSdkModule;
  const client = await createMCPClient({ transport: { type: "http", url } });
  const tools = await client.tools();
  return {
    toolNames: async () => Object.keys(tools),
    callText: async (name, args) =>
      contentText(await tools[name]?.execute(args, { toolCallId: "1", messages: [] })),
    [Symbol.asyncDispose]: async () => client.close(),
  };
}

interface LangchainTool {
  readonly name: string;
  /** A text, or one content block where there is more to it. */
  invoke(args: JsonObject): Promise<string | { readonly text: string } | undefined>;
}

interface LangchainModule {
  readonly MultiServerMCPClient: new (options: {
    mcpServers: Readonly<Record<string, { transport: "http"; url: string }>>;
  }) => { getTools(): Promise<readonly LangchainTool[]>; close(): Promise<void> };
}

/** The tools as a LangChain agent holds them. */
export async function connectLangchain(url: string): Promise<LibraryClient> {
  const path = "@langchain/mcp-adapters/dist/index.js";
  // As above.
  const { MultiServerMCPClient } = (await importPeer(path)) as LangchainModule;
  const client = new MultiServerMCPClient({ mcpServers: { gateway: { transport: "http", url } } });
  const tools = await client.getTools();
  return {
    toolNames: async () => tools.map(({ name }) => name),
    callText: async (name, args) => {
      const answer = await tools.find((tool) => tool.name === name)?.invoke(args);
      return typeof answer === "string" ? answer : (answer?.text ?? "");
    },
    [Symbol.asyncDispose]: async () => client.close(),
  };
}

/** The text blocks of a tool's result, one below the other. */
function contentText(result: unknown): string {
  // What every one of these clients hands out is the protocol's own result.
  const { content } = result as { readonly content: readonly { readonly text?: string }[] };
  return content.map(({ text = "" }) => text).join("\n");
}
