// Lets the conformance suite start on Node 20: it imports `fs.globSync`, which came with Node 22 and which the
// scenarios do not need. Used as `node --import`; does nothing where Node has the function.
import * as fs from "node:fs";
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

const FS_WITH_GLOB = `data:text/javascript,${encodeURIComponent(`
  export * from "node:fs";
  export { default } from "node:fs";
  export function globSync() { throw new Error("fs.globSync needs Node 22"); }
`)}`;

// Hooks run in a thread of their own, which loads this same file.
if (isMainThread && !("globSync" in fs)) register(import.meta.url);

export function resolve(specifier, context, nextResolve) {
  const isSuite = context.parentURL?.includes("/@modelcontextprotocol/conformance/") === true;
  if (specifier !== "fs" || !isSuite) return nextResolve(specifier, context);
  return { url: FS_WITH_GLOB, format: "module", shortCircuit: true };
}
