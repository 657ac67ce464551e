// Puts the modules of the command line, and of the packages that it uses, into few files: finding, reading and compiling
// several hundred small ones takes half of the time in which the gateway starts. The library stays as it is.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";

/** Packages that stay outside, because they look for files of their own beside them. */
const EXTERNAL = ["@cedar-policy/cedar-wasm"];

/** The folder of a module's package, the innermost one, and that package's name. */
const PACKAGE = /^(.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/;

/** Bundles a build in its own folder, once. `cli/bin.js` stays where it is and leads to the bundle. */
export async function bundle(dist) {
  const command = join(dist, "cli/bin.js");
  const built = await rolldown({
    input: { "bundle/bin": command, worker: join(dist, "cli/worker.js") },
    platform: "node",
    external: EXTERNAL.map((name) => new RegExp(`^${name}(?:/|$)`)),
    // Where a package has both, its modules: they say what of them is not needed.
    resolve: { mainFields: ["module", "main"] },
  });
  // Two folders below package.json, and one beside the worker: so the modules themselves look for both.
  const { output } = await built.write({
    dir: dist,
    entryFileNames: "[name].js",
    chunkFileNames: "bundle/[name]-[hash].js",
  });
  await built.close();
  writeFileSync(command, '#!/usr/bin/env node\nimport "../bundle/bin.js";\n');
  writeFileSync(join(dist, "bundle/LICENSES.md"), licensesOf(output));
}

/** What the licenses of the packages ask of whoever hands on a copy of them: the texts themselves. */
function licensesOf(chunks) {
  const folders = new Map();
  for (const { moduleIds = [] } of chunks) {
    for (const id of moduleIds) {
      const [, folder, name] = PACKAGE.exec(id) ?? [];
      if (folder !== undefined) folders.set(name, folder);
    }
  }
  const parts = [...folders]
    .toSorted(([one], [other]) => one.localeCompare(other, "en"))
    .map(([name, folder]) => licenseOf(name, folder));
  return `# Packages of which parts are in these files\n\n${parts.join("\n")}`;
}

function licenseOf(name, folder) {
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  if (file === undefined)
    throw new Error(`The license of ${name} cannot be handed on: there is no text of it`);
  const text = readFileSync(join(folder, file), "utf8").trim();
  return `## ${name} ${version} (${license})\n\n${text}\n`;
}
