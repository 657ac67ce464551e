import { describe, expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import type { BackendStanding } from "../session/edge-session.ts";
import { initializeAnswer, initializeResult, readClientProfile } from "./initialize.ts";
import { edgeSession } from "./testing/edge-session.ts";

const SERVER = { name: "vmcp", version: "1.2.3" };

function ready(
  name: string,
  { instructions, capabilities = {} }: { instructions?: string; capabilities?: JsonObject } = {},
): BackendStanding {
  const greeting = { revision: "2025-11-25", capabilities, serverInfo: {}, instructions };
  return { name: parseBackendName(name), phase: "ready", greeting, failure: undefined };
}

function failed(name: string): BackendStanding {
  const failure = new VmcpError("backend_unreachable", `Backend "${name}" is unavailable`);
  return { name: parseBackendName(name), phase: "failed", greeting: undefined, failure };
}

function resultWith(...standings: readonly BackendStanding[]): JsonObject {
  return initializeResult(edgeSession({ backends: () => standings }), SERVER);
}

describe("what a client says of itself", () => {
  test("is kept as it is, under a revision that we speak", () => {
    const params = {
      protocolVersion: "2025-06-18",
      capabilities: { sampling: {}, vendor: { x: 1 } },
      clientInfo: { name: "c", version: "1", title: "C" },
    };

    expect(readClientProfile(params)).toEqual({
      revision: "2025-06-18",
      capabilities: params.capabilities,
      info: params.clientInfo,
    });
  });

  test("may be little, and of a revision that nobody knows", () => {
    expect(readClientProfile({ protocolVersion: "1900-01-01" })).toEqual({
      revision: "2025-11-25",
      capabilities: {},
      info: {},
    });
  });

  test.for<[JsonObject | undefined, string]>([
    [undefined, "protocolVersion"],
    [{}, "protocolVersion"],
    [{ protocolVersion: 1 }, "protocolVersion"],
    [{ protocolVersion: "2025-11-25", capabilities: [] }, "capabilities"],
    [{ protocolVersion: "2025-11-25", capabilities: null }, "capabilities"],
    [{ protocolVersion: "2025-11-25", clientInfo: "me" }, "clientInfo"],
  ])("%j is refused, naming %s", ([params, name]) => {
    expect(() => readClientProfile(params)).toThrow(
      expect.objectContaining({ code: "invalid_params", message: expect.stringContaining(name) }),
    );
  });
});

describe("what the gateway says of itself", () => {
  test("is its own name and everything that a backend may bring later", () => {
    expect(resultWith()).toEqual({
      protocolVersion: "2025-11-25",
      serverInfo: SERVER,
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        logging: {},
        completions: {},
      },
    });
  });

  test("includes what only some backends have, all of them together", () => {
    const result = resultWith(
      ready("a", { capabilities: { tasks: { list: {}, requests: { tools: { call: {} } } } } }),
      ready("b", { capabilities: { tasks: { cancel: {} }, experimental: { x: {} } } }),
      failed("c"),
    );

    expect(result["capabilities"]).toMatchObject({
      tasks: { list: {}, requests: { tools: { call: {} } }, cancel: {} },
      experimental: { x: {} },
    });
  });
});

describe("instructions", () => {
  test("of the only backend are passed on as they are", () => {
    expect(resultWith(ready("a", { instructions: "Be brief." }))["instructions"]).toBe("Be brief.");
  });

  test("of several backends stand under their names", () => {
    const { instructions } = resultWith(
      ready("a", { instructions: "Be brief." }),
      ready("b"),
      ready("c", { instructions: "Be kind." }),
    );

    expect(instructions).toBe("# a\n\nBe brief.\n\n# c\n\nBe kind.");
  });

  test("say so when every backend failed, and which", () => {
    const { instructions } = resultWith(failed("a"), failed("b"));

    expect(instructions).toContain("every backend failed");
    expect(instructions).toContain('Backend "a" is unavailable. Backend "b" is unavailable.');
  });

  test("keep silent when only some did", () => {
    expect(resultWith(ready("a"), failed("b"))["instructions"]).toBeUndefined();
  });
});

test("an answer follows what it depends on, however many were alike before", () => {
  const server = { name: "vmcp", version: "1" };
  const client = (revision: string) => ({ revision, capabilities: {}, info: {} });
  const one = ready("a", { instructions: "First." });
  const answerTo = (revision: string, ...standings: readonly BackendStanding[]): unknown => {
    const session = edgeSession({ client: client(revision), backends: () => standings });
    const answer: unknown = JSON.parse(initializeAnswer(session, server));
    expect(answer).toEqual(initializeResult(session, server));
    return answer;
  };

  const first = answerTo("2025-11-25", one);
  const again = answerTo("2025-11-25", { ...one, phase: "connecting" });

  expect(again).toEqual(first);
  expect(answerTo("2025-06-18", one)).toMatchObject({ protocolVersion: "2025-06-18" });
  expect(answerTo("2025-11-25", ready("a", { instructions: "Other." }))).toMatchObject({
    instructions: "Other.",
  });
  expect(answerTo("2025-11-25", one, ready("b"))).toMatchObject({ instructions: "# a\n\nFirst." });
  expect(answerTo("2025-11-25", failed("a"))).toMatchObject({
    instructions: expect.stringContaining("No tools are available"),
  });
});
