// Puts the modules of the command line into few files: loading several hundred small ones takes a quarter of the time in
// which the gateway starts. The library and the packages that it uses stay as they are.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";

/** Bundles a build in its own folder, once. `cli/bin.js` stays where it is and leads to the bundle. */
export async function bundle(dist) {
  const command = join(dist, "cli/bin.js");
  const built = await rolldown({
    input: { "bundle/bin": command, worker: join(dist, "cli/worker.js") },
    platform: "node",
    external: (id) => !id.startsWith(".") && !id.startsWith("/"),
  });
  // Two folders below package.json, and one beside the worker: so the modules themselves look for both.
  await built.write({
    dir: dist,
    entryFileNames: "[name].js",
    chunkFileNames: "bundle/[name]-[hash].js",
  });
  await built.close();
  writeFileSync(command, '#!/usr/bin/env node\nimport "../bundle/bin.js";\n');
}
