import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { HttpPools } from "../backend/streamable-http/http-pools.ts";
import { planReload, type PlanChange, type ReloadPlan } from "../config/reload-plan.ts";
import type { BackendConfig, VmcpConfig } from "../config/vmcp-config.ts";
import type { BackendName } from "../domain/ids.ts";
import type { AssembledBackend } from "./backends.ts";
import { loadPins, type LoadedPins } from "./pins.ts";

/** A backend as it serves one or more generations: made once, and kept as long as its configuration is the same. */
export interface GenerationBackend {
  readonly config: BackendConfig;
  readonly assembled: AssembledBackend;
  /** Its own sockets, so that they can be closed with it. */
  readonly http: HttpPools;
  /** Stands for the content of its CA bundle when it was read. */
  readonly trust: string;
}

/** One configuration with the parts made of it. Built whole before anyone sees it, and replaced whole. */
export interface Generation {
  /** 1 for the configuration of the start; grows with every reload that changed something. */
  readonly number: number;
  readonly config: VmcpConfig;
  readonly backends: readonly GenerationBackend[];
  /** The same object as before where neither the lock nor what is held against it has changed. */
  readonly lock: LoadedPins;
}

/** Makes one backend with sockets of its own. Rejects with `invalid_config`. */
export type MakeBackend = (
  config: BackendConfig,
) => Promise<Pick<GenerationBackend, "assembled" | "http">>;

/** The generation of the start. Rejects with `invalid_config` and leaves nothing open. */
export async function firstGeneration(config: VmcpConfig, make: MakeBackend): Promise<Generation> {
  const lock = loadPins(config);
  return { number: 1, config, lock, backends: await makeAll(config.backends, new Map(), make) };
}

/** As `planReload`; looks at the files that backends refer to as well. */
export async function planFrom(running: Generation, next: VmcpConfig): Promise<ReloadPlan> {
  const known = new Map(running.backends.map((backend) => [backend.config.name, backend]));
  const changed = await Promise.all(
    next.backends.map(async (config) => {
      const before = known.get(config.name);
      const isSame = before === undefined || before.trust === (await trustOf(config));
      return isSame ? [] : [config.name];
    }),
  );
  const [was, is] = [running.lock.content, loadPins(next).content];
  const hasOtherLock = was !== "" && is !== "" && was !== is;
  return planReload(running.config, next, {
    backendsWithChangedFiles: new Set(changed.flat()),
    settingsWithChangedFiles: new Set(hasOtherLock ? ["lockFile"] : []),
  });
}

/** The generation after `running` as planned. Opens nothing; rejects with `invalid_config` and leaves nothing open. */
export async function nextGeneration(
  running: Generation,
  { config, changes }: ReloadPlan,
  make: MakeBackend,
): Promise<Generation> {
  const remade = new Set(changes.flatMap(remadeBackend));
  const kept = new Map(
    running.backends
      .filter(({ config: { name } }) => !remade.has(name))
      .map((backend) => [backend.config.name, backend]),
  );
  const next = loadPins(config);
  const lock = next.signature === running.lock.signature ? running.lock : next;
  const backends = await makeAll(config.backends, kept, make);
  return { number: running.number + 1, config, lock, backends };
}

/** The backends of one generation that another one no longer has in the same form. */
export function backendsGone(running: Generation, next: Generation): readonly GenerationBackend[] {
  const kept = new Set(next.backends.map(({ assembled }) => assembled));
  return running.backends.filter(({ assembled }) => !kept.has(assembled));
}

function remadeBackend(change: PlanChange): readonly string[] {
  const isRemade = change.kind === "backend_changed" && change.connections !== "keep";
  return isRemade ? [change.backend] : [];
}

async function makeAll(
  configs: readonly BackendConfig[],
  kept: ReadonlyMap<BackendName, GenerationBackend>,
  make: MakeBackend,
): Promise<readonly GenerationBackend[]> {
  const outcomes = await Promise.allSettled(
    configs.map(async (config) => {
      const backend = kept.get(config.name);
      if (backend !== undefined) return { ...backend, config };
      const trust = await trustOf(config);
      return { config, trust, ...(await make(config)) };
    }),
  );
  const backends = outcomes.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const failed = outcomes.find((each) => each.status === "rejected");
  if (failed === undefined) return backends;
  await closeBackends(backends.filter(({ config }) => !kept.has(config.name)));
  throw failed.reason;
}

/** Breaks their sockets, and ends what proves requests to them. */
export async function closeBackends(backends: readonly GenerationBackend[]): Promise<void> {
  await Promise.allSettled(
    backends.flatMap(({ http, assembled: { credentials } }) =>
      [http, credentials ?? NOTHING].map(async (each) => each[Symbol.asyncDispose]()),
    ),
  );
}

const NOTHING: AsyncDisposable = { async [Symbol.asyncDispose]() {} };

async function trustOf(config: BackendConfig): Promise<string> {
  if (config.transport === "stdio" || config.caBundlePath === undefined) return "";
  try {
    return createHash("sha256")
      .update(await readFile(config.caBundlePath))
      .digest("hex");
  } catch {
    // Whoever makes the backend reads the file too, and says what is wrong with it.
    return "unreadable";
  }
}
