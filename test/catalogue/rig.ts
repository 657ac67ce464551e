import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { stringify } from "yaml";
import type { JsonObject } from "../../src/domain/json.ts";
import { backendSchema } from "../../src/config/schema/backends.ts";
import { startVmcp, type VmcpProcess } from "../support/vmcp-process.ts";
import { INITIALIZE_PARAMS } from "./client.ts";
import type { Behaviour, Entry } from "./entry.ts";
import { startHttpBackend } from "./http-backend.ts";
import { expand } from "./generators.ts";
import { fill, fillKnown, type Values } from "./placeholders.ts";
import type { RigBackend } from "./rig-backend.ts";
import { askingBackend, firstBackend, furtherBackend, VISIBLE_TOOLS } from "./rig-tools.ts";
import { startSseRig } from "./sse-backend.ts";
import { startKeyServer } from "./identities.ts";
import { StdioRig } from "./stdio-backend.ts";
import { AUDIENCE, ISSUER, tokenOf } from "./tokens.ts";
import { startTrap, type Trap } from "./trap.ts";

/** Limits that entries name in `maxMs`, as the rig sets them. */
export const LIMITS_MS: ReadonlyMap<string, number> = new Map([
  ["callTimeout", 2_000],
  ["backendInitTimeout", 2_000],
  ["discoveryTimeout", 2_000],
  ["headersTimeout", 10_000],
]);

const DNS_HOOK = pathToFileURL(join(import.meta.dirname, "dns-switch.mjs")).href;

/** 1 MB of invisible characters that spell instructions. */
const TAGS = String.fromCodePoint(0xe0041).repeat(256 * 1024);

/** A running gateway in front of the backends that the entries assume. */
export interface Rig extends AsyncDisposable {
  readonly gateway: VmcpProcess;
  readonly backends: readonly RigBackend[];
  readonly trap: Trap;
  /** A text that may appear nowhere but where a backend said it. */
  readonly canary: string;
  /** What placeholders stand for that are the same for all entries. */
  readonly values: Values;
  /** Whether clients prove who they are. */
  readonly hasIdentities: boolean;
}

/** Starts the rig; where an entry is given, with what is particular to it. Rejects where the gateway does not start. */
export async function startRig(
  entry?: Pick<Entry, "backendBehaviour" | "config">,
  hasIdentities = false,
): Promise<Rig> {
  const parts = new AsyncDisposableParts();
  try {
    const trap = parts.add(await startTrap());
    const canary = `CANARY-rig-${randomUUID().slice(0, 8)}`;
    const values = rigValues(trap, canary);
    const folder = parts.addFolder(mkdtempSync(join(tmpdir(), "vmcp-catalogue-")));
    const behaviour = behaviourOf(entry, values);
    const backends = await startBackends(behaviour, join(folder, "dns"));
    for (const backend of backends) parts.add(backend);
    const isPlain = behaviour === undefined && entry?.config === undefined;
    const keys = hasIdentities ? parts.add(await startKeyServer()) : undefined;
    const config = configOf({ backends, isPlain, incomingAuth: keys?.incomingAuth }, entry, values);
    const gateway = parts.add(
      await startVmcp({
        config,
        env: {
          VMCP_CATALOGUE_SECRET: canary,
          VMCP_CATALOGUE_DNS: join(folder, "dns"),
          NODE_OPTIONS: `--import=${DNS_HOOK} --unhandled-rejections=strict`,
        },
      }),
    );
    return {
      gateway,
      backends,
      trap,
      canary,
      values,
      hasIdentities,
      [Symbol.asyncDispose]: async () => parts[Symbol.asyncDispose](),
    };
  } catch (error) {
    await parts[Symbol.asyncDispose]();
    throw error;
  }
}

/** What is closed together, last opened first, even where one of them refuses. */
class AsyncDisposableParts implements AsyncDisposable {
  readonly #parts: AsyncDisposable[] = [];

  add<T extends AsyncDisposable>(part: T): T {
    this.#parts.push(part);
    return part;
  }

