import { once } from "node:events";
import { request as sendRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { SESSION_HEADERS, startHost, type TestHost } from "./testing/host.ts";

const LIST = listUnder("1");
const READS_GZIP = { "accept-encoding": "gzip, deflate" };

interface Answer {
  readonly headers: IncomingHttpHeaders;
  /** As they came. */
  readonly bytes: Buffer;
  /** As a client reads it. */
  readonly text: string;
}

/** Page of a list that is `letters` long, and a little more; letters of two bytes each. */
function pageOf(letters: number): Buffer {
  return Buffer.from(JSON.stringify({ tools: [{ name: "ü".repeat(letters) }] }));
}

async function hostWith(page: Buffer): Promise<TestHost> {
  return startHost({ session: { list: () => page }, limits: { requestBytes: 1_000_000 } });
}

function listUnder(idJson: string): string {
  return `{"jsonrpc":"2.0","id":${idJson},"method":"tools/list"}`;
}

async function post(
  { url }: TestHost,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const outgoing = sendRequest(url, {
    agent: false,
    method: "POST",
    headers: { ...SESSION_HEADERS, ...headers },
  }).end(body);
  // The emitter's own contract: `response` carries the message.
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  const bytes = await buffer(incoming);
  const isGzip = incoming.headers["content-encoding"] === "gzip";
  return {
    headers: incoming.headers,
    bytes,
    text: (isGzip ? gunzipSync(bytes) : bytes).toString(),
  };
}

/** Asks until the page is compressed. */
async function untilCompressed(host: TestHost, body = LIST): Promise<Answer> {
  const last: Answer[] = [];
  await expect
    .poll(
      async () => {
        last[0] = await post(host, body, READS_GZIP);
        return last[0].headers["content-encoding"];
      },
      { interval: 5, timeout: 10_000 },
    )
    .toBe("gzip");
  const [answer] = last;
  if (answer === undefined) throw new Error("nothing was asked");
  return answer;
}

test.for([0, 8_000, 16_350, 16_384, 500_000])(
  "a list with %d letters of text arrives whole, under the id of its request",
  async (letters) => {
    const page = pageOf(letters);
    await using host = await hostWith(page);
    const list = listUnder('"é🙂"');

    const answers = [
      await post(host, list),
      await post(host, list, { accept: "text/event-stream" }),
    ];

    const expected = `{"jsonrpc":"2.0","id":"é🙂","result":${page.toString()}}`;
    expect(answers.map(({ text }) => text)).toEqual([expected, `data: ${expected}\n\n`]);
  },
);

test("a client that reads gzip gets a page compressed, once it has been asked for a few times", async () => {
  const page = pageOf(100_000);
  await using host = await hostWith(page);

  const first = [];
  for (let asked = 0; asked < 4; asked += 1) first.push(await post(host, LIST, READS_GZIP));
  const later = await untilCompressed(host);

  expect(first.map(({ headers }) => headers["content-encoding"])).toEqual(Array(4).fill(undefined));
  const plain = `{"jsonrpc":"2.0","id":1,"result":${page.toString()}}`;
  expect(first.map(({ text }) => text)).toEqual(Array(4).fill(plain));
  expect(later.text).toBe(`{"jsonrpc":"2.0","result":${page.toString()},"id":1}`);
  expect(later.headers).toMatchObject({
    "content-type": "application/json",
    "content-length": String(later.bytes.length),
    vary: "accept-encoding",
  });
  expect(later.bytes.length).toBeLessThan(page.length / 50);
});

test.for([undefined, "identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0.5, identity"])(
  "a client that accepts %s gets the page as it is, and caches learn why",
  async (accepted) => {
    await using host = await hostWith(pageOf(100_000));
    await untilCompressed(host);

    const { headers, bytes } = await post(
      host,
      LIST,
      accepted === undefined ? {} : { "accept-encoding": accepted },
    );

    expect(headers["content-encoding"]).toBeUndefined();
    expect(headers.vary).toBe("accept-encoding");
    expect(JSON.parse(bytes.toString())).toHaveProperty("result.tools");
  },
);

test("a small page is never compressed, while a larger one is", async () => {
  const small = pageOf(8_000);
  const large = pageOf(8_200);
  await using host = await startHost({
    session: { list: (name) => (name === "tools" ? large : small) },
  });
  const prompts = LIST.replace("tools", "prompts");

  const answers = [];
  for (let asked = 0; asked < 6; asked += 1) answers.push(await post(host, prompts, READS_GZIP));
  await untilCompressed(host);
  answers.push(await post(host, prompts, READS_GZIP));

  expect(answers.filter(({ headers }) => headers["content-encoding"] !== undefined)).toEqual([]);
  expect(answers.filter(({ headers }) => headers.vary !== undefined)).toEqual([]);
});

test.for([
  "0",
  "-7",
  "9007199254740993",
  "1e3",
  '""',
  '"7"',
  String.raw`"\"}]\\\n\u00fc\ud83d\ude42"`,
  '"é🙂 \u2028"',
  `1.${"0".repeat(200_000)}`,
])("a compressed page has the id as the client wrote it: %s", async (idJson) => {
  const page = pageOf(100_000);
  await using host = await hostWith(page);
  await untilCompressed(host);

  const { headers, text } = await post(host, listUnder(idJson), READS_GZIP);

  expect(headers["content-encoding"]).toBe("gzip");
  expect(text).toBe(`{"jsonrpc":"2.0","result":${page.toString()},"id":${idJson}}`);
});

test("answers with one page differ in nothing but their ends", async () => {
  await using host = await hostWith(pageOf(100_000));
  const one = await untilCompressed(host);

  const other = await post(host, listUnder('"another"'), READS_GZIP);

  const stored = Buffer.from('},"id":1}').length + BLOCK_AND_TRAILER_BYTES;
  const common = one.bytes.subarray(0, -stored);
  expect(other.bytes.subarray(0, common.length)).toEqual(common);
});

test("another page is compressed anew", async () => {
  const pages = [pageOf(100_000), pageOf(100_001)];
  await using host = await startHost({
    session: { list: (_name, cursor) => pages[cursor === undefined ? 0 : 1] ?? Buffer.alloc(0) },
  });
  await untilCompressed(host);
  const next = '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"next"}}';

  const { text } = await untilCompressed(host, next);

  expect(text).toBe(`{"jsonrpc":"2.0","result":${String(pages[1])},"id":1}`);
});

test("a client that reads nothing but event streams gets no compressed ones", async () => {
  await using host = await hostWith(pageOf(100_000));
  await untilCompressed(host);

  const { headers, text } = await post(host, LIST, { ...READS_GZIP, accept: "text/event-stream" });

  expect(headers["content-encoding"]).toBeUndefined();
  expect(text).toMatch(/^data: \{"jsonrpc":"2.0","id":1,/);
});

test("a web site is told apart from others and from what it can read", async () => {
  const origin = "https://site.example";
  await using host = await startHost({
    session: { list: () => pageOf(100_000) },
    allowedOrigins: [origin],
  });

  const { headers } = await post(host, LIST, { ...READS_GZIP, origin });

  expect(headers.vary).toBe("origin, accept-encoding");
});

test("a stateless client reads the same page, with what its revision adds", async () => {
  const page = pageOf(100_000);
  await using host = await hostWith(page);
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "client", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const ask = async (encoding: string): Promise<Answer> =>
    post(
      host,
      JSON.stringify({
        jsonrpc: "2.0",
        id: "é",
        method: "tools/list",
        params: { _meta: meta },
      }),
      {
        "accept-encoding": encoding,
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/list",
      },
    );
  await untilCompressed(host);

  const [plain, compressed] = [await ask("identity"), await ask("gzip")];

  expect(plain.headers["content-encoding"]).toBeUndefined();
  expect(compressed.headers["content-encoding"]).toBe("gzip");
  expect(JSON.parse(compressed.text)).toEqual(JSON.parse(plain.text));
  expect(JSON.parse(plain.text)).toEqual({
    jsonrpc: "2.0",
    id: "é",
    result: {
      ...JSON.parse(page.toString()),
      resultType: "complete",
      ttlMs: 0,
      cacheScope: "private",
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "test", version: "0" } },
    },
  });
});

/** The head of the last block, the sum and the length of RFC 1951 and 1952. */
const BLOCK_AND_TRAILER_BYTES = 13;
