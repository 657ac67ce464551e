import { readFileSync, writeFileSync } from "node:fs";

/** What a process has used so far, as the system counts it; undefined where the system does not show it. */
export interface ProcessFigures {
  /** Bytes that it read from files, pipes and sockets. */
  readonly readBytes: number | undefined;
  readonly residentBytes: number | undefined;
}

export function figuresOf(pid: number): ProcessFigures {
  return {
    readBytes: numberIn(`/proc/${pid}/io`, /^rchar: (\d+)/m),
    residentBytes: kilobytesIn(pid, /^VmRSS:\s+(\d+) kB/m),
  };
}

/** The most that the process has held since `forgetPeak`. */
export function peakResidentBytes(pid: number): number | undefined {
  return kilobytesIn(pid, /^VmHWM:\s+(\d+) kB/m);
}

/** From now on the peak counts from what is held now. */
export function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // Without it the peak is that of the whole life, which is no less strict.
  }
}

function kilobytesIn(pid: number, pattern: RegExp): number | undefined {
  const kilobytes = numberIn(`/proc/${pid}/status`, pattern);
  return kilobytes === undefined ? undefined : kilobytes * 1024;
}

function numberIn(path: string, pattern: RegExp): number | undefined {
  try {
    const found = pattern.exec(readFileSync(path, "latin1"))?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}
