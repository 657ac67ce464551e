import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { startHttpLedger } from "./ledger-backend.ts";
import {
  HAS_PROC,
  isRunning,
  listChildren,
  openDescriptors,
  openSockets,
  processesWithEnv,
  processGroup,
  processTree,
  waitFor,
  zombiesOf,
} from "./quiescence.ts";

test("waiting returns what the condition gives", async () => {
  const values = [0, undefined, "there"];

  const found = await waitFor(() => values.shift());

  expect(found).toBe("there");
});

test("waiting in vain says what did not come", async () => {
  const waiting = waitFor(() => false, { timeoutMs: 20, what: "the end" });

  await expect(waiting).rejects.toThrow("not within 20 ms: the end");
});

describe.runIf(HAS_PROC)("under /proc", () => {
  test("a tree has the grandchildren", async () => {
    const parent = runShell("sleep 60 & echo ready; wait");
    await once(parent.stdout ?? parent, "data");
    const pid = parent.pid ?? 0;

    const names = (): readonly string[] => processTree(pid).map((entry) => entry.name);

    // The shell forks before it becomes the program.
    await expect.poll(names).toEqual(["sh", "sleep"]);
    expect(listChildren(pid).map((entry) => entry.name)).toEqual(["sleep"]);
    expect(listChildren(process.pid).map((entry) => entry.pid)).toContain(pid);
    await killGroup(parent);
    expect(processTree(pid)).toEqual([]);
  });

  test("a group and a mark in the environment find what has lost its parent", async () => {
    const mark = `mark-${process.pid}`;
    const parent = runShell("sleep 60 >/dev/null & echo ready", { TEST_MARK: mark });
    await once(parent, "close");
    const orphans = await waitFor(() => {
      const found = processesWithEnv("TEST_MARK", mark);
      return found.length === 1 && found;
    });

    const group = processGroup(parent.pid ?? 0);

    expect(group.map((entry) => entry.name)).toEqual(["sleep"]);
    expect(group).toEqual(orphans);
    process.kill(-(parent.pid ?? 0), "SIGKILL");
    await waitFor(() => processesWithEnv("TEST_MARK", mark).length === 0);
  });

  test("a zombie is seen and does not count as running", async () => {
    // The shell becomes a program that never waits for the child it got.
    const parent = runShell("sleep 0 & echo $!; exec sleep 60");
    const [output] = await once(parent.stdout ?? parent, "data");

    const zombies = await waitFor(() => {
      const found = zombiesOf(parent.pid ?? 0);
      return found.length > 0 && found;
    });

    expect(zombies.map((entry) => entry.pid)).toEqual([Number(output)]);
    expect(isRunning(Number(output))).toBe(false);
    expect(isRunning(parent.pid ?? 0)).toBe(true);
    await killGroup(parent);
  });

  test("sockets are seen while they are open", async () => {
    await using ledger = await startHttpLedger();
    const toLedger = (): number =>
      openSockets(process.pid).filter((socket) => socket.remotePort === ledger.port).length;
    const descriptors = openDescriptors(process.pid);

    const socket = connect(ledger.port, "127.0.0.1");
    await once(socket, "connect");

    expect(toLedger()).toBe(1);
    expect(openDescriptors(process.pid)).toBeGreaterThan(descriptors);
    expect(openSockets(process.pid)).toContainEqual({
      localAddress: "127.0.0.1",
      localPort: ledger.port,
      remotePort: 0,
      state: "listening",
    });
    socket.destroy();
    await waitFor(() => toLedger() === 0);
  });
});

function runShell(script: string, env: Record<string, string> = {}): ChildProcess {
  return spawn("sh", ["-c", script], {
    detached: true,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function killGroup(leader: ChildProcess): Promise<void> {
  const closed = once(leader, "close");
  process.kill(-(leader.pid ?? 0), "SIGKILL");
  await closed;
}
