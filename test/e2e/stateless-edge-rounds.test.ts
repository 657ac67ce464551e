import { describe, expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { resultFor, sendJson, startHttpBackend } from "../support/backend/http-backend.ts";
import { textOf } from "../support/clients.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  askStateless,
  connectStateless,
  postStateless,
  resultOf,
  statelessMessage,
} from "../support/stateless-client.ts";
import { lastMessage } from "../support/raw-client.ts";
import { BACKENDS } from "./protocol-backends.ts";

const ALL_ABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const CAN_ALL = { capabilities: ALL_ABILITIES };

const FORM = {
  message: "Who?",
  requestedSchema: { type: "object", properties: { name: { type: "string" } } },
};
const PROMPT = {
  messages: [{ role: "user", content: { type: "text", text: "2^53+1" } }],
  maxTokens: 9,
};

/** What a backend asks, and what a client says to it. */
const QUESTIONS: readonly [string, JsonObject, JsonObject][] = [
  ["elicitation/create", FORM, { action: "accept", content: { name: "Ann" } }],
  ["elicitation/create", FORM, { action: "decline" }],
  [
    "sampling/createMessage",
    PROMPT,
    { role: "assistant", model: "m", content: { type: "text", text: "said" } },
  ],
  ["roots/list", {}, { roots: [{ uri: "file:///home" }] }],
];

describe.each(BACKENDS)("in front of a sessionful backend over %s", (_transport, startBackend) => {
  test.for(QUESTIONS)(
    "the question %s of a backend ends the request, and its answer is taken up by the next [B5] [B17]",
    async ([method, params, response]) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const call = { name: "ask", arguments: { method, params } };

      const asked = await resultOf(gateway.url, "tools/call", call, CAN_ALL);
      const key = questionsOf(asked)[0]?.[0] ?? "";
      const again = {
        ...call,
        requestState: asked["requestState"] ?? "",
        inputResponses: { [key]: response },
      };
      const done = await resultOf(gateway.url, "tools/call", again, CAN_ALL);

      expect(asked).toMatchObject({
        resultType: "input_required",
        inputRequests: { [key]: { method, params } },
        requestState: expect.any(String),
      });
      expect(done).toMatchObject({ resultType: "complete" });
      expect(JSON.parse(textOf(done))).toMatchObject({ result: response });
      expect(backend.backend.ledger.calls).toHaveLength(1);
    },
  );

  test("the SDK's client answers what a backend asks by its own handlers [B5] [B17]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    await using connected = await connectStateless(gateway.url, {
      onElicitation: () => ({ action: "accept", content: { name: "Bob" } }),
      roots: [{ uri: "file:///work" }],
    });
    const ask = async (method: string, params: JsonObject): Promise<unknown> => {
      const args = { method, params };
      const result = await connected.client.callTool({ name: "ask", arguments: args });
      return JSON.parse(textOf(result));
    };

    const elicited = await ask("elicitation/create", FORM);
    const listed = await ask("roots/list", {});

    expect(elicited).toMatchObject({ result: { action: "accept", content: { name: "Bob" } } });
    expect(listed).toMatchObject({ result: { roots: [{ uri: "file:///work" }] } });
  });

  test("what a client leaves out is asked again, and the call ends with the last answer [B17]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const call = { name: "ask", arguments: { method: "elicitation/create", params: FORM } };
    const first = await resultOf(gateway.url, "tools/call", call, CAN_ALL);

    const again = await retry(gateway, call, first, { unknown: { action: "accept" } });
    const key = questionsOf(again)[0]?.[0] ?? "";
    const done = await retry(gateway, call, again, { [key]: { action: "cancel" } });

    expect(again).toMatchObject({ resultType: "input_required" });
    expect(again["requestState"]).not.toBe(first["requestState"]);
    expect(JSON.parse(textOf(done))).toMatchObject({ result: { action: "cancel" } });
  });

  test("a level for log messages that only a later round names reaches the backend [B4] [B17]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const call = { name: "ask", arguments: { method: "elicitation/create", params: FORM } };
    const first = await resultOf(gateway.url, "tools/call", call, CAN_ALL);
    const [session] = backend.backend.sessions;
    const before = session?.logLevel;

    const params = { ...call, requestState: first["requestState"] ?? "" };
    await resultOf(gateway.url, "tools/call", params, { ...CAN_ALL, logLevel: "debug" });

    expect(before).toBeUndefined();
    await waitFor(() => session?.logLevel === "debug");
  });

  test("a client that cannot be asked gets what it lacks by name, and the call is cancelled [B17]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const call = { name: "ask", arguments: { method: "elicitation/create", params: FORM } };

    const answer = await postStateless(
      gateway.url,
      statelessMessage(1, "tools/call", call, { capabilities: { elicitation: { url: {} } } }),
    );

    expect(answer.status).toBe(400);
    expect(lastMessage(answer)).toMatchObject({
      id: 1,
      error: { code: -32_021, data: { requiredCapabilities: { elicitation: { form: {} } } } },
    });
    await waitFor(() => backend.backend.ledger.cancellations.length === 1);
    // Nothing is left open that would keep others from being asked, or the session from its end.
    expect(gateway.vmcp.sessions.liveSessions()[0]?.isBusy).toBe(false);
  });
});

