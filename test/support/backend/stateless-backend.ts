import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, type ServerOptions } from "@modelcontextprotocol/server";
import { isJsonObject, type JsonObject } from "../../../src/domain/json.ts";
import { createState, createStatelessServer, type StatelessState } from "./stateless-server.mjs";

interface SeenRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  /** The JSON-RPC message; undefined where there was none. */
  readonly message: JsonObject | undefined;
  readonly text: string;
}

/** A server of the official SDK for the revision without sessions. */
export interface StatelessBackend extends AsyncDisposable {
  readonly url: string;
  readonly state: StatelessState;
  /** In the order in which they came. */
  readonly requests: readonly SeenRequest[];
  /** The methods of the JSON-RPC messages, or that of HTTP where there was none. */
  readonly methods: readonly string[];
  /** Streams of changes that are open now. */
  readonly openListens: number;
  readonly notify: ReturnType<typeof createMcpHandler>["notify"];
  /** Ends every connection, as a server that is restarted does. */
  cutConnections(): void;
}

export interface StatelessBackendOptions {
  /** Whether it serves sessions as well, each of which is one request long. Default: it refuses them. */
  readonly servesSessions?: boolean;
  readonly cacheHints?: ServerOptions["cacheHints"];
  /** Default: any that is free. */
  readonly port?: number;
}

export const STATELESS_CHILD = fileURLToPath(new URL("stateless-child.mjs", import.meta.url));

export async function startStatelessBackend({
  servesSessions = false,
  cacheHints,
  port: wantedPort = 0,
}: StatelessBackendOptions = {}): Promise<StatelessBackend> {
  const state = createState();
  const requests: SeenRequest[] = [];
  const handler = createMcpHandler(() => createStatelessServer(state, cacheHints), {
    legacy: servesSessions ? "stateless" : "reject",
  });
  let openListens = 0;
  const handle = toNodeHandler(handler);
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      const message = parse(text);
      requests.push({ method: request.method ?? "", headers: request.headers, message, text });
      if (message?.["method"] === "subscriptions/listen") {
        openListens += 1;
        response.once("close", () => {
          openListens -= 1;
        });
      }
      // Node's own message, whose optional members the adapter spells another way.
      await handle(request as never, response, message);
    })();
  });
  server.listen(wantedPort, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    state,
    requests,
    get methods() {
      return requests.map(({ method, message }) => {
        const named = message?.["method"];
        return typeof named === "string" ? named : method;
      });
    },
    get openListens() {
      return openListens;
    },
    notify: handler.notify,
    cutConnections: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      await handler.close();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function parse(text: string): JsonObject | undefined {
  if (text === "") return undefined;
  const value: unknown = JSON.parse(text);
  return isJsonObject(value) ? value : undefined;
}
