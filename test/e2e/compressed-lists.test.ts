import { spawn, spawnSync } from "node:child_process";
import { buffer, text as readText } from "node:stream/consumers";
import { Client as ClientV2, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { describe, expect, test } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, type RawSession } from "../support/raw-client.ts";
import { REVISION, statelessHeaders, statelessMessage } from "../support/stateless-client.ts";

/** Each time takes a while where 4,000 tools are read. */
const OFTEN = { interval: 5 };

const LIST = '{"jsonrpc":"2.0","id":"é🙂","method":"tools/list"}';

/** Enough text for a page that is worth compressing, in letters of one byte to four. */
function manyTools(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_value, index) =>
    JSON.stringify({
      name: `${prefix}${index}`,
      description: `Número ${index} of ${count}: über 🙂`,
      inputSchema: { type: "object", properties: { index: { const: index } } },
    }),
  );
}

/** A gateway before one backend; by default its list is one page. */
async function startLarge(
  tools = 200,
): Promise<{ readonly backend: HttpLedger; readonly gateway: Gateway } & AsyncDisposable> {
  const backend = await startHttpLedger({
    tools: manyTools("t", tools),
    hasBuiltInTools: false,
  });
  const gateway = await startGateway({
    backends: [{ name: "b", url: backend.url }],
    limits: { toolsPerBackend: tools },
  });
  return {
    backend,
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

/** Posts with what node's own fetch sends, and reads as it does. */
async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<{ readonly encoding: string | null; readonly text: string }> {
  const answer = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
    body,
  });
  return { encoding: answer.headers.get("content-encoding"), text: await answer.text() };
}

async function list(url: string, { headers }: RawSession, body = LIST) {
  return post(url, headers, body);
}

/** Asks until the first page is compressed, and returns it. */
async function untilCompressed(url: string, session: RawSession): Promise<string> {
  let text = "";
  await expect
    .poll(async () => {
      const answer = await list(url, session);
      text = answer.text;
      return answer.encoding;
    }, OFTEN)
    .toBe("gzip");
  return text;
}

interface ListingClient {
  listTools(params?: { cursor: string }): Promise<{
    readonly tools: readonly { readonly name: string }[];
    readonly nextCursor?: string | undefined;
  }>;
  close(): Promise<void>;
}

type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

const SDK_CLIENTS: readonly (readonly [
  string,
  (url: string, fetch: Fetch) => Promise<ListingClient>,
])[] = [
  [
    "v1",
    async (url, ownFetch) => {
      const client = new ClientV1({ name: "v1", version: "1" });
      await client.connect(new TransportV1(new URL(url), { fetch: ownFetch }));
      return client;
    },
  ],
  [
    "v2",
    async (url, ownFetch) => {
      const client = new ClientV2({ name: "v2", version: "1" });
      await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: ownFetch }));
      return client;
    },
  ],
  [
    "v2, stateless",
    async (url, ownFetch) => {
      const client = new ClientV2(
        { name: "v2", version: "1" },
        { versionNegotiation: { mode: { pin: REVISION } } },
      );
      await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: ownFetch }));
      return client;
    },
  ],
];

async function readAll(client: ListingClient): Promise<readonly object[]> {
  const tools: object[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listTools(cursor === undefined ? undefined : { cursor });
    tools.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return tools;
}

describe.for(SDK_CLIENTS)("the official client, %s", ([, connect]) => {
  test("sees the same 4,000 tools, compressed and not", async () => {
    await using rig = await startLarge(4_000);
    const { gateway } = rig;
    const encodings: (string | null)[] = [];
    const recording: Fetch = async (url, init) => {
      const answer = await fetch(url, init);
      encodings.push(answer.headers.get("content-encoding"));
      return answer;
    };
    const plainly: Fetch = async (url, init) => {
      const headers = new Headers(init?.headers);
      headers.set("accept-encoding", "identity");
      return recording(url, { ...init, headers });
    };
    const plain = await connect(gateway.url, plainly);
    const asked = await connect(gateway.url, recording);
    const expected = await readAll(plain);
    const plainEncodings = encodings.splice(0);

    await expect
      .poll(async () => {
        encodings.length = 0;
        expect(await readAll(asked)).toEqual(expected);
        return encodings;
      }, OFTEN)
      .toEqual(["gzip", "gzip", "gzip", "gzip"]);

    expect(expected).toHaveLength(4_000);
    expect(plainEncodings.filter((encoding) => encoding !== null)).toEqual([]);
    await plain.close();
    await asked.close();
  });
});

/** Reads from its standard input what came over the wire, and prints the text. */
const READERS: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "python's gzip",
    "python3",
    ["-c", "import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))"],
  ],
  // Stops after the first member, and says so where anything follows it.
  [
    "python's zlib",
    "python3",
    [
      "-c",
      "import sys,zlib; d=zlib.decompressobj(31); t=d.decompress(sys.stdin.buffer.read()); " +
        "sys.exit(1) if d.unused_data or not d.eof else sys.stdout.buffer.write(t)",
    ],
  ],
  ["gzip", "gzip", ["-dc"]],
];

function isHere(command: string): boolean {
  return spawnSync(command, ["--version"]).status === 0;
}

