const PASS_THROUGH = "pass-through";
const SDK = "SDK gateway";

function cpuAtMost(times, against = PASS_THROUGH) {
  return { field: "cpuMicros", against, atMost: times, what: `CPU per answer, × ${against}` };
}

const MANY_TOOLS = {
  backends: { count: 20, extraTools: 200 },
  // What the pass-through stands before lists as much as one page of ours holds, prefixes aside.
  pageTools: 995,
};

/**
 * What can be measured. A load with `args` is one of the generator, run against gateways side by side; one with
 * `module` measures vmcp in a way of its own. Bounds are those that the project holds vmcp to.
 */
export const LOADS = new Map([
  [
    "calls",
    {
      title: "tools/call with 200 B each way",
      args: ["--tool", "echo", "--size", "200"],
      withChecked: true,
      bounds: [
        cpuAtMost(1.25),
        cpuAtMost(1 / 15, SDK),
        {
          field: "perSecond",
          against: PASS_THROUGH,
          atLeast: 0.8,
          what: "calls per second, × pass-through",
        },
        { field: "p99Ms", against: PASS_THROUGH, atMost: 1.5, what: "p99, × pass-through" },
      ],
    },
  ],
  [
    "results",
    {
      title: "tools/call answered with 10 KB",
      args: ["--tool", "big", "--size", "10240"],
      bounds: [cpuAtMost(1.2)],
    },
  ],
  [
    "events",
    {
      title: "tools/call with 200 B, answered by the backend as an event stream",
      args: ["--tool", "stream", "--size", "200"],
      bounds: [cpuAtMost(1.2)],
    },
  ],
  [
    "arguments",
    {
      title: "tools/call with 1 MB of arguments",
      args: ["--tool", "swallow", "--size", "1048576"],
      withChecked: true,
      bounds: [cpuAtMost(1.4)],
    },
  ],
  [
    "progress",
    {
      title: "tools/call that reports progress 20 times in its event stream",
      args: ["--tool", "steps", "--size", "20"],
      bounds: [cpuAtMost(1.3)],
    },
  ],
  [
    "churn",
    {
      title: "a whole session: initialize, initialized, tools/list, one call, DELETE",
      unit: "session",
      args: ["--mode", "lives"],
      bounds: [cpuAtMost(1.6)],
    },
  ],
  [
    "lists",
    {
      title: "tools/list, the first page of 20 backends × 200 tools, by clients that read gzip",
      unit: "list",
      args: ["--mode", "lists"],
      ...MANY_TOOLS,
      bounds: [{ field: "cpuMicros", atMost: 100, unit: " µs", what: "CPU per list" }],
    },
  ],
  [
    "lists-plain",
    {
      title: "the same by clients that do not",
      unit: "list",
      args: ["--mode", "lists-plain"],
      ...MANY_TOOLS,
      bounds: [cpuAtMost(1)],
    },
  ],
  [
    "start",
    {
      title: "initialize with 10 warm backends of which the slowest takes 50 ms",
      module: "./start.mjs",
    },
  ],
  ["burst", { title: "1,000 initialize at once, 3 backends", module: "./burst.mjs" }],
  [
    "workers",
    {
      title: "calls with two workers, on connections of the session's worker and of the other one",
      module: "./workers.mjs",
    },
  ],
  ["idle", { title: "10,000 idle sessions × 3 backends", module: "./idle.mjs" }],
  ["boot", { title: "vmcp --version, and vmcp serve until it is ready", module: "./boot.mjs" }],
]);
