import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { VmcpError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { BackendMessage, Exchange } from "../../mcp/exchange.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundRequest,
} from "../../mcp/inbound-message.ts";
import { ParkedRounds } from "./parked-rounds.ts";
import { Round, type Caller, type RoundHost } from "./round.ts";

const ELICITATION = { method: "elicitation/create", params: { message: "?" } };
const ROOTS = { method: "roots/list" };
const DONE = { jsonrpc: "2.0", id: 1, result: { content: [] } };

/** A call, and everything that happened to it. */
class Stage {
  readonly parked = new ParkedRounds(() => 60_000);
  /** What the client was told, in order. */
  readonly told: unknown[] = [];
  /** What backends were answered. */
  readonly answered: unknown[] = [];
  readonly cancelled: string[] = [];
  readonly round: Round;
  #handle = "";
  #closed: () => void = () => {};

  constructor(method = "tools/call") {
    const host: RoundHost = {
      answer: ({ bytes }) => void this.answered.push(JSON.parse(bytes.toString())),
      notify: ({ message }) => void this.told.push(message),
      park: (round) => {
        this.#handle = this.parked.park(round);
        return this.#handle;
      },
      relay: (state, serverId) => `${serverId}:${state}`,
    };
    this.round = new Round({ sessionKey: "k", method, subject: "s" }, host);
    const exchange: Exchange = {
      backend: "b",
      serverId: "s",
      cancel: (reason) => void this.cancelled.push(reason),
      pause() {},
      resume() {},
    };
    this.round.follow(exchange, this.#caller());
  }

  hears(value: JsonObject): void {
    this.round.event(toMessage({ jsonrpc: "2.0", ...value }));
  }

  /** The client comes back with these answers. */
  comesBack(inputResponses: JsonObject): boolean {
    const round = this.parked.take(this.#handle);
    round?.resume(this.#caller(), toRequest(inputResponses));
    return round !== undefined;
  }

  leaves(): void {
    this.#closed();
  }

  #caller(): Caller {
    const capabilities = { elicitation: {}, roots: {} };
    return {
      envelope: { revision: "2026-07-28", capabilities, info: {} },
      outlet: {
        listen: ({ closed }) => {
          this.#closed = closed;
        },
      },
      event: ({ message }) => this.told.push(message) > 0,
      answer: ({ message }, state) =>
        void this.told.push(state === undefined ? message : { message, state }),
      askForInput: (json) => void this.told.push(JSON.parse(json)),
      fail: ({ code }) => void this.told.push(code),
    };
  }
}

function toMessage(value: JsonObject): BackendMessage {
  // What a test says is a message.
  const message = value as unknown as BackendMessage["message"];
  return { bytes: Buffer.from(JSON.stringify(value)), message };
}

function toRequest(inputResponses: JsonObject): InboundRequest {
  const message = { jsonrpc: "2.0", id: 2, method: "tools/call", params: { inputResponses } };
  const parsed = parseInbound(Buffer.from(JSON.stringify(message)), DEFAULT_MESSAGE_LIMITS);
  if (parsed.kind !== "request") throw new Error("this is no request");
  return parsed;
}

test("what a backend asks at once, the client hears at once", async () => {
  const stage = new Stage();

  stage.hears({ id: "vmcp:1", ...ELICITATION });
  stage.hears({ id: "vmcp:2", ...ROOTS });
  await turn();

  expect(stage.told).toEqual([{ "input-1": ELICITATION, "input-2": ROOTS }]);
});

test("what a backend asks while the client is away is asked when it comes back", async () => {
  const stage = new Stage();
  stage.hears({ id: "vmcp:1", ...ELICITATION });
  await turn();
  stage.hears({ id: "vmcp:2", ...ROOTS });

  stage.comesBack({ "input-1": { action: "accept" } });

  expect(stage.answered).toEqual([{ jsonrpc: "2.0", id: "vmcp:1", result: { action: "accept" } }]);
  expect(stage.told).toEqual([{ "input-1": ELICITATION }, { "input-2": ROOTS }]);
});

test("an outcome that comes while the client is away is kept for it", async () => {
  const stage = new Stage();
  stage.hears({ id: "vmcp:1", ...ELICITATION });
  await turn();
  stage.round.fail(new VmcpError("backend_timeout", "too late"));

  stage.comesBack({ "input-1": { action: "accept" } });

  expect(stage.told.at(-1)).toBe("backend_timeout");
  expect(stage.answered).toMatchObject([{ id: "vmcp:1", error: { code: -32_603 } }]);
});

test("a question that the backend takes back is not asked any more", async () => {
  const stage = new Stage();
  stage.hears({ id: "vmcp:1", ...ELICITATION });
  stage.hears({ method: "notifications/cancelled", params: { requestId: "vmcp:1" } });
  await turn();

  stage.round.answer(toMessage(DONE));

  expect(stage.told).toEqual([DONE]);
});

test.for([
  ["a method that no answer can carry", "tools/call", { method: "tasks/get" }],
  ["anything during a call that cannot ask", "completion/complete", ELICITATION],
] as const)("%s is refused to the backend", async ([, method, asked]) => {
  const stage = new Stage(method);

  stage.hears({ id: "vmcp:1", ...asked });
  await turn();

  expect(stage.answered).toMatchObject([{ id: "vmcp:1", error: { code: -32_601 } }]);
  expect(stage.told).toEqual([]);
});

test("a client that cannot be asked this is told what it lacks, and the call is cancelled", async () => {
  const stage = new Stage();

  stage.hears({ id: "vmcp:1", method: "sampling/createMessage", params: {} });
  await turn();

  expect(stage.told).toEqual(["client_capability_missing"]);
  expect(stage.cancelled).toHaveLength(1);
});

test("a client that leaves while it waits has its call cancelled, and hears nothing more", () => {
  const stage = new Stage();

  stage.leaves();
  stage.round.answer(toMessage(DONE));

  expect(stage.cancelled).toHaveLength(1);
  expect(stage.told).toEqual([]);
});

test.for<[string, (stage: Stage) => void]>([
  ["its client leaves", (stage) => stage.leaves()],
  ["nobody can come back", (stage) => stage.parked.abandonAll("The end")],
  ["its backend answers without waiting", ({ round }) => round.answer(toMessage(DONE))],
])("a question is answered to its backend where %s", async ([, end]) => {
  const stage = new Stage();
  stage.hears({ id: "vmcp:1", ...ELICITATION });
  stage.hears({ id: "vmcp:2", ...ROOTS });
  await turn();
  stage.comesBack({ "input-1": { action: "accept" } });

  end(stage);

  expect(stage.answered).toMatchObject([
    { id: "vmcp:1", result: { action: "accept" } },
    { id: "vmcp:2", error: { code: -32_603 } },
  ]);
});

test("a question that its client cannot be asked is answered to its backend", async () => {
  const stage = new Stage();

  stage.hears({ id: "vmcp:1", method: "sampling/createMessage", params: {} });
  await turn();

  expect(stage.answered).toMatchObject([{ id: "vmcp:1", error: { code: -32_603 } }]);
});

test("the state of a stateless backend goes to the client in the form that the host gives it", () => {
  const stage = new Stage();
  const asked = { ...DONE, result: { resultType: "input_required", requestState: "x" } };

  stage.round.answer(toMessage(asked));

  expect(stage.told).toEqual([{ message: asked, state: "s:x" }]);
});

test("what belongs to no request is left to the host", () => {
  const stage = new Stage();
  const updated = { jsonrpc: "2.0", method: "notifications/resources/updated" } as const;

  stage.hears(updated);

  expect(stage.told).toEqual([updated]);
});

test("calls that wait are given up where a session has too many, the oldest first", async () => {
  const stages = Array.from({ length: 65 }, () => new Stage());
  const parked = new ParkedRounds(() => 60_000);

  for (const { round } of stages) parked.park(round);

  const cancelled = stages.map((stage) => stage.cancelled.length);
  expect(cancelled).toEqual([1, ...Array.from({ length: 64 }, () => 0)]);
});

test("where nobody can come back any more, every call that waits is given up", async () => {
  const stage = new Stage();
  stage.hears({ id: "vmcp:1", ...ELICITATION });
  await turn();

  stage.parked.abandonAll("The end");

  expect(stage.cancelled).toEqual(["The end"]);
  expect(stage.comesBack({})).toBe(false);
});
