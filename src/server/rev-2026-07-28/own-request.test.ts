import { assert, boolean, integer, jsonValue, oneof, property, string } from "fast-check";
import { expect, test } from "vitest";
import type { JsonObject } from "../../domain/json.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundRequest,
} from "../../mcp/inbound-message.ts";
import { readEnvelope } from "./envelope.ts";
import { toOwnRequest } from "./own-request.ts";

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
  "io.modelcontextprotocol/clientInfo": { name: "c", version: "1" },
  "io.modelcontextprotocol/logLevel": "debug",
};

function parse(text: string): InboundRequest {
  const message = parseInbound(Buffer.from(text), DEFAULT_MESSAGE_LIMITS);
  if (message.kind !== "request") throw new Error(`no request: ${text}`);
  return message;
}

function own(text: string, requestState?: string): ReturnType<typeof toOwnRequest> {
  const given = parse(text);
  const envelope = readEnvelope(given.params);
  return toOwnRequest(given, {
    envelope,
    id: 41,
    ...(requestState !== undefined && { requestState }),
  });
}

test("only the id, the token and what is between neighbours changes in the bytes", () => {
  const big = '"n": 12345678901234567890 , "__proto__":{"a":1e400},"\\u0061":"\\/"';
  const meta = JSON.stringify(META).slice(1, -1);
  const text = `{ "jsonrpc":"2.0","id" : "x","method":"tools/call","params":{"arguments":{${big}},"_meta":{"a":1, ${meta}, "progressToken": "mine" ,"traceparent":"00"},"name":"tool"}}`;

  const { request, progressTokenJson } = own(text);

  expect(request.bytes.toString()).toBe(
    `{ "jsonrpc":"2.0","id" : 41,"method":"tools/call","params":{"arguments":{${big}},"_meta":{"a":1,"progressToken":41,"traceparent":"00"},"name":"tool"}}`,
  );
  expect(progressTokenJson).toBe('"mine"');
});

test("the request is the same to whoever reads it, and says where its name stands", () => {
  const always = property(
    string({ minLength: 1, maxLength: 20 }),
    oneof(
      integer(),
      string({ maxLength: 20 }).filter((id) => !id.startsWith("vmcp:")),
    ),
    jsonValue({ maxDepth: 3 }),
    boolean(),
    (name, id, value, isMetaFirst) => {
      const params = isMetaFirst
        ? { _meta: META, value, name }
        : { name, value, _meta: { ...META, other: value } };
      const { request } = own(JSON.stringify({ id, params, jsonrpc: "2.0", method: "m" }));

      const again = parse(request.bytes.toString());

      expect({ ...again, params: undefined }).toEqual({
        ...request,
        envelope: undefined,
        params: undefined,
      });
      expect(request.params).toEqual(again.params);
      const { start = 0, end = 0 } = request.nameSpan ?? {};
      expect(request.bytes.toString("utf8", start, end)).toBe(JSON.stringify(name));
    },
  );
  assert(always);
});

test("a state that was opened stands in place of the one that the client gave", () => {
  const params: JsonObject = { name: "t", requestState: "sealed", inputResponses: {}, _meta: META };
  const { request } = own(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "m", params }), 'a "b"');

  const sent = JSON.parse(request.bytes.toString());

  expect(sent.params).toEqual({ name: "t", requestState: 'a "b"', inputResponses: {}, _meta: {} });
  expect(request.params?.["requestState"]).toBe('a "b"');
});

test("a key of _meta that stands twice is refused, because two readers would read two requests", () => {
  const meta = JSON.stringify(META).slice(0, -1);
  const text = `{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":${meta},"progressToken":1,"ProgressToken":2}}}`;

  expect(() => own(text)).toThrow(expect.objectContaining({ code: "invalid_request" }));
});

test("large arguments are sent as they are under the session's id, and nobody reads them on the way", () => {
  const args = `{"n": 12345678901234567890 ,"text":"${"x".repeat(40_000)}"}`;
  const meta = JSON.stringify({ ...META, progressToken: "mine" });
  const text = `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"long_name","arguments":${args},"_meta":${meta}}}`;

  const { request } = own(text);

  const unread = Object.getOwnPropertyDescriptor(request.params, "arguments");
  const { start = 0, end = 0 } = request.nameSpan ?? {};
  expect(request.toSend?.('"t"')).toBeUndefined();
  expect(request.bytes.toString()).toBe(
    `{"jsonrpc":"2.0","id":41,"method":"tools/call","params":{"name":"long_name","arguments":${args},"_meta":{"progressToken":41}}}`,
  );
  expect(request.bytes.toString("utf8", start, end)).toBe('"long_name"');
  expect(unread).toHaveProperty("get", expect.any(Function));
  expect(request.params?.["arguments"]).toEqual(JSON.parse(args));
});

test("the envelope says who asks", () => {
  const { request } = own(
    JSON.stringify({ jsonrpc: "2.0", id: 1, method: "m", params: { _meta: META } }),
  );

  expect(request.envelope).toEqual({
    revision: "2026-07-28",
    capabilities: { elicitation: {} },
    info: { name: "c", version: "1" },
    logLevel: "debug",
  });
});
