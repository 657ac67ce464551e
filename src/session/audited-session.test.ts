import { describe, expect, test } from "vitest";
import { createLiveSession, inboundRequest } from "../../test/support/sessions.ts";
import {
  fakeBackend,
  type FakeBackend,
  type FakeOptions,
} from "../../test/support/fake-backends.ts";
import { openSession } from "../../test/support/sessions.ts";
import { VmcpError } from "../domain/errors.ts";
import type { AnswerSink } from "../mcp/exchange.ts";
import { edgeSession } from "../gateway/testing/edge-session.ts";
import { AuditedSession } from "./audited-session.ts";
import type { EdgeSession } from "./edge-session.ts";
import type { CallRecord, SessionAudit } from "./session-audit.ts";

interface RecordedAudit extends SessionAudit {
  readonly events: readonly string[];
}

function recordedAudit(
  options: { readonly refuses?: boolean; readonly isBlind?: boolean } = {},
): RecordedAudit {
  const events: string[] = [];
  const write = (event: string): void => {
    if (options.refuses === true) throw new VmcpError("store_unavailable", "cannot be written");
    events.push(event);
  };
  const record: CallRecord = {
    answered: (_answer, backend) => write(`answered by ${backend ?? "nobody"}`),
    failed: ({ code }, backend) => write(`failed ${code} ${backend ?? ""}`.trim()),
    cancelled: (backend) => write(`cancelled ${backend ?? ""}`.trim()),
  };
  return {
    events,
    callBegins: ({ method }) => {
      if (options.isBlind === true) return undefined;
      write(`begins ${method}`);
      return record;
    },
    listing: (name) => write(`lists ${name}`),
    listingFailed: (name, { code }) => write(`cannot list ${name} ${code}`),
  };
}

interface HeardSink extends AnswerSink {
  readonly heard: readonly string[];
  readonly ended: Promise<void>;
}

function heardSink(): HeardSink {
  const heard: string[] = [];
  let end: (text: string) => void = () => {};
  const ended = new Promise<void>((resolve) => {
    end = (text) => {
      heard.push(text);
      resolve();
    };
  });
  return {
    heard,
    ended,
    event: () => true,
    answer: () => end("answer"),
    fail: ({ code }) => end(code),
    cancelled: () => end("cancelled"),
  };
}

const CALL = inboundRequest(1, "tools/call", { name: "t", arguments: {} });

async function open(
  audit: SessionAudit,
  options: FakeOptions = {},
): Promise<{ readonly session: AuditedSession; readonly backend: FakeBackend }> {
  const backend = fakeBackend("b1", { tools: ["t"], ...options });
  return { session: new AuditedSession(await openSession([backend]), audit), backend };
}

