import process from "node:process";
import type { Overview } from "../app/overview.ts";
import { Vmcp } from "../app/vmcp.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { messageOf } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import { exitCodeOf, StopSignals } from "./stop-signals.ts";

/** A backend that the session has to do without, and why. */
export interface FailedBackend {
  readonly name: string;
  readonly reason: string;
}

type ClientSession = Awaited<ReturnType<Vmcp["openSession"]>>;

/** One session in this process, without HTTP. Disposing ends it and everything that it started. */
export interface LocalSession extends AsyncDisposable {
  readonly overview: Overview;
  readonly failed: readonly FailedBackend[];
  /** What each backend offers, exactly as it said it. */
  readonly offered: ReturnType<Vmcp["offered"]>;
  /** What each backend told of itself in `initialize`, by its name; absent for those that said nothing. */
  readonly instructions: ReadonlyMap<string, string>;
  callTool(name: string, args: JsonObject): ReturnType<ClientSession["callTool"]>;
}

/** Added to the longest time that a backend may take to start, so that its own failure is what is reported. */
const GRACE_MS = 1_000;
/** Who interrupts a call does not want to wait for it. */
const DRAIN_DEADLINE_MS = 500;

/**
 * Opens a session once every backend has answered or failed; those that failed are reported, never thrown. A signal
 * ends it and the process.
 */
export async function openLocalSession(config: VmcpConfig): Promise<LocalSession> {
  const vmcp = await Vmcp.create(patient(config));
  const signals = new StopSignals();
  void endOnSignal(vmcp, signals);
  const end = async (): Promise<void> => {
    signals[Symbol.dispose]();
    await vmcp.close();
  };
  try {
    const session = await vmcp.openSession();
    return {
      overview: vmcp.overview(),
      failed: session
        .backends()
        .flatMap(({ name, failure }) =>
          failure === undefined ? [] : [{ name, reason: messageOf(failure) }],
        ),
      offered: vmcp.offered(),
      instructions: new Map(
        session
          .backends()
          .flatMap(({ name, greeting }): [string, string][] =>
            greeting?.instructions === undefined ? [] : [[name, greeting.instructions]],
          ),
      ),
      callTool: async (name, args) => session.callTool(name, args),
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function endOnSignal(vmcp: Vmcp, signals: StopSignals): Promise<void> {
  const signal = await signals.received;
  await vmcp.close();
  process.exit(exitCodeOf(signal));
}

/** Nobody else waits for this session, so it is opened with all backends rather than soon. */
function patient(config: VmcpConfig): VmcpConfig {
  const { operational, backends } = config;
  const slowestMs = Math.max(...backends.map(({ timeouts }) => timeouts.startMs));
  return {
    ...config,
    operational: {
      ...operational,
      sessions: {
        ...operational.sessions,
        startDeadlineMs: slowestMs + GRACE_MS,
        drainDeadlineMs: DRAIN_DEADLINE_MS,
      },
      failureHandling: { ...operational.failureHandling, partialFailureMode: "best_effort" },
    },
  };
}
