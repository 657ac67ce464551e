// Loaded into a gateway process by its test, before the gateway itself: tells what keeps that process busy, which nobody
// can see from outside. Answers on a port of its own, which it writes into the file named by VMCP_TEST_PROBE.
import { renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import process from "node:process";
import { getHeapCodeStatistics, writeHeapSnapshot } from "node:v8";

const file = process.env.VMCP_TEST_PROBE;
const RealDate = Date;
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

function block(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Sets the wall clock of this process forward or back from where it really is; what is monotonic goes on. */
function shiftClock(ms) {
  globalThis.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length === 0 ? [RealDate.now() + ms] : given));
    }
    static now() {
      return RealDate.now() + ms;
    }
  };
}

const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url, "http://probe");
  const blockMs = Number(searchParams.get("block") ?? 0);
  if (blockMs > 0) {
    response.end("{}");
    setImmediate(block, blockMs);
    return;
  }
  if (searchParams.has("snapshot")) {
    globalThis.gc?.();
    writeHeapSnapshot(searchParams.get("snapshot"));
  }
  if (searchParams.has("clock")) shiftClock(Number(searchParams.get("clock")));
  globalThis.gc?.();
  const code = getHeapCodeStatistics();
  const report = {
    resources: process.getActiveResourcesInfo(),
    heapBytes: process.memoryUsage().heapUsed,
    codeBytes: code.code_and_metadata_size + code.bytecode_and_metadata_size,
    rssBytes: process.memoryUsage().rss,
    loopDelayP99Ms: delay.percentile(99) / 1e6,
  };
  delay.reset();
  response.setHeader("connection", "close");
  response.end(JSON.stringify(report));
});
server.listen(0, "127.0.0.1", () => {
  writeFileSync(`${file}.new`, String(server.address().port));
  renameSync(`${file}.new`, file);
});
server.unref();