describe("a request", () => {
  test("is on record before its backend has it, and its end before the client hears of it", async () => {
    const audit = recordedAudit();
    const seen: string[][] = [];
    const { session } = await open(audit, {
      answer: async () => {
        seen.push([...audit.events]);
        return {};
      },
    });
    await using _closing = session;
    const sink = heardSink();

    session.forward(CALL, {
      ...sink,
      answer: (message) => {
        seen.push([...audit.events]);
        sink.answer(message);
      },
    });
    await sink.ended;

    expect(seen).toEqual([["begins tools/call"], ["begins tools/call", "answered by b1"]]);
  });

  test("that cannot be recorded goes nowhere [F36]", async () => {
    const { session, backend } = await open(recordedAudit({ refuses: true }));
    await using _closing = session;

    expect(() => session.forward(CALL, heardSink())).toThrow(
      expect.objectContaining({ code: "store_unavailable" }),
    );
    expect(backend.connections[0]?.received).toEqual([]);
  });

  test("that is refused here has its end on record too", async () => {
    const audit = recordedAudit();
    const { session } = await open(audit);
    await using _closing = session;
    const unknown = inboundRequest(1, "tools/call", { name: "other" });

    expect(() => session.forward(unknown, heardSink())).toThrow("Unknown tool");

    expect(audit.events).toEqual(["begins tools/call", "failed capability_not_found"]);
  });

  test("whose kind is not recorded is passed on as it is", async () => {
    const audit = recordedAudit({ isBlind: true });
    const { session } = await open(audit, { answer: async () => ({}) });
    await using _closing = session;
    const sink = heardSink();

    session.forward(CALL, sink);
    await sink.ended;

    expect(sink.heard).toEqual(["answer"]);
    expect(audit.events).toEqual([]);
  });

  test("that its client cancels is on record as cancelled", async () => {
    const audit = recordedAudit();
    const { session } = await open(audit, { answer: async () => new Promise(() => {}) });
    await using _closing = session;
    const sink = heardSink();

    session.forward(CALL, sink);
    const params = { requestId: 1 };
    const method = "notifications/cancelled";
    session.notify({ kind: "notification", method, params, bytes: Buffer.from("{}") });
    await sink.ended;

    expect(sink.heard).toEqual(["cancelled"]);
    expect(audit.events).toEqual(["begins tools/call", "cancelled b1"]);
  });

  test("whose client went away is on record as cancelled", async () => {
    const audit = recordedAudit();
    const { session } = await open(audit, { answer: async () => new Promise(() => {}) });
    await using _closing = session;

    session.forward(CALL, heardSink()).cancel("gone");

    expect(audit.events).toEqual(["begins tools/call", "cancelled b1"]);
  });

  test("that is cut when its session ends is on record as failed", async () => {
    const audit = recordedAudit();
    const { session } = await open(audit, { answer: async () => new Promise(() => {}) });
    const sink = heardSink();
    session.forward(CALL, sink);

    await session.close(new VmcpError("shutting_down", "The gateway shut down"));

    expect(sink.heard).toEqual(["shutting_down"]);
    expect(audit.events).toEqual(["begins tools/call", "failed shutting_down b1"]);
  });

  test("made by code of this process is recorded like any other", async () => {
    const audit = recordedAudit();
    const { session } = await open(audit, { answer: async () => ({ content: [] }) });
    await using _closing = session;

    await session.callTool("t", {});

    expect(audit.events).toEqual(["begins tools/call", "answered by b1"]);
  });
});

describe("a list", () => {
  test("is on record before it is shown", async () => {
    const audit = recordedAudit();
    const { session } = await open(audit);
    await using _closing = session;

    session.list("tools");

    expect(audit.events).toEqual(["lists tools"]);
  });

  test("that cannot be recorded is not shown [F36]", async () => {
    const { session } = await open(recordedAudit({ refuses: true }));
    await using _closing = session;

    expect(() => session.list("tools")).toThrow(
      expect.objectContaining({ code: "store_unavailable" }),
    );
  });

  test("asked for with a cursor that leads nowhere is on record as that", async () => {
    const audit = recordedAudit();
    const { session } = await open(audit);
    await using _closing = session;

    expect(() => session.list("tools", "nowhere")).toThrow("The cursor is not of this list");

    expect(audit.events).toEqual(["cannot list tools invalid_params"]);
  });
});

test("in all else it is the session that it was made of", async () => {
  const live = createLiveSession({});
  const session = new AuditedSession(live, recordedAudit());
  await using _closing = session;

  const said = (given: EdgeSession): unknown => [
    [given.id, given.identity, given.client, given.createdAtMs, given.lastUsedAtMs],
    [given.isBusy, given.isUnused, given.metadata, given.backends()],
    [given.tools, given.prompts, given.resources],
  ];

  expect(said(session)).toEqual(said(live));
});

test("what the session is told reaches it", async () => {
  const told: string[] = [];
  const tell = (what: string) => (): void => void told.push(what);
  const session = new AuditedSession(
    edgeSession({
      touch: tell("touch"),
      notify: tell("notify"),
      answer: tell("answer"),
      setLogLevel: tell("setLogLevel"),
      retry: tell("retry"),
      async [Symbol.asyncDispose]() {
        told.push("close");
      },
    }),
    recordedAudit(),
  );

  session.touch();
  session.notify({ kind: "notification", method: "m", params: {}, bytes: Buffer.from("{}") });
  session.answer({
    kind: "response",
    id: 1,
    idSpan: { start: 0, end: 1 },
    bytes: Buffer.from("{}"),
  });
  session.setLogLevel("info");
  await session.close(new VmcpError("session_closed", "closed"));

  expect(told).toEqual(["touch", "notify", "answer", "setLogLevel", "close"]);
});
