import { expect, test } from "vitest";
import { type Import, importsOf, readSources, type SourceFile } from "./source-files.ts";

/** Which folders under src/ each folder may import from, lowest first. What is absent is forbidden. */
const MAY_IMPORT: ReadonlyMap<string, readonly string[]> = new Map([
  ["domain", []],
  ["lib", []],
  ["mcp", ["domain", "lib"]],
  ["config", ["domain", "lib"]],
  ["aggregation", ["domain", "lib", "mcp"]],
  ["routing", ["domain", "lib", "mcp"]],
  ["policy", ["domain", "lib", "mcp"]],
  ["pinning", ["domain", "lib"]],
  ["workflow", ["domain", "lib", "mcp"]],
  ["optimizer", ["domain", "lib", "mcp"]],
  ["auth", ["domain", "lib"]],
  ["backend", ["domain", "lib", "mcp"]],
  ["health", ["domain", "lib"]],
  ["telemetry", ["domain", "lib"]],
  ["audit", ["domain", "lib"]],
  ["limits", ["domain", "lib"]],
  ["validation", ["domain", "lib", "mcp"]],
  ["session", ["domain", "lib", "mcp", "aggregation", "routing"]],
  [
    "gateway",
    ["domain", "lib", "mcp", "routing", "policy", "workflow", "optimizer", "health", "session"],
  ],
  ["server", ["domain", "lib", "mcp", "session", "gateway"]],
  ["sdk", ["domain", "lib", "mcp", "session", "gateway"]],
  ["admin", ["domain", "lib", "gateway"]],
  ["workers", ["domain", "lib"]],
  [
    "app",
    [
      "domain",
      "lib",
      "mcp",
      "config",
      "aggregation",
      "routing",
      "policy",
      "pinning",
      "workflow",
      "optimizer",
      "auth",
      "backend",
      "health",
      "telemetry",
      "audit",
      "limits",
      "validation",
      "session",
      "gateway",
      "server",
      "sdk",
      "admin",
    ],
  ],
  ["cli", ["domain", "lib", "config", "pinning", "telemetry", "workers", "app"]],
  ["index.ts", ["domain", "mcp", "config", "health", "session", "app"]],
]);

/** Packages that only some folders may know, so that replacing one stays a change in one place. */
const PACKAGE_FOLDERS: ReadonlyMap<string, readonly string[]> = new Map([
  ["@modelcontextprotocol", ["sdk"]],
  ["undici", ["auth", "backend", "lib"]],
  ["ajv", ["validation"]],
  ["@cedar-policy", ["lib"]],
  ["re2js", ["validation"]],
]);

/** These compute and do nothing else, so that their answers depend on their arguments alone. */
const PURE_FOLDERS = new Set(["aggregation", "routing", "policy", "pinning"]);
const IO_MODULE =
  /^(?:node:)?(?:child_process|cluster|dgram|dns|fs|http|http2|https|net|timers|tls|worker_threads)(?:\/|$)/;

const MAX_LINES = 500;

const sources = readSources();
const imports = sources.flatMap(importsOf);

test("every folder imports only from the layers below it", () => {
  const violations = imports.flatMap(layerViolation);

  expect(sources.length).toBeGreaterThan(0);
  expect(violations).toEqual([]);
});

test("the table lists each folder after everything it imports", () => {
  const order = [...MAY_IMPORT.keys()];

  const backwards = [...MAY_IMPORT].flatMap(([folder, allowed]) =>
    allowed
      .filter((name) => !order.slice(0, order.indexOf(folder)).includes(name))
      .map((name) => `${folder} -> ${name}`),
  );

  expect(backwards).toEqual([]);
});

test("packages are known only where they belong", () => {
  const violations = imports.flatMap(packageViolation);

  expect(violations).toEqual([]);
});

test("pure folders import nothing that reads, writes or waits", () => {
  const violations = imports.flatMap(purityViolation);

  expect(violations).toEqual([]);
});

