import process from "node:process";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { peerFile } from "./packages.ts";
import { createPeerHome, type PeerExit } from "./peer-home.ts";
import { startPeerGateway, type PeerGateway } from "./peer-gateway.ts";

let peers: PeerGateway;
beforeAll(async () => {
  peers = await startPeerGateway();
});
afterEach(() => peers.front.clear());
afterAll(async () => peers[Symbol.asyncDispose]());

/** What its command line prints as JSON. */
interface Printed {
  readonly result: {
    readonly tools: readonly { readonly name: string }[];
    readonly content: readonly { readonly text: string }[];
  };
  readonly error: { readonly message: string };
}

const CLI = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";

test("the Inspector lists every tool, those for clients with roots included", async () => {
  const { stdout } = await inspect(["--method", "tools/list"]);

  const names = read(stdout).result.tools.map(({ name }) => name);

  expect(names.toSorted()).toEqual(await peers.toolNames({ roots: {} }));
  expect(names).toContain("http_get-roots-list");
  expect(peers.front.posts()[0]).toBe("initialize 200");
});

test("the Inspector calls a tool of every backend", async () => {
  const texts: string[] = [];
  for (const { name, args } of peers.calls) {
    // Each of them is a client and a session of its own; at once they would only wait for each other.
    // oxlint-disable-next-line no-await-in-loop
    const { stdout } = await inspect(callOf(name, args));
    texts.push(read(stdout).result.content[0]?.text ?? stdout);
  }

  expect(texts).toEqual(peers.calls.map(({ text }) => expect.stringContaining(text)));
});

test.for(["auto", "modern"])(
  "the Inspector speaks the stateless revision where it is told to: %s",
  async (era) => {
    const call = callOf("http_echo", { message: "without a session" });
    const { stdout } = await inspect(["--protocol-era", era, ...call]);

    expect(read(stdout).result.content[0]?.text).toBe("Echo: without a session");
    expect(peers.front.posts()[0]).toBe("server/discover 200");
    expect(peers.front.posts()).not.toContain("initialize 200");
  },
);

async function inspect(args: readonly string[]): Promise<PeerExit> {
  using home = createPeerHome();
  const target = ["--cli", peers.url, "--transport", "http", "--format", "json", "-q"];
  return await home.run(process.execPath, [peerFile(CLI), ...target, ...args]);
}

function callOf(name: string, args: object): readonly string[] {
  const json = JSON.stringify(args);
  return ["--method", "tools/call", "--tool-name", name, "--tool-args-json", json];
}

function read(stdout: string): Printed {
  // Its documented output; where it is another, the expectations fail.
  return JSON.parse(stdout) as Printed;
}
