import type { ServerResponse } from "node:http";
import { afterEach, expect, test } from "vitest";
import { BACKEND, connectRequest, createHeard } from "../../test/support/backend/connecting.ts";
import {
  startEvents,
  startHttpBackend,
  type HttpBackend,
  type HttpScript,
} from "../../test/support/backend/http-backend.ts";
import { startSseBackend } from "../../test/support/backend/sse-backend.ts";
import { startEverythingSse } from "../../test/support/backend/sdk-sse-backend.ts";
import { VmcpError } from "../domain/errors.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { createBackendConnector } from "./connector.ts";
import type { BackendOptions } from "./options.ts";
import { createRequestScopedConnector } from "./request-scoped.ts";
import { HttpPools } from "./streamable-http/http-pools.ts";
import { Transports, type OpenChannel } from "./transports.ts";

const cleanups: AsyncDisposable[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup[Symbol.asyncDispose]();
});

const HANDSHAKE = ["initialize", "notifications/initialized"];

const NEVER = new AbortController().signal;

/** Connects as often as it is called, always by the same connector. */
function connecting(
  url: string,
  options: Partial<BackendOptions> = {},
  create = createBackendConnector,
): () => Promise<void> {
  const http = new HttpPools();
  const logger = SILENT_LOGGER;
  const connector = create({ name: BACKEND, transport: "auto", url, http, logger, ...options });
  cleanups.push(http);
  return async () => {
    const { connection } = await connector.connect(connectRequest(createHeard()), NEVER);
    await connection[Symbol.asyncDispose]();
  };
}

async function startHttp(script: HttpScript): Promise<HttpBackend> {
  const backend = await startHttpBackend(script);
  cleanups.push(backend);
  return backend;
}

function methodsOf(backend: {
  readonly seen: readonly { readonly method: string; readonly message: object }[];
}): readonly string[] {
  return backend.seen.map(({ method, message }) =>
    "method" in message ? String(message.method) : method,
  );
}

const answering = (status: number) => (response: ServerResponse) => {
  response.writeHead(status).end();
};

test("a backend over streamable HTTP is not asked for anything else", async () => {
  const backend = await startHttp({});

  await connecting(backend.url)();

  expect(methodsOf(backend)).toEqual(HANDSHAKE);
});

test("a path that ends in /sse is asked for its stream first", async () => {
  const backend = await startSseBackend();
  cleanups.push(backend);

  await connecting(backend.url)();

  expect(methodsOf(backend)).toEqual(["GET", ...HANDSHAKE]);
});

test("a backend that knows no messages at its address is asked for its stream, from then on at once", async () => {
  const backend = await startSseBackend();
  cleanups.push(backend);
  const connect = connecting(backend.url.replace("/sse", "/sse-events"));

  await connect();
  await connect();

  expect(methodsOf(backend)).toEqual(["initialize", "GET", ...HANDSHAKE, "GET", ...HANDSHAKE]);
});

test.for(["/sse", "/sse/?key=1", "/api/sse"])(
  "a backend over streamable HTTP at %s is found all the same",
  async (path) => {
    const backend = await startHttp({});
    const connect = connecting(backend.url.replace("/mcp", path));

    await connect();
    await connect();

    expect(methodsOf(backend)).toEqual(["GET", ...HANDSHAKE, ...HANDSHAKE]);
  },
);

test("a stream on which nothing is said costs half of the time to start", async () => {
  const backend = await startHttp({ get: (response) => startEvents(response) });

  await connecting(backend.url.replace("/mcp", "/sse"), { timeouts: { startMs: 4_000 } })();

  expect(methodsOf(backend)).toEqual(["GET", ...HANDSHAKE]);
});

test("the transport that worked last is tried first, and the other one still after it", async () => {
  const http = unopened();
  const sse = unopened();
  const transports = new Transports(http, sse);
  const tried: string[] = [];
  const connectBy = async (spoken: OpenChannel): Promise<void> =>
    transports.tryEach(async (opener) => {
      tried.push(opener === http ? "http" : "sse");
      if (opener === spoken) return;
      throw new VmcpError("backend_http_4xx", "no", { executionState: "not_executed" });
    });

  await connectBy(sse);
  await connectBy(sse);
  await connectBy(http);
  await connectBy(http);

  expect(tried).toEqual(["http", "sse", "sse", "sse", "http", "http"]);
});

test.for<readonly [string, string, HttpScript]>([
  ["refuses credentials", "backend_auth", { on: { initialize: answering(401) } }],
  ["is overloaded", "backend_rate_limited", { on: { initialize: answering(429) } }],
  ["is broken", "backend_http_5xx", { on: { initialize: answering(503) } }],
  ["redirects", "backend_redirect", { on: { initialize: answering(307) } }],
])("a backend that %s is not asked for its stream", async ([, code, script]) => {
  const backend = await startHttp(script);

  await expect(connecting(backend.url)()).rejects.toMatchObject({ code });

  expect(backend.of("GET")).toEqual([]);
});

test.for<readonly [string, string, string, number, number]>([
  ["/mcp", "backend_protocol", "streamable HTTP (answered 404", 404, 405],
  ["/sse", "backend_protocol", "HTTP+SSE (answered 405", 404, 405],
  ["/mcp", "backend_auth", "credentials", 404, 401],
  ["/mcp", "backend_http_5xx", "HTTP 500", 405, 500],
])("at %s nothing is spoken: %s says %s", async ([path, code, words, postStatus, getStatus]) => {
  const backend = await startHttp({
    on: { initialize: answering(postStatus) },
    get: answering(getStatus),
  });

  await expect(connecting(backend.url.replace("/mcp", path))()).rejects.toMatchObject({
    code,
    executionState: "not_executed",
    message: expect.stringContaining(words),
  });
});

test("a transport that is named is the only one tried", async () => {
  const backend = await startSseBackend();
  cleanups.push(backend);
  const connect = connecting(backend.url, { transport: "streamable-http" });

  await expect(connect()).rejects.toMatchObject({ code: "backend_protocol" });

  expect(backend.of("GET")).toEqual([]);
});

test("connections for one request each find the transport too", async () => {
  const everything = await startEverythingSse();
  cleanups.push(everything);

  await expect(
    connecting(everything.url, {}, createRequestScopedConnector)(),
  ).resolves.toBeUndefined();
});

/** Stands for a transport where only the choice among them matters. */
function unopened(): OpenChannel {
  return () => {
    throw new Error("no channel is opened here");
  };
}
