import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFaultProxy, type FaultProxy } from "../../support/fault-proxy.ts";
import {
  httpTarget,
  runFaults,
  sseTarget,
  stdioTarget,
  type FaultTarget,
} from "../../support/fault-run.ts";
import { checkHistory } from "../../support/history.ts";
import { checkInvariants, holdingsOf, type Holdings } from "../../support/invariants.ts";
import { startHttpLedger, type HttpLedger } from "../../support/ledger-backend.ts";
import { startSseLedger, type SseLedger } from "../../support/ledger-sse.ts";
import { startStdioLedger, type StdioLedger } from "../../support/ledger-stdio.ts";
import { CAN_PROBE, startProbedVmcp, type ProbedVmcp } from "../../support/probed-vmcp.ts";

/** How many seeds are played; the same ones each time. */
const SEEDS = Number(process.env["VMCP_FAULT_SEEDS"] ?? 3);

const RUN_MS = Number(process.env["VMCP_FAULT_RUN_MS"] ?? 3_000);

/** Short, so that a gateway which was left comes to rest soon. */
const KEEP_ALIVE_MS = 2_000;

describe.runIf(CAN_PROBE)("clients by hand and of the SDK, on three backends that break", () => {
  let http: HttpLedger;
  let sse: SseLedger;
  let stdio: StdioLedger;
  let proxies: readonly FaultProxy[];
  let targets: readonly FaultTarget[];
  let gateway: ProbedVmcp;
  let warm: Holdings;

  beforeAll(async () => {
    http = await startHttpLedger({}, KEEP_ALIVE_MS);
    sse = await startSseLedger({}, KEEP_ALIVE_MS);
    stdio = await startStdioLedger();
    const toHttp = await startFaultProxy(http.port);
    const toSse = await startFaultProxy(sse.port);
    proxies = [toHttp, toSse];
    targets = [
      httpTarget("http", http, toHttp),
      sseTarget("sse", sse, toSse),
      stdioTarget("stdio", stdio),
    ];
    const timeouts = { connect: "500ms", start: "1s", call: "1s" };
    gateway = await startProbedVmcp({
      config: {
        backends: [
          { name: "http", url: toHttp.url("/mcp"), timeouts },
          { name: "sse", transport: "sse", url: toSse.url("/sse"), timeouts },
          { name: "stdio", command: stdio.command, args: [...stdio.args], timeouts },
        ],
        aggregation: { conflictResolution: "prefix" },
        operational: {
          sessionManagementV2: true,
          sessions: { idleTtl: "1s", startDeadline: "500ms", drainDeadline: "500ms" },
          failureHandling: { circuitBreaker: { timeout: "1s" } },
        },
      },
    });
    await play(0);
    warm = await holdingsAtRest();
  }, 60_000);

  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await Promise.all(proxies.map(async (proxy) => proxy[Symbol.asyncDispose]()));
    await Promise.all([http.close(), sse.close(), stdio.close()]);
  });

  async function play(seed: number) {
    return runFaults({
      url: gateway.url,
      targets,
      seed,
      durationMs: RUN_MS,
      clients: 6,
      faultEveryMs: 250,
    });
  }

  /** Nothing but what a gateway without clients holds: the first run has made it warm. */
  async function holdingsAtRest(): Promise<Holdings> {
    const idle = { descriptors: 1e9, sockets: 1e9, handles: 1e9, heapBytes: 1e12 };
    await checkInvariants(gateway, { ...idle, children: 0, sessions: 0 }, { settleMs: 20_000 });
    return holdingsOf(gateway);
  }

  test.for(Array.from({ length: SEEDS }, (_value, index) => index + 1))(
    "lose no call, get no answer twice or of another, and leave nothing behind: seed %i [I1] [I2] [I3] [I4] [I5] [I6] [I7] [I8] [I10] [I11]",
    { timeout: RUN_MS + 60_000 },
    async (seed) => {
      const run = await play(seed);
      const violations = checkHistory(run.history.events, run.executions);
      const left = await checkInvariants(gateway, warm, {
        settleMs: 20_000,
        backends: [sse],
        heapGrowth: 0.2,
      });

      expect({ violations, left }).toEqual({ violations: [], left: [] });
      // The run was about something: calls were answered, calls failed, and things broke.
      expect(run.history.count("ok")).toBeGreaterThan(0);
      expect(run.history.count("fail") + run.history.count("unknown")).toBeGreaterThan(0);
      expect(run.faults.length).toBeGreaterThan(3);
    },
  );
});
