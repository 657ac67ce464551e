import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { McpServer, type EventStore, type JSONRPCMessage } from "@modelcontextprotocol/server";
import { waitFor } from "../quiescence.ts";

/** A server of the official SDK for one session, whose tool `poll` closes its stream in the middle of the call. */
export interface PollingBackend extends AsyncDisposable {
  readonly url: string;
  /** How often the tool has run. */
  readonly runs: number;
  /** How many GETs asked for what comes after an event. */
  readonly resumptions: number;
}

export async function startPollingBackend(): Promise<PollingBackend> {
  let runs = 0;
  let resumptions = 0;
  const mcp = new McpServer({ name: "polling", version: "1" });
  mcp.registerTool("poll", { description: "Ends its stream before it answers" }, async (ctx) => {
    runs += 1;
    const progressToken = ctx.mcpReq._meta?.progressToken ?? 0;
    const report = async (progress: number): Promise<void> =>
      ctx.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress },
      });
    await report(1);
    ctx.http?.closeSSE?.();
    // Nobody listens now: the store keeps it for whoever comes back.
    await report(2);
    await waitFor(() => resumptions > 0, { what: "somebody comes back" });
    return { content: [{ type: "text", text: "done" }] };
  });
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    eventStore: createEventStore(),
    retryInterval: 1,
  });
  await mcp.connect(transport);
  const server = createServer((request, response) => {
    if (request.headers["last-event-id"] !== undefined) resumptions += 1;
    void transport.handleRequest(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    get runs() {
      return runs;
    },
    get resumptions() {
      return resumptions;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

interface StoredEvent {
  readonly streamId: string;
  readonly message: JSONRPCMessage;
}

function createEventStore(): EventStore {
  const events: StoredEvent[] = [];
  return {
    storeEvent: async (streamId, message) => String(events.push({ streamId, message })),
    getStreamIdForEventId: async (id) => events[Number(id) - 1]?.streamId,
    replayEventsAfter: async (lastId, { send }) => {
      const streamId = events[Number(lastId) - 1]?.streamId ?? "";
      for (const [index, event] of events.entries()) {
        const isMessage = Object.keys(event.message).length > 0;
        if (index < Number(lastId) || event.streamId !== streamId || !isMessage) continue;
        // Events are replayed in their order.
        // oxlint-disable-next-line no-await-in-loop
        await send(String(index + 1), event.message);
      }
      return streamId;
    },
  };
}
