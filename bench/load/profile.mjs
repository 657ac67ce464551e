import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { format, tableOf } from "./figures.mjs";

const TOP = 25;
const NOT_WORK = new Set(["(idle)", "(root)"]);

/** Where the time of every CPU profile in the folder went: by part of the program, and by function. */
export function profileTables(folder) {
  if (!existsSync(folder)) return "";
  const files = readdirSync(folder).filter((name) => name.endsWith(".cpuprofile"));
  return files
    .map((name) => tablesOf(name, JSON.parse(readFileSync(join(folder, name), "utf8"))))
    .join("\n");
}

function tablesOf(name, { nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const [parts, functions] = [new Map(), new Map()];
  let total = 0;
  for (const [index, id] of samples.entries()) {
    const { callFrame } = byId.get(id);
    if (NOT_WORK.has(callFrame.functionName)) continue;
    const micros = timeDeltas[index];
    total += micros;
    add(parts, partOf(callFrame), micros);
    add(functions, `${callFrame.functionName || "(anonymous)"} ${placeOf(callFrame)}`, micros);
  }
  const rows = (map, count) =>
    [...map]
      .toSorted(([, left], [, right]) => right - left)
      .slice(0, count)
      .map(([what, micros]) => [format((100 * micros) / total), what]);
  const title = `${name}, ${format(total / 1e6)} s of work`;
  const tables = [
    tableOf(["%", "part"], rows(parts, TOP)),
    tableOf(["%", "function"], rows(functions, TOP)),
  ];
  return `\n${[title, ...tables].join("\n\n")}\n`;
}

function add(map, key, micros) {
  map.set(key, (map.get(key) ?? 0) + micros);
}

function partOf({ functionName, url }) {
  if (functionName.startsWith("(")) return functionName;
  if (url === "") return "built-in functions";
  if (url.startsWith("node:")) return url.split("/").slice(0, 2).join("/");
  const dependency = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  return dependency ?? `vmcp ${/dist\/(.*?)[^/]*$/.exec(url)?.[1] ?? url}`;
}

function placeOf({ url, lineNumber }) {
  return url === "" ? "" : `${url.split("/").slice(-2).join("/")}:${lineNumber + 1}`;
}
