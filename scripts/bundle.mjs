// Puts the modules of the command line into few files, beside the build: loading several hundred small ones takes a
// quarter of the time in which the gateway starts. The library and the packages it uses stay as they are.
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const DIST = join(dirname(fileURLToPath(import.meta.url)), "../dist");
const COMMAND = join(DIST, "cli/bin.js");

const SHIM = '#!/usr/bin/env node\nimport "../bundle/bin.js";\n';

// It would be put into itself.
if (readFileSync(COMMAND, "utf8") === SHIM)
  throw new Error("dist is bundled already: build it anew");

rmSync(join(DIST, "bundle"), { recursive: true, force: true });
const bundle = await rolldown({
  input: { "bundle/bin": COMMAND, worker: join(DIST, "cli/worker.js") },
  platform: "node",
  external: (id) => !id.startsWith(".") && !id.startsWith("/"),
});
// Two folders below package.json, and one beside the worker: so the modules themselves look for both.
await bundle.write({
  dir: DIST,
  entryFileNames: "[name].js",
  chunkFileNames: "bundle/[name]-[hash].js",
});
// In one step, because the command may be started at any moment.
const fresh = `${COMMAND}.${process.pid}`;
writeFileSync(fresh, SHIM);
chmodSync(fresh, 0o755);
renameSync(fresh, COMMAND);
