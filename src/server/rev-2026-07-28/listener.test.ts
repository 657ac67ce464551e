import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { SILENT_LOGGER } from "../../domain/logger.ts";
import { sendRaw } from "../../../test/support/raw-client.ts";
import { OpenStreams } from "../open-streams.ts";
import { AnswerOutlet } from "./answer-outlet.ts";
import { isWanted, readFilter } from "./listen-filter.ts";
import { Listener } from "./listener.ts";

const UPDATED = "notifications/resources/updated";

/** What a client gets of a listener that does this, up to its end. */
async function told(act: (listener: Listener) => void): Promise<readonly unknown[]> {
  const server = createServer((_request, response: ServerResponse) => {
    using streams = new OpenStreams(60_000);
    const options = { streams, streamBufferBytes: 1_024, logger: SILENT_LOGGER };
    const outlet = new AnswerOutlet(response, "9007199254740993", options);
    const filter = readFilter({ notifications: { resourceSubscriptions: ["test://a"] } });
    const own = { idJson: "9007199254740993", serverInfoJson: "{}", outlet };
    const listener = new Listener(filter, own);
    act(listener);
    listener.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo;
  const answer = await sendRaw(`http://127.0.0.1:${port}`);
  server.close();
  return answer.events;
}

const ID = '"io.modelcontextprotocol/subscriptionId":9007199254740993';

test("news waits for the acknowledgement, each kind of it once, and all of it carries the id as it was written", async () => {
  const events = await told((listener) => {
    listener.tell({ method: UPDATED, params: { uri: "test://a", n: 1 } });
    listener.tell({ method: UPDATED, params: { uri: "test://a", n: 2, _meta: { own: true } } });
    listener.tell({ method: "notifications/tools/list_changed", params: undefined });
    listener.acknowledge(listener.filter);
  });

  expect(events).toEqual([
    `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{${ID}},"notifications":{"resourceSubscriptions":["test://a"]}}}`,
    `{"jsonrpc":"2.0","method":"${UPDATED}","params":{"_meta":{${ID},"own":true},"uri":"test://a","n":2}}`,
    `{"jsonrpc":"2.0","id":9007199254740993,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{},${ID}}}}`,
  ]);
});

test.for([
  ["test://a", "test://a", true],
  ["test://a", "test://a/b", true],
  ["test://a/", "test://a/b", true],
  ["test://a", "test://a?x", true],
  ["test://a", "test://ab", false],
  ["test://a/b", "test://a", false],
] as const)("who listens to %s hears of %s: %s", ([wanted, uri, expected]) => {
  const filter = readFilter({ notifications: { resourceSubscriptions: [wanted] } });

  expect(isWanted(filter, UPDATED, { uri })).toBe(expected);
});

test("a filter has each resource once, and no more than there is room for", () => {
  const uris = Array.from({ length: 1_000 }, (_value, index) => `test://${index % 500}`);

  const filter = readFilter({ notifications: { resourceSubscriptions: uris } });

  expect(filter.uris).toHaveLength(256);
  expect(new Set(filter.uris).size).toBe(256);
});
