import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import {
  everythingCommand,
  filesystemCommand,
  memoryCommand,
  sequentialThinkingCommand,
  startEverythingServer,
  type StdioCommand,
} from "../support/npm-servers.ts";
import { openRawSession } from "../support/raw-client.ts";
import { startRecordingFront, type RecordingFront } from "./recording-front.ts";

/** A call to one of the backends, and what the text of its answer holds. */
export interface SampleCall {
  readonly name: string;
  readonly args: JsonObject;
  readonly text: string;
}

/** A gateway before five servers from npm, with a front that records what peers send it. */
export interface PeerGateway extends AsyncDisposable {
  /** What peers are given. */
  readonly url: string;
  readonly front: RecordingFront;
  readonly gateway: Gateway;
  /** One call to each backend. */
  readonly calls: readonly SampleCall[];
  /** What the gateway advertises to a client of our own with these capabilities, sorted. */
  toolNames(capabilities?: JsonObject): Promise<readonly string[]>;
}

/** Most peers leave without a DELETE, and what they leave would pile up. An open stream keeps a session however slow. */
const ABANDONED_AFTER = "20s";

/** A line of the file in which the memory server keeps its graph. */
const ENTITY = {
  type: "entity",
  name: "vmcp",
  entityType: "gateway",
  observations: ["keeps sessions"],
};

/** The backends are named `http`, `stdio` (both server-everything), `memory`, `files` and `thinking`. */
export async function startPeerGateway(): Promise<PeerGateway> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "vmcp-peers-")));
  const note = join(folder, "note.txt");
  const graph = join(folder, "graph.jsonl");
  writeFileSync(note, "a note in a file");
  writeFileSync(graph, `${JSON.stringify(ENTITY)}\n`);
  const opened: AsyncDisposable[] = [];
  const close = async (): Promise<void> => {
    // In order: what stands in front goes first.
    // oxlint-disable-next-line no-await-in-loop
    for (const part of opened.toReversed()) await part[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const http = await startEverythingServer();
    opened.push(http);
    const gateway = await startGateway({
      operational: { sessionManagementV2: true, sessions: { idleTtl: ABANDONED_AFTER } },
      backends: [
        { name: "http", url: http.url },
        { name: "stdio", ...toConfig(everythingCommand()) },
        { name: "memory", ...toConfig(memoryCommand(graph)) },
        { name: "files", ...toConfig(filesystemCommand(folder)) },
        { name: "thinking", ...toConfig(sequentialThinkingCommand()) },
      ],
    });
    opened.push(gateway);
    const front = await startRecordingFront(gateway.url);
    opened.push(front);
    return {
      url: front.url,
      front,
      gateway,
      calls: sampleCalls(note),
      toolNames: async (capabilities = {}) => advertisedNames(gateway.url, capabilities),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A call whose answer tells how many times it was made in its session: `"thoughtHistoryLength": 1`. */
export const COUNTING_CALL: SampleCall = {
  name: "sequentialthinking",
  args: { thought: "again", thoughtNumber: 1, totalThoughts: 9, nextThoughtNeeded: true },
  text: '"thoughtHistoryLength": 1',
};

function sampleCalls(note: string): readonly SampleCall[] {
  return [
    { name: "http_echo", args: { message: "over HTTP" }, text: "Echo: over HTTP" },
    { name: "stdio_get-sum", args: { a: 2, b: 3 }, text: "The sum of 2 and 3 is 5." },
    { name: "read_graph", args: {}, text: "keeps sessions" },
    { name: "read_text_file", args: { path: note }, text: "a note in a file" },
    COUNTING_CALL,
  ];
}

async function advertisedNames(url: string, capabilities: JsonObject): Promise<readonly string[]> {
  const session = await openRawSession(url, { capabilities });
  // The answer of a gateway that works; anything else fails the test that asks.
  const { result } = (await session.request("tools/list")) as {
    readonly result: { readonly tools: readonly { readonly name: string }[] };
  };
  await session.delete();
  return result.tools.map(({ name }) => name).toSorted();
}

/** The configuration's arrays and objects are not readonly. */
function toConfig({ command, args, env = {} }: StdioCommand): {
  command: string;
  args: string[];
  env: Record<string, string>;
} {
  return { command, args: [...args], env: { ...env } };
}
