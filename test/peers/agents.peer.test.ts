import process from "node:process";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startFakeModel } from "./fake-model.ts";
import { peerFile } from "./packages.ts";
import { createPeerHome, type PeerExit, type PeerHome } from "./peer-home.ts";
import { startPeerGateway, type PeerGateway } from "./peer-gateway.ts";

let peers: PeerGateway;
beforeAll(async () => {
  peers = await startPeerGateway();
});
afterEach(() => peers.front.clear());
afterAll(async () => peers[Symbol.asyncDispose]());

/** An agent that runs in a terminal, with our gateway as its only MCP server. */
interface Agent {
  readonly name: string;
  /** What it posts first. */
  readonly firstPost: string;
  /** How its list of servers shows one that it is connected to. */
  readonly connected: RegExp;
  prepare(home: PeerHome, gatewayUrl: string, modelUrl: string): void;
  listServers(home: PeerHome): Promise<PeerExit>;
  /** Has it work on a prompt without asking anybody for permission. */
  prompt(home: PeerHome, prompt: string, modelUrl: string): Promise<PeerExit>;
}

const GEMINI_FILE = peerFile("@google/gemini-cli/bundle/gemini.js");

const GEMINI: Agent = {
  name: "gemini-cli",
  firstPost: "initialize 200",
  connected: /✓ gateway: .* - Connected/,
  prepare: (home, gatewayUrl) =>
    home.write(".gemini/settings.json", {
      security: { folderTrust: { enabled: false }, auth: { selectedType: "gemini-api-key" } },
      privacy: { usageStatisticsEnabled: false },
      mcpServers: { gateway: { httpUrl: gatewayUrl, trust: true } },
    }),
  listServers: async (home) => home.run(process.execPath, [GEMINI_FILE, "mcp", "list"]),
  prompt: async (home, prompt, modelUrl) =>
    home.run(process.execPath, [GEMINI_FILE, "-m", "gemini-2.5-flash", "-p", prompt], {
      GEMINI_API_KEY: "none",
      GOOGLE_GEMINI_BASE_URL: modelUrl,
    }),
};

const OPENCODE_FILE = binaryOf("opencode", "bin/opencode");
const OPENCODE_ENV = {
  OPENCODE_DISABLE_AUTOUPDATE: "true",
  OPENCODE_DISABLE_MODELS_FETCH: "true",
  // It would fetch plugins that nothing here uses.
  npm_config_offline: "true",
};

const OPENCODE: Agent = {
  name: "opencode",
  firstPost: "initialize 200",
  connected: /✓ gateway connected/,
  prepare: (home, gatewayUrl, modelUrl) =>
    home.write("opencode.json", {
      model: "fake/model",
      small_model: "fake/model",
      provider: {
        fake: {
          npm: "@ai-sdk/openai-compatible",
          options: { baseURL: `${modelUrl}/v1`, apiKey: "none" },
          models: { model: { tool_call: true } },
        },
      },
      mcp: { gateway: { type: "remote", url: gatewayUrl, enabled: true } },
    }),
  listServers: async (home) => home.run(OPENCODE_FILE, ["mcp", "list"], OPENCODE_ENV),
  prompt: async (home, prompt) => home.run(OPENCODE_FILE, ["run", prompt], OPENCODE_ENV),
};

const CLAUDE_FILE = binaryOf("@anthropic-ai/claude-code", "claude");
const CLAUDE_ENV = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", DISABLE_AUTOUPDATER: "1" };

const CLAUDE: Agent = {
  name: "Claude Code",
  firstPost: "server/discover 200",
  connected: /gateway: .* - ✔ Connected/,
  prepare: (home, gatewayUrl) =>
    home.write(".claude.json", { mcpServers: { gateway: { type: "http", url: gatewayUrl } } }),
  listServers: async (home) => home.run(CLAUDE_FILE, ["mcp", "list"], CLAUDE_ENV),
  prompt: async (home, prompt, modelUrl) =>
    home.run(CLAUDE_FILE, ["-p", prompt, "--allowedTools", "mcp__gateway__http_echo"], {
      ...CLAUDE_ENV,
      ANTHROPIC_BASE_URL: modelUrl,
      ANTHROPIC_API_KEY: "none",
      // Otherwise the model would have to ask for the tool before it sees it.
      ENABLE_TOOL_SEARCH: "false",
    }),
};

describe.each([GEMINI, OPENCODE, CLAUDE])("$name", (agent) => {
  test("says that it is connected", async () => {
    using home = createPeerHome();
    agent.prepare(home, peers.url, "http://127.0.0.1:1");

    const { stdout, stderr } = await agent.listServers(home);

    expect(stdout + stderr).toMatch(agent.connected);
    const posts = peers.front.posts();
    expect(posts[0]).toBe(agent.firstPost);
    expect(posts.includes("initialize 200")).toBe(agent.firstPost === "initialize 200");
    expect(refused(posts)).toEqual([]);
  });

  test("gives its model the tools and the answer of the one that the model calls", async () => {
    await using model = await startFakeModel("http_echo", { message: "from the agent" });
    using home = createPeerHome();
    agent.prepare(home, peers.url, model.url);

    const { stdout, stderr } = await agent.prompt(home, "use the echo tool", model.url);

    expect(stdout + stderr).toContain("all done");
    expect(model.toolAnswers).not.toEqual([]);
    expect(model.toolAnswers.at(-1)).toContain("Echo: from the agent");
    const posts = peers.front.posts();
    expect(posts).toContain("tools/list 200");
    expect(posts).toContain("tools/call 200");
    expect(refused(posts)).toEqual([]);
  });
});

function refused(posts: readonly string[]): readonly string[] {
  return posts.filter((post) => !/ 20[02]$/.test(post));
}

/** A program that comes as one package per system. */
function binaryOf(packageName: string, path: string): string {
  return peerFile(`${packageName}-${process.platform}-${process.arch}/${path}`);
}
