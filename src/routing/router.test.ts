import { expect, test } from "vitest";
import type { CapabilityKind } from "../domain/capabilities.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { Route, RoutingTable } from "../domain/routing-table.ts";
import { completionTarget } from "./completion.ts";
import { findPrompt, findTool } from "./find.ts";
import { createRouter } from "./router.ts";

function route(kind: CapabilityKind, backend: string, name: string, advertisedName = name): Route {
  return { kind, backend: parseBackendName(backend), originalName: name, advertisedName };
}

const TOOL = route("tool", "a", "read", "a_read");
const PROMPT = route("prompt", "a", "ask", "a_ask");
const RESOURCE = route("resource", "b", "docs://7");
const NARROW = route("resourceTemplate", "c", "docs://{id}");
const WIDE = route("resourceTemplate", "a", "docs://{+rest}");

const TABLE: RoutingTable = {
  tools: new Map([[TOOL.advertisedName, TOOL]]),
  prompts: new Map([[PROMPT.advertisedName, PROMPT]]),
  resources: new Map([[RESOURCE.originalName, RESOURCE]]),
  resourceTemplates: [NARROW, WIDE],
};

const EMPTY: RoutingTable = {
  tools: new Map(),
  prompts: new Map(),
  resources: new Map(),
  resourceTemplates: [],
};

test("a tool and a prompt are found by their advertised names only", () => {
  expect(findTool(TABLE, "a_read")).toBe(TOOL);
  expect(findTool(TABLE, "read")).toBeUndefined();
  expect(findTool(TABLE, "a_ask")).toBeUndefined();
  expect(findPrompt(TABLE, "a_ask")).toBe(PROMPT);
  expect(findPrompt(TABLE, "ask")).toBeUndefined();
});

test("nothing is found in an empty table, not even names of built-in properties [seed 82]", () => {
  expect(findTool(EMPTY, "constructor")).toBeUndefined();
  expect(findPrompt(EMPTY, "__proto__")).toBeUndefined();
  expect(createRouter(EMPTY).findResource("docs://7")).toBeUndefined();
});

test.for([
  ["docs://7", "the listed URI before any template", RESOURCE],
  ["docs://8", "the first template that it fits", NARROW],
  ["docs://8/9", "a later template that it fits", WIDE],
  ["docs://{id}", "a template's own text as a URI like any other", NARROW],
  ["other://8", "nothing", undefined],
  ["docs://", "nothing for an empty variable", undefined],
] as const)("the resource %j finds %s", ([uri, , expected]) => {
  expect(createRouter(TABLE).findResource(uri)).toBe(expected);
});

test("a template that cannot be read hides none of the others", () => {
  const broken = route("resourceTemplate", "a", "docs://{id");

  const router = createRouter({ ...TABLE, resourceTemplates: [broken, NARROW] });

  expect(router.findResource("docs://8")).toBe(NARROW);
});

test.for([
  [{ type: "ref/prompt", name: "a_ask" }, PROMPT],
  [{ type: "ref/prompt", name: "ask" }, undefined],
  [{ type: "ref/prompt", uri: "docs://7" }, undefined],
  [{ type: "ref/resource", uri: "docs://{id}" }, NARROW],
  [{ type: "ref/resource", uri: "docs://{+rest}" }, WIDE],
  [{ type: "ref/resource", uri: "docs://7" }, RESOURCE],
  [{ type: "ref/resource", uri: "docs://8" }, undefined],
  [{ type: "ref/resource", name: "a_ask" }, undefined],
  [{ type: "ref/tool", name: "a_read" }, undefined],
  [{ type: "ref/prompt", name: 7 }, undefined],
  [{}, undefined],
] as const)("the completion reference %j leads to its owner or nowhere", ([ref, expected]) => {
  expect(completionTarget(TABLE, ref)).toBe(expected);
});