describe("what reads gzip elsewhere", () => {
  test.for(READERS)("%s reads a compressed list", async ([, command, args], { skip }) => {
    if (!isHere(command) || !isHere("curl")) skip();
    await using rig = await startLarge();
    const session = await openRawSession(rig.gateway.url);
    const expected = await untilCompressed(rig.gateway.url, session);

    const wire = await run("curl", curlArgs(rig.gateway.url, session, "accept-encoding: gzip"));
    const text = await run(command, args, wire);

    expect(wire.length).toBeLessThan(expected.length / 4);
    expect(text.toString()).toBe(expected);
  });

  test("curl reads a compressed list", async ({ skip }) => {
    if (!isHere("curl")) skip();
    await using rig = await startLarge();
    const session = await openRawSession(rig.gateway.url);
    const expected = await untilCompressed(rig.gateway.url, session);

    const text = await run("curl", [
      "--compressed",
      ...curlArgs(rig.gateway.url, session, "x-none: 1"),
    ]);

    expect(text.toString()).toBe(expected);
  });
});

function curlArgs(url: string, { headers }: RawSession, header: string): readonly string[] {
  const all = [
    "content-type: application/json",
    "accept: application/json, text/event-stream",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    header,
  ];
  return ["--silent", "--fail", "--data", LIST, ...all.flatMap((line) => ["--header", line]), url];
}

async function run(command: string, args: readonly string[], input?: Buffer): Promise<Buffer> {
  const child = spawn(command, args);
  child.stdin.end(input);
  const [output, errors] = await Promise.all([buffer(child.stdout), readText(child.stderr)]);
  if (errors !== "") throw new Error(errors);
  return output;
}

describe("a page that is compressed", () => {
  test("is shared: a new session gets it compressed at once", async () => {
    await using rig = await startLarge();
    const first = await openRawSession(rig.gateway.url);
    const text = await untilCompressed(rig.gateway.url, first);

    const second = await openRawSession(rig.gateway.url);

    expect(await list(rig.gateway.url, second)).toEqual({ encoding: "gzip", text });
  });

  test("is shared with clients of the stateless revision", async () => {
    await using rig = await startLarge();
    const session = await openRawSession(rig.gateway.url);
    const expected = toolsOf(await untilCompressed(rig.gateway.url, session));
    const message = statelessMessage("é", "tools/list");

    // The first of them makes its session, which has to hear of the tools first.
    await expect
      .poll(async () => {
        const answer = await post(
          rig.gateway.url,
          statelessHeaders(message),
          JSON.stringify(message),
        );
        return { encoding: answer.encoding, tools: toolsOf(answer.text) };
      }, OFTEN)
      .toEqual({ encoding: "gzip", tools: expected });
  });

  test("is replaced when a backend changes its tools", async () => {
    await using rig = await startLarge();
    const session = await openRawSession(rig.gateway.url);
    const stream = await session.openStream();
    await waitFor(() => rig.backend.openStreams === 1);
    const before = toolsOf(await untilCompressed(rig.gateway.url, session));

    rig.backend.change({ tools: manyTools("new", 200) });
    rig.backend.notify("notifications/tools/list_changed");

    await expect
      .poll(async () => toolsOf((await list(rig.gateway.url, session)).text), OFTEN)
      .toContain("new199");
    const after = toolsOf(await untilCompressed(rig.gateway.url, session));
    stream.destroy();
    expect(before).toContain("t199");
    expect(after).toContain("new199");
    expect(after).not.toContain("t199");
  });

  test("is the only answer that is: what backends answer comes as it is", async () => {
    const result = JSON.stringify({ content: [{ type: "text", text: "x".repeat(100_000) }] });
    await using backend = await startHttpLedger({
      tools: manyTools("t", 200),
      results: new Map([["t0", result]]),
      contents: new Map([
        ["x://r", `{"contents":[{"uri":"x://r","text":"${"x".repeat(99_999)}"}]}`],
      ]),
      resources: ['{"uri":"x://r","name":"r"}'],
    });
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const session = await openRawSession(gateway.url);
    await untilCompressed(gateway.url, session);
    const request = (method: string, params: object): string =>
      JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });

    const answers = [
      await list(gateway.url, session, request("tools/call", { name: "t0" })),
      await list(gateway.url, session, request("resources/read", { uri: "x://r" })),
      await list(gateway.url, session, request("tools/call", { name: "x".repeat(60_000) })),
    ];

    expect(answers.map(({ encoding }) => encoding)).toEqual([null, null, null]);
    expect(answers.slice(0, 2).every(({ text }) => text.length > 99_999)).toBe(true);
  });

  test("comes as it is within a batch, beside other answers", async () => {
    await using rig = await startLarge();
    const session = await openRawSession(rig.gateway.url, { revision: "2025-03-26" });
    const expected = toolsOf(await untilCompressed(rig.gateway.url, session));

    const { encoding, text } = await list(rig.gateway.url, session, `[${LIST}]`);

    expect(encoding).toBeNull();
    expect(toolsOf(text.slice(1, -1))).toEqual(expected);
  });
});

function toolsOf(text: string): readonly string[] {
  // What answers a list has this shape.
  const { result } = JSON.parse(text) as {
    readonly result: { readonly tools: { name: string }[] };
  };
  return result.tools.map(({ name }) => name);
}
