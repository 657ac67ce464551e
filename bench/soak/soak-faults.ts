import { writeFileSync } from "node:fs";
import process from "node:process";
import type { FaultProxy, ProxyFaults } from "../../test/support/fault-proxy.ts";
import { listChildren } from "../../test/support/quiescence.ts";
import type { SeededRandom } from "../../test/support/seeded-random.ts";
import type { CallFate, SoakBackend } from "./soak-backend.ts";

/** Something that goes wrong until it is healed. */
export interface SoakFault {
  readonly name: string;
  strike(random: SeededRandom): void;
  heal(): Promise<void> | void;
}

/** Faults of what a backend does with calls. They strike the processes of one over stdio as well. */
export function scriptedFaults(backend: SoakBackend): readonly SoakFault[] {
  const fates: readonly (readonly [string, CallFate])[] = [
    ["hangs", "hang"],
    ["dies before it executes", "die-before"],
    ["dies after it executed", "die-after"],
    ["says garbage", "garbage"],
    ["floods with notifications", "flood"],
  ];
  return fates.map(([what, fate]) => ({
    name: `${backend.name} ${what}`,
    strike: () => backend.change(fate),
    heal: () => backend.change("answer"),
  }));
}

/** Faults of a backend's process and of the way to it. */
export function networkFaults(backend: SoakBackend, proxy: FaultProxy): readonly SoakFault[] {
  const { name } = backend;
  const way = (what: string, faults: ProxyFaults): SoakFault => ({
    name: `${name} ${what}`,
    strike: () => proxy.change(faults),
    heal: () => proxy.heal(),
  });
  return [
    {
      name: `${name} is killed and comes back`,
      strike: () => backend.kill(),
      heal: async () => backend.revive(),
    },
    {
      name: `${name} is stopped (SIGSTOP)`,
      strike: () => backend.signal("SIGSTOP"),
      heal: () => backend.signal("SIGCONT"),
    },
    { name: `${name} forgets its sessions`, strike: () => backend.forgetSessions(), heal() {} },
    { name: `${name} is reset`, strike: () => proxy.endAll("reset"), heal() {} },
    { name: `${name} is cut`, strike: () => proxy.endAll("cut"), heal() {} },
    {
      name: `${name} is half-open`,
      strike: () => proxy.stallOpen(),
      heal: () => proxy.endAll("reset"),
    },
    {
      name: `${name} refuses connections`,
      strike: () => {
        proxy.refuse();
        proxy.endAll("reset");
      },
      heal: async () => proxy.accept(),
    },
    way("hears nothing", { toBackend: { isStalled: true } }),
    way("is late", { toClient: { delayMs: 150 } }),
    way("drips", { toClient: { bytesPerSecond: 4_000 } }),
    way("is cut off in its answers", { toClient: { cutAfterBytes: 300 } }),
  ];
}

/** Faults of the processes that the gateway started for its sessions. */
export function childFaults(gatewayPid: number): readonly SoakFault[] {
  const stopped: number[] = [];
  const some = (random: SeededRandom): number | undefined => {
    const children = listChildren(gatewayPid);
    return children.length === 0 ? undefined : random.pick(children).pid;
  };
  return [
    { name: "a child is killed", strike: (random) => signal(some(random), "SIGKILL"), heal() {} },
    {
      name: "a child is stopped (SIGSTOP)",
      strike(random) {
        const pid = some(random);
        if (pid !== undefined) stopped.push(pid);
        signal(pid, "SIGSTOP");
      },
      heal() {
        for (const pid of stopped.splice(0)) signal(pid, "SIGCONT");
      },
    },
  ];
}

/** Changes of the configuration file of a gateway that watches it. */
export function configFaults(
  gatewayPid: number,
  file: string,
  config: object,
  changed: object,
): readonly SoakFault[] {
  const write = (value: object): void => writeFileSync(file, JSON.stringify(value));
  const heal = (): void => write(config);
  return [
    { name: "the configuration changes and changes back", strike: () => write(changed), heal },
    {
      name: "the configuration breaks and is mended",
      strike: () => writeFileSync(file, "backends: [{"),
      heal,
    },
    {
      name: "the configuration is read again (SIGHUP)",
      strike: () => signal(gatewayPid, "SIGHUP"),
      heal() {},
    },
  ];
}

/** It may have ended meanwhile. */
function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, name);
  } catch {
    // Gone already: as dead as it should be.
  }
}
