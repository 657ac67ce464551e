import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { filesystemCommand, startEverythingServer } from "../support/npm-servers.ts";
import { openRawSession } from "../support/raw-client.ts";

const ODD_TOOL = JSON.stringify({
  name: "odd",
  title: "Odd tool",
  description: "keeps everything",
  icons: [{ src: "data:image/png;base64,AAAA", mimeType: "image/png", sizes: ["48x48"] }],
  inputSchema: { type: "object", properties: { n: { maximum: 1 } }, $defs: { a: {} } },
  outputSchema: { type: "array", items: {} },
  annotations: { readOnlyHint: true, vendorHint: "x" },
  execution: { taskSupport: "optional" },
  _meta: { "vendor.example/tag": 7 },
  vendorField: { nested: [1, 2] },
}).replace('"maximum":1', '"maximum":9223372036854775807');

const ODD_RESULT =
  '{"content":[{"type":"text","text":"t","_meta":{"a":1},"annotations":{"audience":["user"]}},' +
  '{"type":"hologram","data":{"x":1.50}},{"type":"resource_link","uri":"x://y","name":"y"}],' +
  '"structuredContent":[1,{"big":12345678901234567890}],"_meta":{"vendor":true},"vendorResult":1e2}';

const ODD_RESOURCE =
  '{"uri":"odd://r","name":"r","title":"R","icons":[],"size":3,"_meta":{"k":"v"},"vendor":1}';
const ODD_TEMPLATE = '{"uriTemplate":"odd://{id}","name":"t","title":"T","_meta":{"k":2}}';
const ODD_PROMPT =
  '{"name":"p","title":"P","arguments":[{"name":"a","title":"A","x":1}],"_meta":{"k":3},"icons":[]}';

const ODD_BACKEND = {
  tools: [ODD_TOOL],
  results: new Map([["odd", ODD_RESULT]]),
  resources: [ODD_RESOURCE],
  resourceTemplates: [ODD_TEMPLATE],
  prompts: [ODD_PROMPT],
} as const;

/** The text of a member's value in a JSON-RPC answer, untouched by any parser of numbers. */
function resultText(answer: string): string {
  return answer.slice(answer.indexOf('"result":') + '"result":'.length, -1);
}

