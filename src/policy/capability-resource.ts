import type { CapabilityKind } from "../domain/capabilities.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { Route } from "../domain/routing-table.ts";
import { HINT_NAMES, type ToolHints } from "../domain/tool-hints.ts";
import type { Context, EntityJson, TypeAndId } from "../lib/cedar.ts";
import { toAttributes } from "./cedar-value.ts";
import { ARGUMENT_PREFIX, toEntityKey, type Mentions } from "./mentions.ts";

/** How one kind of capability is called in policies. */
interface Naming {
  readonly type: string;
  readonly action: string;
  readonly operation: string;
  readonly feature: string;
}

const RESOURCE: Naming = {
  type: "Resource",
  action: "read_resource",
  operation: "read",
  feature: "resource",
};

/** A template stands for the resources that it leads to. */
const NAMING = {
  tool: { type: "Tool", action: "call_tool", operation: "call", feature: "tool" },
  prompt: { type: "Prompt", action: "get_prompt", operation: "get", feature: "prompt" },
  resource: RESOURCE,
  resourceTemplate: RESOURCE,
} as const satisfies Record<CapabilityKind, Naming>;

/** What policies see of the use of a capability: the action and what it is done to. */
export interface Use {
  readonly action: TypeAndId;
  readonly actionEntity: EntityJson;
  readonly resource: TypeAndId;
  readonly resourceEntity: EntityJson;
}

export interface UseOptions {
  /** No other attributes are handed out. */
  readonly mentions: Mentions;
  /** Arguments, as attributes. */
  readonly args: Context;
  readonly serverName: string;
}

/** Written in policies in place of a URI, in which these characters stand for themselves. */
const SANITISED = /[:/\\?&=# .]/g;

/** The action and the resource that stand for the use of what a route leads to. */
export function toUse(route: Route, { mentions, args, serverName }: UseOptions): Use {
  const { type, action: actionId, operation, feature } = NAMING[route.kind];
  const { advertisedName: name, backend, originalName, hints } = route;
  const isUri = type === RESOURCE.type;
  const attributes: JsonObject = {
    ...hints,
    name,
    ...(isUri && { uri: name }),
    originalName,
    backend,
    operation,
    feature,
  };
  const asked = Object.entries(attributes).filter(([key]) => mentions.attributes.has(key));
  const action = { type: "Action", id: actionId };
  const resource = { type, id: resourceId(route) };
  return {
    action,
    actionEntity: {
      uid: action,
      attrs: mentions.attributes.has("operation") ? { operation: actionId } : {},
      parents: [],
    },
    resource,
    resourceEntity: {
      uid: resource,
      // Arguments come last: none of their names can be one of ours.
      attrs: { ...toAttributes(asked), ...args },
      parents: [
        { type: "Backend", id: backend },
        { type: "MCP", id: serverName },
      ],
    },
  };
}

/** Equal for capabilities that no policy can tell apart. Cheap: it is made for each call. */
export function useKeyOf(route: Route, mentions: Mentions): string {
  const { kind, backend, hints, advertisedName, originalName } = route;
  const named = isNamed(route, mentions) ? ` ${advertisedName.length}:${advertisedName}` : "";
  const original = mentions.attributes.has("originalName") ? `"${originalName}` : "";
  return `${NAMING[kind].type} ${backend}${hintKeyOf(hints, mentions)}${named}${original}`;
}

/** The arguments of a call as attributes: what is neither text, number nor truth value is only said to be there. */
export function toArgumentAttributes(args: JsonObject | undefined, mentions: Mentions): Context {
  if (args === undefined) return {};
  const simple: [string, JsonValue][] = [];
  const present: [string, JsonValue][] = [];
  for (const [name, value] of Object.entries(args)) {
    if (typeof value === "object") present.push([`${ARGUMENT_PREFIX}${name}_present`, true]);
    else simple.push([`${ARGUMENT_PREFIX}${name}`, value]);
  }
  // Those that are present come last, so that no argument of such a name can deny it.
  return toAttributes(
    [...simple, ...present].filter(
      ([name]) => mentions.hasWholeContext || mentions.attributes.has(name),
    ),
  );
}

/** Whether any policy can tell this capability from others of its backend by its name. */
function isNamed(route: Route, { attributes, entities }: Mentions): boolean {
  if (attributes.has("name") || attributes.has("uri")) return true;
  if (entities.size === 0) return false;
  return entities.has(toEntityKey({ type: NAMING[route.kind].type, id: resourceId(route) }));
}

function hintKeyOf(hints: ToolHints | undefined, { attributes }: Mentions): string {
  if (hints === undefined) return "";
  let key = "";
  for (const name of HINT_NAMES) {
    if (attributes.has(name) && hints[name] !== undefined) key += ` ${name}=${hints[name]}`;
  }
  return key;
}

function resourceId({ kind, advertisedName }: Route): string {
  return NAMING[kind].type === RESOURCE.type
    ? advertisedName.replaceAll(SANITISED, "_")
    : advertisedName;
}
