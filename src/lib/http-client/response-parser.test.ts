import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_HEAD_BYTES, ResponseParser } from "./response-parser.ts";

interface Read {
  readonly statuses: readonly number[];
  readonly headers: readonly string[];
  readonly body: string;
  readonly isDone: boolean;
  readonly keepAliveMs: number;
}

/** Reads the pieces as a socket would give them: all in the same memory, one after the other. */
function read(...pieces: readonly string[]): Read {
  const parser = new ResponseParser();
  const memory = Buffer.alloc(65_536);
  const statuses: number[] = [];
  const bodies: Buffer[] = [];
  let headers: readonly string[] = [];
  for (const piece of pieces) {
    const length = memory.write(piece, "latin1");
    parser.read(memory, length);
    if (parser.head !== undefined) {
      statuses.push(parser.head.status);
      headers = parser.head.headers;
    }
    if (parser.body !== undefined) bodies.push(parser.body);
    memory.fill("\r\n\r\n");
  }
  const body = Buffer.concat(bodies).toString("latin1");
  return { statuses, headers, body, isDone: parser.isDone, keepAliveMs: parser.keepAliveMs };
}

const OK = "HTTP/1.1 200 OK\r\n";

test("a head is its status and its headers, with names in lower case and values without their edges", () => {
  const text = `${OK}Content-Type:a/b\r\nX-Empty:\r\nx-Wide: \t a : b \t\r\nContent-Length: 0\r\n\r\n`;

  expect(read(text)).toMatchObject({
    statuses: [200],
    headers: ["content-type", "a/b", "x-empty", "", "x-wide", "a : b", "content-length", "0"],
    body: "",
    isDone: true,
  });
});

describe("a body ends", () => {
  test.for([
    ["after its length", `${OK}content-length: 3\r\n\r\nabc`, "abc", true],
    ["not before its length", `${OK}content-length: 4\r\n\r\nabc`, "abc", false],
    ["at once with a length of 0", `${OK}content-length: 0\r\n\r\n`, "", true],
    ["with its last chunk", chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde", true],
    ["not before its last chunk", chunked("3\r\nabc\r\n"), "abc", false],
    ["behind the trailers", chunked("1\r\na\r\n0\r\nx: y\r\nz:\r\n\r\n"), "a", true],
    ["not before the trailers do", chunked("1\r\na\r\n0\r\nx: y\r\n"), "a", false],
    ["with no chunk at all", chunked("0\r\n\r\n"), "", true],
    [
      "with a chunk whose size has zeros and letters",
      chunked("00C\r\n0123456789ab\r\n0\r\n\r\n"),
      "0123456789ab",
      true,
    ],
    [
      "with chunks that have extensions",
      chunked('1;a="b"\r\nx\r\n1 ;c\r\ny\r\n0;d\r\n\r\n'),
      "xy",
      true,
    ],
    ["never where nothing says how long it is", `${OK}\r\nabc`, "abc", false],
    ["at once with a status that has none", "HTTP/1.1 204 No Content\r\n\r\n", "", true],
    [
      "at once with 304, whatever length that says",
      "HTTP/1.1 304 \r\ncontent-length: 5\r\n\r\n",
      "",
      true,
    ],
  ] as const)("%s", ([, text, body, isDone]) => {
    expect(read(text)).toMatchObject({ body, isDone });
  });
});

test("a body without a length is whole when the connection ends, and no other is", () => {
  const open = new ResponseParser();
  const sized = new ResponseParser();

  open.read(Buffer.from(`${OK}\r\nabc`), OK.length + 5);
  sized.read(Buffer.from(`${OK}content-length: 9\r\n\r\nabc`), OK.length + 24);

  expect([open.end(), sized.end()]).toEqual([true, false]);
});

test.for([
  ["HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n", 404],
  ["HTTP/1.1 500 Ünder construction\r\ncontent-length: 0\r\n\r\n", 500],
  ["HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", 200],
  [
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
    202,
  ],
] as const)("%j has the status %i", ([text, status]) => {
  expect(read(text)).toMatchObject({ statuses: [status], isDone: true });
});

describe("it does not read", () => {
  test.for([
    ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n\r\n"],
    ["another version", "HTTP/2 200\r\ncontent-length: 0\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["a switch of protocols", "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n"],
    ["interim answers without end", "HTTP/1.1 100 \r\n\r\n".repeat(9)],
    ["a line without a colon", `${OK}abc\r\n\r\n`],
    ["a header without a name", `${OK}: abc\r\n\r\n`],
    ["a blank before the colon", `${OK}content-length : 3\r\n\r\nabc`],
    ["a folded line", `${OK}a: b\r\n c\r\n\r\n`],
    ["a bare line feed", `${OK}a: b\ncontent-length: 3\r\n\r\nabc`],
    ["a bare carriage return", `${OK}a: b\rc\r\n\r\n`],
    ["a zero byte", `${OK}a: b\u0000\r\n\r\n`],
    ["two lengths", `${OK}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`],
    ["the same length twice", `${OK}content-length: 3\r\ncontent-length: 3\r\n\r\nabc`],
    ["a list of lengths", `${OK}content-length: 3, 3\r\n\r\nabc`],
    ["a length with a sign", `${OK}content-length: +3\r\n\r\nabc`],
    ["a length in hexadecimal", `${OK}content-length: 0x3\r\n\r\nabc`],
    ["a length without digits", `${OK}content-length:\r\n\r\nabc`],
    ["a length beyond numbers", `${OK}content-length: 9999999999999999\r\n\r\nabc`],
    [
      "a length beside chunks",
      `${OK}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["another transfer coding", `${OK}transfer-encoding: gzip\r\n\r\n`],
    ["two transfer codings", `${OK}transfer-encoding: gzip, chunked\r\n\r\n`],
    [
      "a transfer coding said twice",
      `${OK}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["a chunk without a size", chunked("\r\nabc")],
    ["a chunk whose size is no number", chunked("3x\r\nabc\r\n0\r\n\r\n")],
    ["a chunk whose size has a sign", chunked("-3\r\nabc\r\n0\r\n\r\n")],
    ["a chunk whose size ends in a line feed alone", chunked("3\nabc\r\n0\r\n\r\n")],
    ["an extension that ends in a line feed alone", chunked("3;a\nabc\r\n0\r\n\r\n")],
    ["a chunk that is longer than it says", chunked("3\r\nabcd\r\n0\r\n\r\n")],
    ["a chunk of more bytes than numbers count", chunked("fffffffffffffff\r\nabc")],
    ["an extension without end", chunked(`3;${"a".repeat(2_000)}`)],
    ["a trailer that ends in a line feed alone", chunked("0\r\nx: y\n\r\n")],
    ["trailers without end", chunked(`0\r\n${"x: y\r\n".repeat(4_000)}`)],
  ] as const)("%s", ([, text]) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: "ERR_MALFORMED_RESPONSE" }));
  });
});

