import { expect, test } from "vitest";
import { type ClientOptions, connectV1, connectV2, textOf } from "./clients.ts";
import { startHttpLedger } from "./ledger-backend.ts";
import { waitFor } from "./quiescence.ts";

const SDKS = [
  ["v1", connectV1],
  ["v2", connectV2],
] as const;

const ELICITATION = {
  message: "sure?",
  requestedSchema: { type: "object", properties: { ok: { type: "boolean" } } },
};
const SAMPLING = {
  messages: [{ role: "user", content: { type: "text", text: "hi" } }],
  maxTokens: 10,
};

test.for(SDKS)("%s lists, calls and ends its session", async ([, connect]) => {
  await using ledger = await startHttpLedger();
  const connected = await connect(ledger.url);
  const { client, sessionId } = connected;

  const { tools } = await client.listTools();
  const result = await client.callTool({ name: "echo", arguments: { text: "héllo" } });
  await connected.close();

  expect(sessionId).toMatch(/^[0-9a-f-]{36}$/);
  expect(tools.map(({ name }) => name)).toContain("echo");
  expect(textOf(result)).toBe("héllo");
  expect(ledger.openSessions).toBe(0);
});

test.for(SDKS)(
  "%s answers what a backend asks, and declares what it answers",
  async ([, connect]) => {
    await using ledger = await startHttpLedger();
    const options: ClientOptions = {
      onSampling: () => ({
        model: "m",
        role: "assistant",
        content: { type: "text", text: "sampled" },
      }),
      onElicitation: () => ({ action: "accept", content: { ok: true } }),
      roots: [{ uri: "file:///here" }],
    };
    await using connected = await connect(ledger.url, options);
    const ask = async (method: string, params: object): Promise<string> =>
      textOf(await connected.client.callTool({ name: "ask", arguments: { method, params } }));

    const answers = [
      await ask("sampling/createMessage", SAMPLING),
      await ask("elicitation/create", ELICITATION),
      await ask("roots/list", {}),
    ];

    expect(answers[0]).toContain("sampled");
    expect(answers[1]).toContain('"ok":true');
    expect(answers[2]).toContain("file:///here");
    expect(ledger.sessions[0]?.clientParams).toMatchObject({
      capabilities: { sampling: {}, elicitation: {}, roots: {} },
    });
  },
);

test.for(SDKS)(
  "%s records notifications and sends the headers it was given",
  async ([, connect]) => {
    await using ledger = await startHttpLedger();
    await using connected = await connect(ledger.url, { headers: { "x-probe": "yes" } });
    await waitFor(() => ledger.openStreams === 1);

    ledger.notify("notifications/prompts/list_changed");

    await waitFor(() => connected.notifications.length === 1);
    expect(connected.notifications[0]?.method).toBe("notifications/prompts/list_changed");
    expect(ledger.requests.every(({ headers }) => headers["x-probe"] === "yes")).toBe(true);
  },
);

test.for(SDKS)("%s that vanishes leaves its session open", async ([, connect]) => {
  await using ledger = await startHttpLedger();
  const connected = await connect(ledger.url);

  await connected.vanish();

  await waitFor(() => ledger.openStreams === 0);
  expect(ledger.openSessions).toBe(1);
});

test.for([{}, { content: [] }, { content: [{ type: "image" }] }])("textOf refuses %j", (result) => {
  expect(() => textOf(result)).toThrow("no text in");
});