test("a link that a sessionful backend wants opened is a question to a client that opens links [B17]", async () => {
  const link = {
    mode: "url",
    message: "Sign in",
    url: "https://idp.example/x",
    elicitationId: "e",
  };
  const error = { code: -32_042, message: "first", data: { elicitations: [link] } };
  await using backend = await startHttpBackend({
    capabilities: { tools: {} },
    on: {
      "server/discover": (response) => void response.writeHead(404).end(),
      "tools/list": (response, seen) =>
        sendJson(response, resultFor(seen, { tools: [{ name: "t", inputSchema: {} }] })),
      "tools/call": (response, seen) =>
        sendJson(response, { jsonrpc: "2.0", id: seen.message["id"], error }),
    },
  });
  await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });

  const asked = await resultOf(gateway.url, "tools/call", { name: "t" }, CAN_ALL);
  const refused = await askStateless(gateway.url, "tools/call", { name: "t" });

  const { elicitationId: _id, ...params } = link;
  expect(asked).toMatchObject({
    resultType: "input_required",
    inputRequests: { "link-1": { method: "elicitation/create", params } },
  });
  expect(refused).toMatchObject({ error: { code: -32_603, message: "first" } });
});

describe("between two rounds", () => {
  const [, startBackend] = BACKENDS[0] ?? [];
  if (startBackend === undefined) throw new Error("there is no backend to ask");
  const call = { name: "ask", arguments: { method: "elicitation/create", params: FORM } };

  test.for([
    ["the name", { name: "echo" }, "tools/call"],
    ["the method", {}, "prompts/get"],
  ] as const)(
    "a state is good for the request that it was given out for, and not with another %s",
    async ([, changed, method]) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const asked = await resultOf(gateway.url, "tools/call", call, CAN_ALL);
      const params = { ...call, ...changed, requestState: asked["requestState"] ?? "" };

      const answer = await askStateless(gateway.url, method, params, CAN_ALL);

      expect(answer).toMatchObject({ error: { code: -32_602 } });
      expect(backend.backend.ledger.calls).toHaveLength(1);
    },
  );

  test("a state is good under the name of its session only", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const asked = await resultOf(`${gateway.url}/s/one`, "tools/call", call, CAN_ALL);
    const params = { ...call, requestState: asked["requestState"] ?? "" };

    const answer = await askStateless(`${gateway.url}/s/two`, "tools/call", params, CAN_ALL);

    expect(answer).toMatchObject({ error: { code: -32_602 } });
  });

  test("a state is good once: shown again it runs nothing [I1]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const asked = await resultOf(gateway.url, "tools/call", call, CAN_ALL);
    const key = questionsOf(asked)[0]?.[0] ?? "";
    const responses = { [key]: { action: "decline" } };
    await retry(gateway, call, asked, responses);

    const params = {
      ...call,
      requestState: asked["requestState"] ?? "",
      inputResponses: responses,
    };
    const answer = await askStateless(gateway.url, "tools/call", params, CAN_ALL);

    expect(answer).toMatchObject({ error: { code: -32_602 } });
    expect(backend.backend.ledger.calls).toHaveLength(1);
  });

  test.for([[{ a: 1 }], [[]], ["text"], [null]])(
    "the answers %j are refused, and the call waits on",
    async ([inputResponses = null]) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const asked = await resultOf(gateway.url, "tools/call", call, CAN_ALL);
      const params = { ...call, requestState: asked["requestState"] ?? "", inputResponses };

      const refused = await askStateless(gateway.url, "tools/call", params, CAN_ALL);
      const key = questionsOf(asked)[0]?.[0] ?? "";
      const done = await retry(gateway, call, asked, { [key]: { action: "decline" } });

      expect(refused).toMatchObject({ error: { code: -32_602 } });
      expect(done).toMatchObject({ resultType: "complete" });
    },
  );

  test("a client that does not come back in time has its call cancelled, and its state is no good [R17]", async () => {
    await using backend = await startBackend();
    const timeouts = { clientAnswer: "300ms" };
    await using gateway = await startGateway({ backends: [{ ...backend.entry(), timeouts }] });
    const asked = await resultOf(gateway.url, "tools/call", call, CAN_ALL);

    await waitFor(() => gateway.vmcp.sessions.liveSessions()[0]?.isBusy === false);
    const params = { ...call, requestState: asked["requestState"] ?? "" };
    const answer = await askStateless(gateway.url, "tools/call", params, CAN_ALL);

    expect(answer).toMatchObject({ error: { code: -32_602 } });
  });
});

function questionsOf({ inputRequests }: JsonObject): readonly (readonly [string, unknown])[] {
  return Object.entries(isJsonObject(inputRequests) ? inputRequests : {});
}

async function retry(
  gateway: Gateway,
  call: JsonObject,
  { requestState = "" }: JsonObject,
  inputResponses: JsonObject,
): Promise<JsonObject> {
  const params = { ...call, requestState, inputResponses };
  return resultOf(gateway.url, "tools/call", params, CAN_ALL);
}
