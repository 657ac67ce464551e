import { describe, expect, test } from "vitest";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import type { Ledger } from "../support/ledger.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession } from "../support/raw-client.ts";
import type { LedgerBackend } from "../support/scripted-backend.ts";
import { startVmcp, type VmcpProcess } from "../support/vmcp-process.ts";

/** The backend sessions that were opened on behalf of clients, as opposed to the gateway's own probes. */
function clientInitializes({ initializes }: Ledger): number {
  return initializes.filter(({ text }) => !text.includes("vmcp-probe")).length;
}

interface StartedBackend {
  readonly backend: LedgerBackend;
  readonly config: { readonly [key: string]: string | readonly string[] };
}

const TRANSPORTS: readonly (readonly [string, () => Promise<StartedBackend>])[] = [
  [
    "HTTP",
    async () => {
      const backend = await startHttpLedger({ resources: ['{"uri":"m://r","name":"r"}'] });
      return { backend, config: { url: backend.url } };
    },
  ],
  [
    "stdio",
    async () => {
      const backend = await startStdioLedger({ resources: ['{"uri":"m://r","name":"r"}'] });
      return { backend, config: { command: backend.command, args: backend.args } };
    },
  ],
];

const OFF_NOTE = "sessionManagementV2 is off";

/** Undefined leaves the flag out of the file. Resolves when the gateway's own probe of the backend is over. */
async function serve(
  { backend, config }: StartedBackend,
  flag: boolean | undefined,
): Promise<VmcpProcess> {
  const vmcp = await startVmcp({
    config: {
      backends: [{ name: "b", ...config }],
      aggregation: { conflictResolution: "prefixOnConflict" },
      ...(flag !== undefined && { operational: { sessionManagementV2: flag } }),
    },
  });
  await waitFor(() => backend.ledger.initializes.length === 1 && backend.openSessions === 0);
  return vmcp;
}

describe.each(TRANSPORTS)("with a backend over %s", (_transport, startBackend) => {
  describe.each(CLIENTS)("and the client of %s", (_client, connect) => {
    test("flag on: the calls of a client meet one backend session, initialized once", async () => {
      const started = await startBackend();
      await using backend = started.backend;
      await using vmcp = await serve(started, true);
      const client = await connect(vmcp.url);

      const names = await client.toolNames();
      const counts: string[] = [];
      for (let call = 0; call < 3; call += 1) counts.push(await client.callText("count"));
      const openBetweenCalls = backend.openSessions;
      await client.close();

      expect(names).toContain("count");
      expect(counts).toEqual(["1", "2", "3"]);
      expect(clientInitializes(backend.ledger)).toBe(1);
      expect(openBetweenCalls).toBe(1);
      await waitFor(() => backend.openSessions === 0);
      expect(vmcp.stdout + vmcp.stderr).not.toContain(OFF_NOTE);
    });

    test.for([
      ["off", false],
      ["not named in the file", undefined],
    ] as const)(
      "flag %s: each call has a backend session of its own, and none is open in between",
      async ([, flag]) => {
        const started = await startBackend();
        await using backend = started.backend;
        await using vmcp = await serve(started, flag);

        const client = await connect(vmcp.url);
        const names = await client.toolNames();
        await waitFor(() => backend.openSessions === 0);
        const opened = [clientInitializes(backend.ledger)];
        const counts: string[] = [];
        for (let call = 0; call < 3; call += 1) {
          counts.push(await client.callText("count"));
          await waitFor(() => backend.openSessions === 0);
          opened.push(clientInitializes(backend.ledger));
        }
        await client.close();

        expect(names).toContain("count");
        expect(counts).toEqual(["1", "1", "1"]);
        // The first one discovers the routes when the client connects.
        expect(opened).toEqual([1, 2, 3, 4]);
        expect(new Set(backend.ledger.calls.map(({ session }) => session)).size).toBe(3);
        expect(vmcp.stdout + vmcp.stderr).toContain(OFF_NOTE);
      },
    );
  });

  test.for([
    ["on", true],
    ["off", false],
  ] as const)("flag %s: DELETE ends the session, and calls after it get 404", async ([, flag]) => {
    const started = await startBackend();
    await using backend = started.backend;
    await using vmcp = await serve(started, flag);
    const session = await openRawSession(vmcp.url);
    await session.request("tools/call", { name: "count" });

    const ended = await session.delete();
    const call = await session.post({ jsonrpc: "2.0", id: 1, method: "tools/list" });

    expect(ended.status).toBe(200);
    expect(call.status).toBe(404);
    await waitFor(() => backend.openSessions === 0);
    const { initializes, deletes } = backend.ledger;
    const clients = initializes.filter(({ text }) => !text.includes("vmcp-probe"));
    expect(deletes).toEqual(expect.arrayContaining(clients.map((opened) => opened.session)));
  });

  test("flag on: a subscription is kept and its updates arrive", async () => {
    const started = await startBackend();
    await using backend = started.backend;
    await using vmcp = await serve(started, true);
    const session = await openRawSession(vmcp.url);
    const stream = await session.openStream();

    const answer = await session.request("resources/subscribe", { uri: "m://r" });
    await waitFor(() => backend.resourceUpdated("m://r") === 1);
    await waitFor(() => stream.events.length > 0);
    stream.destroy();

    expect(answer).toMatchObject({ result: {} });
    expect(stream.events[0]).toContain("notifications/resources/updated");
  });

  test("flag off: a subscription is refused in words, and no backend session is opened for it", async () => {
    const started = await startBackend();
    await using backend = started.backend;
    await using vmcp = await serve(started, false);
    const session = await openRawSession(vmcp.url);
    const openedBefore = clientInitializes(backend.ledger);

    const answer = await session.request("resources/subscribe", { uri: "m://r" });

    expect(answer).toMatchObject({
      error: { code: -32_601, message: expect.stringContaining("keeps no subscriptions") },
    });
    expect(clientInitializes(backend.ledger)).toBe(openedBefore);
  });

  test("flag off: what a backend asks within a call still reaches the client", async () => {
    const started = await startBackend();
    await using backend = started.backend;
    await using vmcp = await serve(started, false);
    const [, connect] = CLIENTS[1] ?? [];
    if (connect === undefined) throw new Error("no client");
    const model = { role: "assistant", content: { type: "text", text: "four" }, model: "m" };
    await using client = await connect(vmcp.url, { onSampling: () => model });

    const answer = await client.callText("ask", {
      method: "sampling/createMessage",
      params: { messages: [], maxTokens: 5 },
    });

    expect(JSON.parse(answer)).toMatchObject({ result: model });
    await waitFor(() => backend.openSessions === 0);
  });
});
