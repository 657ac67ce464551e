// Measures gateways side by side and prints tables in Markdown. See ../README.md for the method; --help for the options.
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { measureMicro } from "../micro/micro.mjs";
import { CLI } from "./candidates.mjs";
import { boundsTable } from "./figures.mjs";
import { LOADS } from "./loads.mjs";
import { helpText, loadNames, readOptions } from "./options.mjs";
import { CAN_PIN } from "./processes.mjs";
import { profileTables } from "./profile.mjs";
import { buildRevision } from "./revision.mjs";
import { measureSideBySide } from "./side-by-side.mjs";

const { values: options, problem } = readOptions(process.argv.slice(2));
try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = refuse(error.message);
}
// Whatever is still running must not hold us.
process.exit();

async function main() {
  if (problem !== undefined) return refuse(`${problem}; --help shows all options`);
  if (options.help) {
    console.log(helpText());
    return 0;
  }
  if (!existsSync(CLI)) return refuse("vmcp is not built: npm run build");
  if (options.micro) return runMicro();
  if (!CAN_PIN) say("no taskset or one core: nothing is pinned, expect noise");
  const revisions = [];
  for (const name of options.compare) revisions.push(buildRevision(name, say));
  const results = [];
  for (const name of loadNames(options)) results.push(await runLoad(name, revisions));
  print({ loads: results });
  return results.every(({ errors }) => errors === 0) ? 0 : 1;
}

async function runMicro() {
  const micro = await measureMicro(say, Number(options.seconds) < 1);
  if (!options.json) console.log(micro.text);
  return print({ micro });
}

async function runLoad(name, revisions) {
  const load = LOADS.get(name);
  say(`${name}: ${load.title}`);
  const profile = options.profile && join(options.profile, name);
  const settings = { ...options, profile };
  const result =
    load.module === undefined
      ? await measureSideBySide(load, settings, revisions, say)
      : await measureAlone(load, settings);
  const profiles = profile === undefined ? "" : profileTables(profile);
  if (!options.json) console.log(`\n## ${name}: ${load.title}\n\n${result.text}\n${profiles}`);
  return { name, title: load.title, ...result };
}

/** What measures vmcp in a way of its own gives its figures, each with its bound. */
async function measureAlone({ module }, settings) {
  const { measure } = await import(module);
  const { figures, errors } = await measure(settings, say);
  return { text: boundsTable(figures), bounds: figures, errors };
}

function print(results) {
  if (options.json) {
    const { node, v8 } = process.versions;
    const host = { node, v8, platform: process.platform, arch: process.arch };
    console.log(JSON.stringify({ host, options, ...results }, withoutText, 1));
  }
  return 0;
}

/** The tables say the same as the figures. */
function withoutText(key, value) {
  return key === "text" ? undefined : value;
}

function say(line) {
  console.error(line);
}

function refuse(why) {
  console.error(why);
  return 2;
}
