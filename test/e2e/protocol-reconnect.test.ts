import { describe, expect, test } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";
import type { LedgerScript } from "../support/ledger-script.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession } from "../support/raw-client.ts";
import {
  answerText,
  backendSessionOf,
  callText,
  messagesOn,
  methodsAt,
  requestOn,
  startHttp,
  startStdio,
  toolCall,
  type TestBackend,
} from "./protocol-backends.ts";

const SCRIPT: Partial<LedgerScript> = {
  resources: ['{"uri":"m://kept","name":"kept"}', '{"uri":"m://dropped","name":"dropped"}'],
};

/** A backend that can be made to lose the state of its sessions. */
interface Forgetful extends TestBackend {
  forget(gateway: Gateway): Promise<void>;
}

const FORGETFUL: readonly (readonly [string, () => Promise<Forgetful>])[] = [
  [
    "HTTP that forgets its sessions",
    async () => {
      const backend = await startHttp(SCRIPT);
      return { ...backend, forget: async () => backend.backend.forgetSessions() };
    },
  ],
  [
    "stdio whose process dies",
    async () => {
      const backend = await startStdio(SCRIPT);
      const forget = async ({ vmcp }: Gateway): Promise<void> => {
        // A probe that ends later would have the session connect again before anybody has looked.
        await vmcp.probed();
        for (const child of backend.backend.children) if (child.isAlive) child.exit(1);
        // A call that meets a process in its last moments fails: that is shown elsewhere.
        await waitFor(() =>
          vmcp.sessions
            .liveSessions()
            .every((session) => session.backends().some(({ phase }) => phase === "failed")),
        );
      };
      return { ...backend, forget };
    },
  ],
];

describe.each(FORGETFUL)("with a backend over %s", (_transport, startBackend) => {
  // [spec:transport-42] [spec:lifecycle-1]
  test("the next call meets a new session, marked, with log level and subscriptions as before [B9]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { capabilities: { roots: {} } });
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    await session.request("logging/setLevel", { level: "alert" });
    for (const uri of ["m://kept", "m://dropped"])
      await session.request("resources/subscribe", { uri });
    await session.request("resources/unsubscribe", { uri: "m://dropped" });
    await callText(session, "count");
    const old = await backendSessionOf(backend, session);

    await backend.forget(gateway);
    const marked = await session.post(toolCall("after", "count"));
    const unmarked = await session.post(toolCall("later", "count"));

    expect(lastMessage(marked)).toMatchObject({
      id: "after",
      result: { content: [{ text: "1" }], _meta: { backend_reinitialized: true } },
    });
    expect(answerText(lastMessage(unmarked))).toBe("2");
    expect(lastMessage(unmarked)).not.toHaveProperty("result._meta");
    const own = await backendSessionOf(backend, session);
    expect(own.tag).not.toBe(old.tag);
    expect(own.clientParams).toEqual(old.clientParams);
    expect(methodsAt(backend, own).slice(0, 2)).toEqual([
      "initialize",
      "notifications/initialized",
    ]);
    await waitFor(() => own.logLevel === "alert" && own.subscriptions.size > 0);
    expect([...own.subscriptions]).toEqual(["m://kept"]);
    stream.destroy();
  });

  test("updates and questions of the new session reach the client's stream as those of the old did [B9]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { capabilities: { roots: {} } });
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    await session.request("resources/subscribe", { uri: "m://kept" });

    await backend.forget(gateway);
    const own = await backendSessionOf(backend, session);
    await waitFor(() => own.subscriptions.has("m://kept"));
    await backend.canSpeakTo(1);
    backend.backend.resourceUpdated("m://kept");
    await waitFor(() => stream.events.length > 0);
    const asking = backend.backend.request(own, "roots/list", {});
    const { id } = await requestOn([stream], "roots/list");
    await session.post({ jsonrpc: "2.0", id, result: { roots: [] } });

    expect(messagesOn(stream)[0]).toMatchObject({
      method: "notifications/resources/updated",
      params: { uri: "m://kept" },
    });
    expect(JSON.parse(await asking)).toMatchObject({ result: { roots: [] } });
    stream.destroy();
  });

  test("other sessions of the gateway keep their backend session or get one of their own [B9]", async () => {
    await using backend = await startBackend();
    await using second = await startHttp({ name: "second" });
    await using gateway = await startGateway({
      backends: [backend.entry("one"), second.entry("two")],
    });
    const alice = await openRawSession(gateway.url);
    const bob = await openRawSession(gateway.url);
    await callText(bob, "two_count");

    await backend.forget(gateway);
    const tags = [await callText(alice, "one_whoami"), await callText(bob, "one_whoami")];

    expect(new Set(tags).size).toBe(2);
    expect(await callText(bob, "two_count")).toBe("2");
  });

  // [spec:transport-42]
  test("calls that meet the loss together open one new session, and each is answered [B9]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    await gateway.vmcp.probed();
    await callText(session, "count");
    const before = backend.backend.initializeCount;

    await backend.forget(gateway);
    const answers = await Promise.all(
      Array.from({ length: 10 }, async (_value, index) =>
        session.post(toolCall(`c${index}`, "count")),
      ),
    );

    const counts = answers.map((answer) => Number(answerText(lastMessage(answer))));
    expect(counts.toSorted((left, right) => left - right)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(backend.backend.initializeCount - before).toBe(1);
  });
});