  addFolder(folder: string): string {
    const remove = async (): Promise<void> => rmSync(folder, { recursive: true, force: true });
    this.#parts.push({ [Symbol.asyncDispose]: remove });
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts.toReversed()) {
      // One after the other: the gateway before the backends that it talks to.
      // oxlint-disable-next-line no-await-in-loop
      await Promise.allSettled([part[Symbol.asyncDispose]()]);
    }
  }
}

function rigValues(trap: Trap, canary: string): Values {
  return new Map<string, unknown>([
    ["TRAP", trap.port],
    ["CANARY", canary],
    ["INIT", INITIALIZE_PARAMS],
    ["ISS", ISSUER],
    ["AUD", AUDIENCE],
    ["TOK", tokenOf("alice")],
    ["TOK_BOB", tokenOf("bob")],
    ["1MB_TAGS", TAGS],
    // What a backend fills in by itself.
    ["ID", "${ID}"],
  ]);
}

function behaviourOf(
  entry: Pick<Entry, "backendBehaviour"> | undefined,
  values: Values,
): Behaviour | undefined {
  const given = entry?.backendBehaviour;
  if (given === undefined) return undefined;
  // Neither filling nor expanding changes the shape.
  return { ...given, do: expand(fill(given.do, values)) as Behaviour["do"] };
}

async function startBackends(
  behaviour: Behaviour | undefined,
  dnsSwitch: string,
): Promise<readonly RigBackend[]> {
  const configuration: JsonObject = {
    validateArguments: canValidateArguments(),
    timeouts: behaviour === undefined ? {} : { call: "2s", start: "2s" },
  };
  const others = { script: furtherBackend("b2"), dnsSwitch, configuration: {} };
  const isOnBoth = behaviour?.do.some((step) => Array.isArray(step["onBackends"])) === true;
  const second = await startHttpBackend({
    name: "b2",
    ...others,
    ...(isOnBoth && { behaviour }),
  });
  const first = await startFirst(behaviour, dnsSwitch, configuration);
  if (behaviour !== undefined) return [first, second];
  const third = await startHttpBackend({ name: "wf", ...others, script: askingBackend("wf") });
  return [first, second, third];
}

async function startFirst(
  behaviour: Behaviour | undefined,
  dnsSwitch: string,
  configuration: JsonObject,
): Promise<RigBackend> {
  if (behaviour?.transport === "stdio") return new StdioRig("b1", behaviour, configuration);
  if (behaviour?.transport === "sse") return startSseRig("b1", behaviour, configuration);
  return startHttpBackend({
    name: "b1",
    script: firstBackend(),
    dnsSwitch,
    configuration,
    ...(behaviour && { behaviour }),
  });
}

/** Whether this version checks arguments itself, as the entries assume. */
function canValidateArguments(): boolean {
  return backendSchema.safeParse({ name: "b1", url: "http://127.0.0.1/", validateArguments: true })
    .success;
}

function configOf(
  {
    backends,
    isPlain,
    incomingAuth = { type: "anonymous" },
  }: {
    readonly backends: readonly RigBackend[];
    readonly isPlain: boolean;
    readonly incomingAuth: object | undefined;
  },
  entry: Pick<Entry, "config"> | undefined,
  values: Values,
): string {
  const config = {
    name: "catalogue",
    incomingAuth,
    backends: backends.map(({ configuration }) => configuration),
    aggregation: {
      conflictResolution: "prefix",
      ...(isPlain && { tools: [{ workload: "b1", filter: VISIBLE_TOOLS }] }),
    },
    limits: { requestBytes: "1MiB" },
    operational: {
      sessionManagementV2: true,
      ...(!isPlain && { sessions: { startDeadline: "2s", drainDeadline: "2s" } }),
    },
    ...(entry?.config !== undefined && compositeTools(entry.config)),
  };
  return fillKnown(stringify(config), values);
}

function compositeTools(config: Entry["config"]): object {
  if (config === undefined || !("compositeTool" in config)) return {};
  return { compositeTools: [{ description: "d", ...asObject(expand(config.compositeTool)) }] };
}

function asObject(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
