import { parseArgs } from "node:util";
import { LOADS } from "./loads.mjs";

/** What is not in this table is no option. `hint` stands for the value in the help. */
const OPTIONS = {
  load: {
    type: "string",
    short: "l",
    default: "calls",
    hint: "NAME,…",
    help: "Loads to run, or all.",
  },
  rounds: {
    type: "string",
    default: "5",
    hint: "N",
    help: "Slices per gateway; the medians over them are shown.",
  },
  seconds: { type: "string", default: "2", hint: "S", help: "Length of a slice." },
  prewarm: {
    type: "string",
    default: "4",
    hint: "S",
    help: "Load on each gateway before the first slice.",
  },
  sessions: { type: "string", default: "64", hint: "N", help: "Client sessions at once." },
  count: {
    type: "string",
    hint: "N",
    help: "Sessions of burst and idle, spawns of boot, in place of 1,000, 10,000 and 15.",
  },
  only: {
    type: "string",
    default: "",
    hint: "REGEX",
    help: "Only these gateways; the pass-through is always there.",
  },
  peers: {
    type: "boolean",
    default: false,
    help: "Also mcp-proxy, supergateway and mcp-hub; installs them at the first time (110 MB, beside the bench).",
  },
  compare: {
    type: "string",
    multiple: true,
    default: [],
    hint: "REV",
    help: "Also this revision of the project, built in a temporary folder. May be repeated.",
  },
  gateway: {
    type: "string",
    multiple: true,
    default: [],
    hint: "NAME=URL",
    help: "Also this running gateway; it must have the bench's backend behind it, see --backend-port. May be repeated.",
  },
  "backend-port": {
    type: "string",
    default: "0",
    hint: "PORT",
    help: "Where the bench's backend listens, for gateways of your own to stand before it.",
  },
  profile: {
    type: "string",
    hint: "FOLDER",
    help: "Write a CPU profile of vmcp, and show where its time goes.",
  },
  micro: {
    type: "boolean",
    default: false,
    help: "Time the functions of a call one by one instead; with --seconds below 1 only to see that they run.",
  },
  json: { type: "boolean", default: false, help: "Print one JSON document instead of tables." },
  help: { type: "boolean", short: "h", default: false, help: "Show this." },
};

/** The options as given, or `{problem}` that says what is wrong with them. */
export function readOptions(args) {
  try {
    const { values } = parseArgs({ args, options: OPTIONS });
    const problem = problemOf(values);
    return problem === undefined ? { values } : { problem };
  } catch (error) {
    return { problem: error.message };
  }
}

export function helpText() {
  const options = Object.entries(OPTIONS).map(
    ([name, { short, hint, help, default: standard }]) => {
      const flag = `${short === undefined ? "" : `-${short}, `}--${name}${hint === undefined ? "" : ` ${hint}`}`;
      const isWorthTelling = typeof standard === "string" && standard !== "" && standard !== "0";
      return row(flag, isWorthTelling ? `${help} Default: ${standard}.` : help);
    },
  );
  const loads = [...LOADS].map(([name, { title }]) => row(name, title));
  return [
    "npm run bench -- [OPTIONS]",
    "",
    "Measures gateways side by side, checks every answer, and prints tables in Markdown. bench/README.md has the method.",
    "",
    "Loads:",
    ...loads,
    "",
    "Options:",
    ...options,
    "",
    "Exits with 1 when a gateway of this project gave a wrong answer, with 2 when nothing could be measured. A missed",
    "bound is shown and is no failure: figures of a busy machine prove nothing.",
  ].join("\n");
}

function row(left, right) {
  return `  ${left.padEnd(22)} ${right}`;
}

function problemOf({ load, gateway, rounds, seconds, prewarm, sessions, count = "1", ...rest }) {
  const unknown = load.split(",").find((name) => name !== "all" && !LOADS.has(name));
  if (unknown !== undefined)
    return `no load "${unknown}": use ${[...LOADS.keys()].join(", ")} or all`;
  const bad = gateway.find((text) => !/^[^=]+=https?:\/\//.test(text));
  if (bad !== undefined)
    return `--gateway ${bad}: write NAME=URL, such as mine=http://127.0.0.1:8080/mcp`;
  for (const [name, text] of Object.entries({ rounds, sessions, count }))
    if (!/^[1-9]\d*$/.test(text)) return `--${name} ${text}: must be a whole number from 1 on`;
  for (const [name, text] of Object.entries({ seconds, prewarm }))
    if (!(Number(text) > 0)) return `--${name} ${text}: must be a number above 0`;
  if (!/^\d{1,5}$/.test(rest["backend-port"])) return "--backend-port must be a port";
  return undefined;
}

/** The names of the loads that were asked for. */
export function loadNames({ load }) {
  const names = load.split(",");
  return names.includes("all") ? [...LOADS.keys()] : names;
}
