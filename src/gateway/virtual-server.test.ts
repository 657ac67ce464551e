import { describe, expect, test } from "vitest";
import type { AnswerSink } from "../mcp/exchange.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundRequest,
} from "../mcp/inbound-message.ts";
import { ENDED_EXCHANGE } from "../mcp/exchange.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { edgeSession } from "./testing/edge-session.ts";
import { serveRequest } from "./virtual-server.ts";

const SINK: AnswerSink = { event: () => true, answer() {}, fail() {} };

function request(method: string, params?: string): InboundRequest {
  const given = params === undefined ? "" : `,"params":${params}`;
  const text = `{"jsonrpc":"2.0","id":"r","method":"${method}"${given}}`;
  // The text is a request.
  return parseInbound(Buffer.from(text), DEFAULT_MESSAGE_LIMITS) as InboundRequest;
}

function serve(asked: InboundRequest, session: Partial<EdgeSession> = {}): unknown {
  const reply = serveRequest(edgeSession(session), asked, SINK);
  return reply.kind === "answer" ? JSON.parse(reply.bytes.toString()) : reply;
}

describe("answered here", () => {
  test.for([
    ["tools/list", "tools"],
    ["prompts/list", "prompts"],
    ["resources/list", "resources"],
    ["resources/templates/list", "resourceTemplates"],
  ] as const)("%s with the session's list of %s", ([method, name]) => {
    expect(serve(request(method))).toEqual({ jsonrpc: "2.0", id: "r", result: { [name]: [] } });
  });

  test("a cursor is the session's to understand", () => {
    const cursors: unknown[] = [];
    const list: EdgeSession["list"] = (_name, cursor) => {
      cursors.push(cursor);
      return Buffer.from("{}");
    };

    serve(request("tools/list", '{"cursor":"7"}'), { list });
    serve(request("tools/list", "{}"), { list });

    expect(cursors).toEqual(["7", undefined]);
  });

  test("ping, which is a sign of life", () => {
    let touches = 0;
    const touch = (): void => {
      touches += 1;
    };

    expect(serve(request("ping"), { touch })).toEqual({ jsonrpc: "2.0", id: "r", result: {} });
    expect(touches).toBe(1);
  });

  test("a log level that RFC 5424 has, which the session is told", () => {
    const levels: string[] = [];
    const setLogLevel = (level: string): void => void levels.push(level);

    serve(request("logging/setLevel", '{"level":"warning"}'), { setLogLevel });

    expect(levels).toEqual(["warning"]);
  });

  test.for(['{"level":"shout"}', '{"level":4}', '{"level":"__proto__"}', "{}"])(
    "the level in %s is refused and nobody is told",
    (params) => {
      const levels: string[] = [];
      const setLogLevel = (level: string): void => void levels.push(level);

      expect(() => serve(request("logging/setLevel", params), { setLogLevel })).toThrow(
        expect.objectContaining({ code: "invalid_params" }),
      );
      expect(levels).toEqual([]);
    },
  );

  test("a second initialize with a refusal", () => {
    expect(() => serve(request("initialize"))).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  });
});

test.for(["tools/call", "prompts/get", "resources/read", "completion/complete", "vendor/method"])(
  "%s goes to the session as the client wrote it",
  (method) => {
    const forwarded: InboundRequest[] = [];
    const asked = request(method, '{"name":"x"}');

    const reply = serve(asked, {
      forward: (given, sink) => {
        forwarded.push(given);
        expect(sink).toBe(SINK);
        return ENDED_EXCHANGE;
      },
    });

    expect(forwarded).toEqual([asked]);
    expect(reply).toEqual({ kind: "exchange", exchange: ENDED_EXCHANGE });
  },
);

test.for(["tools/list", "ping", "tools/call", "logging/setLevel"])(
  "%s with params that are no object is refused before anything is sent",
  (method) => {
    let wasSent = false;
    const forward: EdgeSession["forward"] = () => {
      wasSent = true;
      return ENDED_EXCHANGE;
    };

    expect(() => serve(request(method, "[]"), { forward })).toThrow(
      expect.objectContaining({ code: "invalid_params" }),
    );
    expect(wasSent).toBe(false);
  },
);