describe.each(["HTTP with JSON answers", "HTTP with event streams", "stdio"])("over %s", (kind) => {
  async function startOdd() {
    if (kind === "stdio") {
      const backend = await startStdioLedger(ODD_BACKEND);
      return { backend, config: { command: backend.command, args: [...backend.args] } };
    }
    const answerAs = kind.endsWith("streams") ? "sse" : "json";
    const backend = await startHttpLedger({ ...ODD_BACKEND, answerAs });
    return { backend, config: { url: backend.url } };
  }

  test("what a backend lists arrives as it was sent, apart from names [A14]", async () => {
    const { backend, config } = await startOdd();
    await using _backend = backend;
    await using gateway = await startGateway({
      backends: [{ name: "b1", ...config }],
      aggregation: { conflictResolution: "prefix" },
    });
    const session = await openRawSession(gateway.url);

    const list = async (method: string) =>
      (await session.post({ jsonrpc: "2.0", id: method, method })).text;

    expect(await list("tools/list")).toContain(ODD_TOOL.replace('"name":"odd"', '"name":"b1_odd"'));
    expect(await list("prompts/list")).toContain(ODD_PROMPT.replace('"name":"p"', '"name":"b1_p"'));
    expect(await list("resources/list")).toContain(ODD_RESOURCE);
    expect(await list("resources/templates/list")).toContain(ODD_TEMPLATE);
  });

  test("a result arrives byte for byte, unknown blocks and big numbers included [A14]", async () => {
    const { backend, config } = await startOdd();
    await using _backend = backend;
    await using gateway = await startGateway({ backends: [{ name: "b1", ...config }] });
    const session = await openRawSession(gateway.url);

    const answer = await session.post({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "odd" },
    });

    expect(answer.headers["content-type"]).toBe("application/json");
    expect(resultText(answer.text)).toBe(ODD_RESULT);
  });

  test("arguments arrive byte for byte, whatever stands in them [B8]", async () => {
    const { backend, config } = await startOdd();
    await using _backend = backend;
    await using gateway = await startGateway({
      backends: [{ name: "b1", ...config }],
      aggregation: { conflictResolution: "prefix" },
    });
    const session = await openRawSession(gateway.url);
    const args =
      '{"__proto__":{"polluted":true},"big":9007199254740993,"exp":1e400,"text":"\\ud83d\\ude00 ü \\u0000","z":1,"a":2}';

    const answer = await session.post(
      `{"params":{"arguments":${args},"name":"b1_raw"},"method":"tools/call","jsonrpc":"2.0","id":1}`,
    );

    expect(JSON.parse(answer.text).result.content[0].text).toBe(args);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  test("a megabyte of arguments and four megabytes of result pass unchanged [B8]", async () => {
    const { backend, config } = await startOdd();
    await using _backend = backend;
    await using gateway = await startGateway({ backends: [{ name: "b1", ...config }] });
    const session = await openRawSession(gateway.url);
    const text = "äöü€😀 ".repeat(80_000);

    const echoed = await session.request("tools/call", { name: "echo", arguments: { text } });
    const big = await session.request("tools/call", {
      name: "big",
      arguments: { bytes: 4 * 1024 * 1024 - 1024 },
    });

    expect(Buffer.byteLength(text)).toBeGreaterThan(1_000_000);
    expect(echoed).toMatchObject({ result: { content: [{ text }] } });
    const { result } = big as { result: { content: { text: string }[] } };
    expect(result.content[0]?.text).toHaveLength(4 * 1024 * 1024 - 1024);
  }, 60_000);
});

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("a result without structuredContent has none [A15]", async () => {
    await using everything = await startEverythingServer();
    await using gateway = await startGateway({ backends: [{ name: "e", url: everything.url }] });
    await using client = await connect(gateway.url);

    const plain = await client.call("echo", { message: "hi" });
    const structured = await client.call("get-structured-content", { location: "New York" });

    expect(plain).not.toHaveProperty("structuredContent");
    expect(structured).toHaveProperty("structuredContent.temperature");
  });

  test("a megabyte of unicode in, four megabytes of a file out, and odd keys pass npm servers unchanged [B8]", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vmcp-big-"));
    onTestFinished(async () => rm(folder, { recursive: true }));
    const file = join(folder, "big.txt");
    const content = "äöü€😀 abc\n".repeat(230_000);
    await writeFile(file, content);
    await using everything = await startEverythingServer();
    const { command, args } = filesystemCommand(folder);
    await using gateway = await startGateway({
      backends: [
        { name: "e", url: everything.url },
        { name: "files", command, args: [...args] },
      ],
    });
    await using client = await connect(gateway.url);
    const message = "ü😀 ".repeat(150_000);

    const echoed = await client.callText("echo", {
      message,
      ["__proto__"]: 1,
      big: 2 ** 53 + 2,
    });
    const read = await client.callText("read_text_file", { path: file });

    expect(Buffer.byteLength(message)).toBeGreaterThan(1_000_000);
    expect(Buffer.byteLength(content)).toBeGreaterThan(4_000_000);
    expect(echoed).toBe(`Echo: ${message}`);
    expect(read).toBe(content);
  }, 60_000);

  test("every tool of server-everything looks the same with and without the gateway [A14]", async () => {
    await using everything = await startEverythingServer();
    await using gateway = await startGateway({ backends: [{ name: "e", url: everything.url }] });
    await using direct = await connect(everything.url);
    await using client = await connect(gateway.url);

    expect(await client.listTools()).toEqual(await direct.listTools());
    for (const [name, args] of [
      ["echo", { message: "ü" }],
      ["get-tiny-image", {}],
      ["get-resource-links", { count: 3 }],
      ["get-annotated-message", { messageType: "error", includeImage: true }],
    ] as const) {
      expect(await client.call(name, args)).toEqual(await direct.call(name, args));
    }
  });
});