test("a head of as many bytes as it may have is read, and one of one more is not, in pieces or at once", () => {
  const withHead = (bytes: number): string =>
    `${OK}a: ${"b".repeat(bytes - OK.length - 3)}\r\n\r\n`;
  const inPieces = (text: string): string[] => text.match(/.{1,1000}/gs) ?? [];
  const tooLarge = expect.objectContaining({ code: "ERR_RESPONSE_HEAD_TOO_LARGE" });

  expect(read(withHead(MAX_HEAD_BYTES)).statuses).toEqual([200]);
  expect(read(...inPieces(withHead(MAX_HEAD_BYTES))).statuses).toEqual([200]);
  for (const cut of [1, 2, 3]) {
    const text = withHead(MAX_HEAD_BYTES);
    expect(read(text.slice(0, -cut), text.slice(-cut)).statuses).toEqual([200]);
  }
  expect(() => read(withHead(MAX_HEAD_BYTES + 1))).toThrow(tooLarge);
  expect(() => read(...inPieces(withHead(MAX_HEAD_BYTES + 1)))).toThrow(tooLarge);
  expect(() => read(...inPieces("x".repeat(MAX_HEAD_BYTES + 4)))).toThrow(tooLarge);
});

describe("the connection is kept", () => {
  test.for([
    ["for a while where nothing is said", OK, 4_000],
    ["a second less than the server says", `${OK}keep-alive: timeout=30, max=5\r\n`, 29_000],
    ["ten minutes at most", `${OK}keep-alive: timeout=99999\r\n`, 600_000],
    ["not for a second", `${OK}keep-alive: timeout=1\r\n`, 0],
    ["not where it is closed", `${OK}connection: Foo, Close\r\n`, 0],
    [
      "not where it is closed by one of two",
      `${OK}connection: keep-alive\r\nconnection: close\r\n`,
      0,
    ],
    ["not by HTTP/1.0", "HTTP/1.0 200 OK\r\n", 0],
    ["by HTTP/1.0 that says so", "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\n", 4_000],
  ] as const)("%s", ([, head, keepAliveMs]) => {
    expect(read(`${head}content-length: 1\r\n\r\na`)).toMatchObject({ isDone: true, keepAliveMs });
  });

  test("not where more comes than was asked for", () => {
    const answer = `${OK}content-length: 1\r\n\r\na`;

    expect(read(answer + answer)).toMatchObject({ body: "a", keepAliveMs: 0 });
    expect(read(`${chunked("0\r\n\r\n")}x`)).toMatchObject({ body: "", keepAliveMs: 0 });
  });
});

test("it reads one response after the other", () => {
  const parser = new ResponseParser();
  const first = Buffer.from(chunked("1\r\na\r\n0\r\n\r\n"));
  const second = Buffer.from("HTTP/1.1 100 \r\n\r\nHTTP/1.1 201 \r\ncontent-length: 1\r\n\r\nb");

  parser.read(first, first.length);
  parser.reset();
  parser.read(second, second.length);

  expect(parser.head?.status).toBe(201);
  expect(parser.body?.toString()).toBe("b");
  expect(parser.isDone).toBe(true);
});

test("whatever pieces a response comes in, it is the same response", () => {
  const chunk = fc.string({ minLength: 1, maxLength: 40, unit: "binary-ascii" });
  const framed = fc.oneof(
    chunk.map((body) => `${OK}content-length: ${body.length}\r\n\r\n${body}`),
    chunk.map((body) => `${OK}x: y\r\n\r\n${body}`),
    fc
      .array(chunk, { maxLength: 6 })
      .map((bodies) =>
        chunked(
          [...bodies, ""]
            .map((body) => `${body.length.toString(16)}\r\n${body}${body === "" ? "" : "\r\n"}`)
            .join("") + "x: y\r\n\r\n",
        ),
      ),
  );
  const interim = fc.constantFrom("", "HTTP/1.1 100 Continue\r\n\r\n");

  fc.assert(
    fc.property(
      interim,
      framed,
      fc.array(fc.nat(400), { maxLength: 30 }),
      (before, response, cuts) => {
        const text = before + response;
        const places = [
          0,
          ...cuts.map((cut) => cut % text.length).toSorted((a, b) => a - b),
          text.length,
        ];
        const pieces = places.slice(1).map((end, index) => text.slice(places[index], end));

        expect(read(...pieces.filter((piece) => piece !== ""))).toEqual(read(text));
      },
    ),
  );
});

function chunked(body: string): string {
  return `${OK}transfer-encoding: Chunked\r\n\r\n${body}`;
}