test("no source leaves a note about work to be done", () => {
  const notes = sources.filter(hasNote).map(({ name }) => name);

  expect(notes).toEqual([]);
});

test(`no source has more than ${MAX_LINES} lines`, () => {
  const long = sources.filter(isTooLong).map(({ name }) => name);

  expect(long).toEqual([]);
});

test.for([
  ["sideways", "session/a.ts", 'import { b } from "../backend/b.ts";', 1],
  ["upwards", "domain/a.ts", 'import type { b } from "../lib/b.ts";', 1],
  ["of a folder that the table does not know", "session/a.ts", 'import "../misc/b.ts";', 1],
  ["from a folder that the table does not know", "misc/a.ts", 'import "../domain/b.ts";', 1],
  ["passed on", "mcp/a.ts", 'export { b } from "../session/b.ts";', 1],
  ["at run time", "cli/a.ts", 'await import("../server/b.ts");', 1],
  ["out of a subfolder", "aggregation/resolvers/a.ts", 'import "../../config/b.ts";', 1],
  ["downwards", "session/a.ts", 'import { b } from "../domain/b.ts";', 0],
  ["of the same folder", "aggregation/resolvers/a.ts", 'import { b } from "../b.ts";', 0],
] as const)("an import %s counts", ([, name, text, expected]) => {
  const violations = importsOf({ name, text }).flatMap(layerViolation);

  expect(violations).toHaveLength(expected);
});

test.for([
  ["server/a.ts", 'import { Server } from "@modelcontextprotocol/server";', 1],
  ["mcp/a.ts", 'import type { Tool } from "@modelcontextprotocol/sdk/types.js";', 1],
  ["sdk/a.ts", 'import { Server } from "@modelcontextprotocol/server";', 0],
  ["session/a.ts", 'import { Pool } from "undici";', 1],
  ["backend/streamable-http/a.ts", 'import { Pool } from "undici";', 0],
  ["session/a.ts", 'import { x } from "undici-types";', 0],
] as const)("in %s, %s breaks the rule for packages %i times", ([name, text, expected]) => {
  const violations = importsOf({ name, text }).flatMap(packageViolation);

  expect(violations).toHaveLength(expected);
});

test.for([
  ["aggregation/a.ts", 'import { setTimeout } from "node:timers/promises";', 1],
  ["routing/a.ts", 'import fs from "fs";', 1],
  ["routing/a.ts", 'import { createHash } from "node:crypto";', 0],
  ["backend/a.ts", 'import { spawn } from "node:child_process";', 0],
] as const)("in %s, %s breaks purity %i times", ([name, text, expected]) => {
  const violations = importsOf({ name, text }).flatMap(purityViolation);

  expect(violations).toHaveLength(expected);
});

function layerViolation({ file, folder, toFolder }: Import): readonly string[] {
  const isAllowed =
    toFolder === undefined ||
    (MAY_IMPORT.has(folder) &&
      (folder === toFolder || MAY_IMPORT.get(folder)?.includes(toFolder) === true));
  return isAllowed ? [] : [`${file} must not import from ${toFolder}/`];
}

function packageViolation({ file, folder, target }: Import): readonly string[] {
  const folders = PACKAGE_FOLDERS.get(target.split("/")[0] ?? "");
  return folders === undefined || folders.includes(folder)
    ? []
    : [`${file} must not import ${target}: only ${folders.join(" and ")} may`];
}

function purityViolation({ file, folder, target }: Import): readonly string[] {
  const breaks = PURE_FOLDERS.has(folder) && IO_MODULE.test(target);
  return breaks ? [`${file} must not import ${target}`] : [];
}

function hasNote({ text }: SourceFile): boolean {
  return /\b(?:TODO|FIXME|XXX)\b/.test(text);
}

function isTooLong({ text }: SourceFile): boolean {
  return text.split("\n").length > MAX_LINES + 1;
}
