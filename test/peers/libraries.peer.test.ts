import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { waitFor } from "../support/quiescence.ts";
import {
  connectAiSdk,
  connectLangchain,
  connectSdkV2Auto,
  connectThroughMcpRemote,
  type ConnectLibrary,
} from "./library-clients.ts";
import { COUNTING_CALL, startPeerGateway, type PeerGateway } from "./peer-gateway.ts";

const DISCOVERED = "server/discover 200";

let peers: PeerGateway;
beforeAll(async () => {
  peers = await startPeerGateway();
});
afterEach(() => peers.front.clear());
afterAll(async () => peers[Symbol.asyncDispose]());

/** What a session that every client of the stateless revision shares declares to backends. */
const ALL_ABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

/** What each client posts first: those of the stateless revision ask whether it is spoken here. */
const LIBRARIES: readonly [string, ConnectLibrary, string][] = [
  ["SDK v2 that tries the stateless revision", connectSdkV2Auto, DISCOVERED],
  ["AI SDK", connectAiSdk, DISCOVERED],
  ["LangChain", connectLangchain, "initialize 200"],
  ["mcp-remote", connectThroughMcpRemote, "initialize 200"],
  [
    "mcp-remote that tries the stateless revision",
    async (url) => connectThroughMcpRemote(url, ["--protocol", "auto"]),
    DISCOVERED,
  ],
];

describe.each(LIBRARIES)("%s", (_name, connect, firstPost) => {
  const isStateless = firstPost === DISCOVERED;

  test("sees every tool and reaches every backend", async () => {
    await using client = await connect(`${peers.url}/s/every-tool-${randomUUID()}`);

    const names = await client.toolNames();
    const texts: string[] = [];
    for (const { name, args } of peers.calls) texts.push(await client.callText(name, args));

    expect(names.toSorted()).toEqual(await peers.toolNames(isStateless ? ALL_ABILITIES : {}));
    expect(texts).toEqual(peers.calls.map(({ text }) => expect.stringContaining(text)));
  });

  test("keeps one session, apart from that of another client under another name", async () => {
    const own = randomUUID();
    await using alice = await connect(`${peers.url}/s/alice-${own}`);
    await using bob = await connect(`${peers.url}/s/bob-${own}`);

    const counts: unknown[] = [];
    for (const client of [alice, bob, alice]) {
      const text = await client.callText(COUNTING_CALL.name, COUNTING_CALL.args);
      counts.push(/thoughtHistoryLength\D+(?<count>\d+)/.exec(text)?.groups?.["count"]);
    }

    expect(counts).toEqual(["1", "1", "2"]);
  });

  test(`gets ${firstPost} at first, and opens a session only where it needs one`, async () => {
    await using client = await connect(peers.url);

    await client.toolNames();
    const posts = peers.front.posts();

    expect(posts[0]).toBe(firstPost);
    expect(posts.includes("initialize 200")).toBe(!isStateless);
    expect(refused(posts)).toEqual([]);
  });
});

test("the stateless client of the AI SDK leaves a session that ends by itself", async () => {
  await using gateway = await startPeerGateway();
  const client = await connectAiSdk(gateway.url);
  const open = gateway.gateway.vmcp.sessions.sessionCount;

  await client[Symbol.asyncDispose]();

  await waitFor(() => gateway.gateway.vmcp.sessions.sessionCount === 0, {
    what: "no session",
    timeoutMs: 60_000,
  });
  expect(open).toBe(1);
});

function refused(posts: readonly string[]): readonly string[] {
  return posts.filter((post) => !/ 20[02]$/.test(post));
}
