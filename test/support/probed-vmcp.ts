import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HAS_PROC, waitFor } from "./quiescence.ts";
import { sendRaw } from "./raw-client.ts";
import { startVmcp, type VmcpOptions, type VmcpProcess } from "./vmcp-process.ts";

/** What a process says of itself. */
export interface ProcessReport {
  /** As `process.getActiveResourcesInfo()` gives them; the question itself adds the same few each time. */
  readonly resources: readonly string[];
  /** After a collection. */
  readonly heapBytes: number;
  /** The part of the heap that V8 has compiled: it comes with what is run for the first and the thousandth time. */
  readonly codeBytes: number;
  readonly rssBytes: number;
  /** Since the report before. */
  readonly loopDelayP99Ms: number;
}

/** A running `vmcp serve` that can be asked what keeps it busy. An unhandled rejection ends it. */
export interface ProbedVmcp extends AsyncDisposable {
  readonly process: VmcpProcess;
  readonly url: string;
  readonly origin: string;
  readonly pid: number;
  report(): Promise<ProcessReport>;
  /** Writes what its heap holds into that file, which takes a second in which it does nothing else. */
  writeHeapSnapshot(file: string): Promise<void>;
  /** Sets its wall clock this far from the real one, at once. */
  shiftClock(ms: number): Promise<void>;
  /** Keeps the process from doing anything else for a while, from shortly after this resolves. */
  block(ms: number): Promise<void>;
}

/** Whether processes can be looked into on this system. */
export const CAN_PROBE = HAS_PROC;

/** As `startVmcp`, with a probe inside. */
export async function startProbedVmcp(options: VmcpOptions = {}): Promise<ProbedVmcp> {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-probe-"));
  const file = join(folder, "port");
  const probe = new URL("process-probe.mjs", import.meta.url).href;
  const nodeOptions = `--expose-gc --unhandled-rejections=strict --import ${probe}`;
  const env = { ...options.env, NODE_OPTIONS: nodeOptions, VMCP_TEST_PROBE: file };
  const started = await startVmcp({ ...options, env });
  try {
    const port = await waitFor(() => readText(file), { what: "the probe's port" });
    return probed(started, `http://127.0.0.1:${port}/`);
  } catch (error) {
    await started.stop();
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function probed(started: VmcpProcess, probeUrl: string): ProbedVmcp {
  const { url, origin, pid } = started;
  return {
    process: started,
    url,
    origin,
    pid,
    async report() {
      const { text } = await sendRaw(probeUrl);
      // Written by the probe beside this file.
      return JSON.parse(text) as ProcessReport;
    },
    async writeHeapSnapshot(file) {
      await sendRaw(`${probeUrl}?snapshot=${encodeURIComponent(file)}`);
    },
    async shiftClock(ms) {
      await sendRaw(`${probeUrl}?clock=${ms}`);
    },
    async block(ms) {
      await sendRaw(`${probeUrl}?block=${ms}`);
    },
    [Symbol.asyncDispose]: async () => started[Symbol.asyncDispose](),
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // Not written yet.
    return "";
  }
}
