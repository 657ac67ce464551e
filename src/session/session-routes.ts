import type { BackendGreeting } from "../domain/capabilities.ts";
import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { Route, RoutingTable } from "../domain/routing-table.ts";
import { LateMap } from "../lib/late-map.ts";
import type { OutboundRequest } from "../mcp/exchange.ts";
import { clip, findAmbiguousKey, type InboundRequest } from "../mcp/inbound-message.ts";
import { replaceBytes, scanMembers, spliceBytes, type Member } from "../mcp/json-spans.ts";
import { joined, type MessageBytes } from "../mcp/message-bytes.ts";
import { TASK_METHODS } from "../mcp/task-ids.ts";
import { withoutParam } from "../mcp/without-param.ts";
import { completionTarget } from "../routing/completion.ts";
import { findPrompt, findTool } from "../routing/find.ts";
import type { BackendStanding } from "./edge-session.ts";
import { TaskRoutes } from "./task-routes.ts";
import { unknownName } from "./unknown-name.ts";
import type { View } from "./view.ts";

/** URIs seen in results that a session remembers, so that a link it was shown can be read. */
const MAX_SEEN_URIS = 1_000;

/** Longer URIs are not remembered: backends write them, and every session keeps a thousand. */
const MAX_SEEN_URI_LENGTH = 8_192;

/** Names that a session was shown once and that its newest view no longer has. */
const MAX_FORMER_NAMES = 10_000;

/** Where a request goes, and the bytes to send there. */
export interface Target {
  readonly backend: BackendName;
  readonly bytes: MessageBytes;
  /** The route of the tool, where one is called. */
  readonly tool?: Route;
  /** What the request uses, by the name that clients know now; undefined where it is no capability. */
  readonly used?: Route | undefined;
}

/**
 * Finds the backend that owns what a request of one session names.
 *
 * Remembers two things that a shared routing table cannot know: names that were given to this session earlier
 * and stay callable in it, and URIs that stood in results it received.
 */
export class SessionRoutes {
  readonly tasks = new TaskRoutes();
  readonly #former = new LateMap<string, Route>();
  readonly #seenUris = new LateMap<string, BackendName>();

  /** Keeps what the old view offered and the new one does not, as long as its backend still has it. */
  viewChanged(before: View, after: View, isOffered: (route: Route) => boolean): void {
    this.#keepFormer(before.aggregate.table.tools, after.aggregate.table.tools, isOffered);
    this.#keepFormer(before.aggregate.table.prompts, after.aggregate.table.prompts, isOffered);
  }

  /** Notes the resources that a result points to, which are to be had from the same backend, and a task's token. */
  noteResult(
    backend: BackendName,
    { method, progressToken }: Pick<OutboundRequest, "method" | "progressToken">,
    result: JsonObject | undefined,
  ): void {
    if (method === "tools/call" && progressToken !== undefined) {
      this.tasks.noteToken(backend, result, progressToken);
    }
    const content = result?.["content"];
    if (!Array.isArray(content)) return;
    for (const block of content) {
      const uri = uriOf(block);
      if (uri !== undefined) this.#remember(uri, backend);
    }
  }

  /** Throws `capability_not_found` or `invalid_params`, naming what was asked for. */
  target(view: View, request: InboundRequest, standings: () => readonly BackendStanding[]): Target {
    const target = this.#target(view, request, standings);
    const bytes = this.tasks.forBackend(target.backend, target.bytes, request.method);
    return bytes === target.bytes ? target : { ...target, bytes };
  }

  #target(
    view: View,
    request: InboundRequest,
    standings: () => readonly BackendStanding[],
  ): Target {
    if (TASK_METHODS.has(request.method)) return this.#byTask(view, request);
    switch (request.method) {
      case "tools/call":
        checkArguments(request);
        return asTaskWherePossible(
          this.#byName(view, request, (name) => findTool(view.aggregate.table, name), "tool"),
          request,
          standings,
        );
      case "prompts/get":
        checkArguments(request);
        return this.#byName(
          view,
          request,
          (name) => findPrompt(view.aggregate.table, name),
          "prompt",
        );
      case "resources/read":
      case "resources/subscribe":
      case "resources/unsubscribe":
        return this.#byUri(view, request);
      case "completion/complete":
        return byReference(view, request);
      default:
        return byExtension(request, standings);
    }
  }

  #byTask(view: View, request: InboundRequest): Target {
    const taskId = request.params?.["taskId"];
    if (typeof taskId !== "string") {
      throw new VmcpError("invalid_params", '"params.taskId" must be the id of a task');
    }
    const owner = this.tasks.find(taskId);
    if (owner === undefined) {
      throw unknownName("task", taskId);
    }
    const { backend, toolName } = owner;
    const used =
      toolName === undefined
        ? undefined
        : view.currentRoute({ kind: "tool", backend, originalName: toolName });
    return { backend, bytes: request.bytes, used };
  }

  #byName(
    view: View,
    request: InboundRequest,
    find: (name: string) => Route | undefined,
    kind: "tool" | "prompt",
  ): Target {
    const name = request.params?.["name"];
    if (typeof name !== "string") {
      throw new VmcpError("invalid_params", `"params.name" must be the name of a ${kind}`);
    }
    const current = find(name);
    const route = current ?? this.#formerRoute(view, kind, name);
    // A former name must not escape what is said of the present one.
    const used = current ?? view.currentRoute(route) ?? route;
    const { backend } = route;
    const bytes = renamed(request, route);
    return kind === "tool" ? { backend, bytes, used, tool: route } : { backend, bytes, used };
  }

  /** A name that was given to this session stays callable, unless what it leads to is withheld by now. */
  #formerRoute(view: View, kind: "tool" | "prompt", name: string): Route {
    const route = this.#former.get(`${kind} ${name}`);
    const refusal = view.withheld.refusal(kind, name, route);
    if (refusal !== undefined) throw refusal;
    if (route !== undefined) return route;
    throw unknownName(kind, name);
  }

  #byUri(view: View, request: InboundRequest): Target {
    const uri = request.params?.["uri"];
    if (typeof uri !== "string") {
      throw new VmcpError("invalid_params", '"params.uri" must be the URI of a resource');
    }
    const route = view.router.findResource(uri);
    const backend = route?.backend ?? this.#unlistedOwner(view, uri);
    if (backend === undefined) {
      throw view.withheld.refusalOfUri(uri) ?? unknownName("resource", uri);
    }
    return { backend, bytes: request.bytes, used: resourceAt(uri, backend, route) };
  }

  /** Who must have a URI that nobody lists: unlisted it may be, but not hidden. */
  #unlistedOwner(view: View, uri: string): BackendName | undefined {
    const owner = this.#seenUris.get(uri) ?? onlyOwner(view);
    return owner !== undefined && view.isVisibleUri(owner, uri) ? owner : undefined;
  }

  #keepFormer(
    before: ReadonlyMap<string, Route>,
    after: ReadonlyMap<string, Route>,
    isOffered: (route: Route) => boolean,
  ): void {
    for (const [name, route] of before) {
      if (after.has(name) || !isOffered(route)) continue;
      this.#former.set(`${route.kind} ${name}`, route);
    }
    for (const [name, route] of this.#former) {
      if (!isOffered(route) || this.#former.size > MAX_FORMER_NAMES) this.#former.delete(name);
    }
  }

  #remember(uri: string, backend: BackendName): void {
    if (uri.length > MAX_SEEN_URI_LENGTH) return;
    this.#seenUris.delete(uri);
    this.#seenUris.set(uri, backend);
    const [oldest] = this.#seenUris.keys();
    if (this.#seenUris.size > MAX_SEEN_URIS && oldest !== undefined) this.#seenUris.delete(oldest);
  }
}

/** Only the name's own bytes change: numbers, key order and unknown fields arrive as the client wrote them. */
function renamed(request: InboundRequest, route: Route): MessageBytes {
  if (route.originalName === route.advertisedName || request.nameSpan === undefined) {
    return request.toSend?.(undefined) ?? request.bytes;
  }
  const { start, end } = request.nameSpan;
  const nameJson = JSON.stringify(route.originalName);
  return request.toSend?.(nameJson) ?? replaceBytes(request.bytes, start, end, nameJson);
}

/**
 * Clients see what all backends declare together. One that declared no tasks for tools is asked for the answer
 * itself, as if the client had not spoken of a task (MCP 2025-11-25, "Tasks", "Capability Negotiation").
 */
function asTaskWherePossible(
  target: Target,
  request: InboundRequest,
  standings: () => readonly BackendStanding[],
): Target {
  if (request.params?.["task"] === undefined) return target;
  const owner = standings().find(({ name }) => name === target.backend);
  if (owner?.greeting === undefined || makesTasksOfCalls(owner.greeting)) return target;
  return { ...target, bytes: withoutParam(joined(target.bytes), "task") };
}

function makesTasksOfCalls({ capabilities }: BackendGreeting): boolean {
  let declared: unknown = capabilities;
  for (const key of ["tasks", "requests", "tools", "call"]) {
    declared = isJsonObject(declared) ? declared[key] : undefined;
  }
  return declared !== undefined;
}

/**
 * A method that MCP does not name goes to the only backend that declared something beyond it, `tasks/list` to
 * the only one that lists tasks. Where that could be several, or none, the method is unknown.
 */
function byExtension(request: InboundRequest, standings: () => readonly BackendStanding[]): Target {
  const { method, bytes } = request;
  const capability = method === "tasks/list" ? "tasks" : "experimental";
  const owners = standings().filter(({ greeting }) => {
    const declared = greeting?.capabilities[capability];
    return isJsonObject(declared) && Object.keys(declared).length > 0;
  });
  const [owner, another] = owners;
  if (owner === undefined || another !== undefined || RESERVED_METHOD.test(method)) {
    throw new VmcpError("method_not_found", `Method not found: ${clip(method)}`);
  }
  return { backend: owner.name, bytes };
}

/** What is the gateway's or the client's own to answer, and what JSON-RPC keeps to itself. */
const RESERVED_METHOD =
  /^(?:$|rpc\.|notifications\/|sampling\/|elicitation\/|roots\/|server\/|subscriptions\/)/;

function byReference(view: View, request: InboundRequest): Target {
  const ref = request.params?.["ref"];
  if (!isJsonObject(ref)) {
    throw new VmcpError("invalid_params", '"params.ref" must name a prompt or a resource template');
  }
  const refMembers = membersOfRef(request.bytes);
  if (findAmbiguousKey(refMembers) !== undefined) {
    throw new VmcpError("invalid_params", '"params.ref" has a key that stands twice');
  }
  const route = completionTarget(view.aggregate.table, ref) ?? resourceOf(view, ref);
  if (route === undefined) {
    const name = textOf(ref["name"]) ?? textOf(ref["uri"]) ?? "";
    throw unknownName("reference", name);
  }
  if (route.kind !== "prompt" || route.originalName === route.advertisedName) {
    return { backend: route.backend, bytes: request.bytes, used: route };
  }
  const edits = refMembers
    .filter(({ key }) => key === "name")
    .map(({ valueStart, valueEnd }) => ({
      start: valueStart,
      end: valueEnd,
      replacement: JSON.stringify(route.originalName),
    }));
  return { backend: route.backend, bytes: spliceBytes(request.bytes, edits), used: route };
}

/** The resource of a template that a reference means; one of another type means something else by its URI. */
function resourceOf(view: View, { type, uri }: JsonObject): Route | undefined {
  if (type !== "ref/resource" || typeof uri !== "string") return undefined;
  const route = view.router.findResource(uri);
  return route && resourceAt(uri, route.backend, route);
}

/** The use of one URI: what a template leads to is a resource of its own. */
export function resourceAt(uri: string, backend: BackendName, route?: Route): Route {
  if (route?.kind === "resource") return route;
  return { kind: "resource", backend, originalName: uri, advertisedName: uri };
}

function membersOfRef(bytes: Buffer): readonly Member[] {
  let at = bytes.indexOf(OPENING_BRACE);
  for (const key of ["params", "ref"]) {
    const member = scanMembers(bytes, at).find((candidate) => candidate.key === key);
    if (member === undefined) return [];
    at = member.valueStart;
  }
  return scanMembers(bytes, at);
}

function checkArguments({ params, hasUnreadArguments }: InboundRequest): void {
  if (hasUnreadArguments === true) return;
  const given = params?.["arguments"];
  if (given !== undefined && !isJsonObject(given)) {
    throw new VmcpError("invalid_params", '"params.arguments" must be an object');
  }
}

/** A URI that nobody listed can still only belong to the one backend that has resources at all. */
function onlyOwner(view: View): BackendName | undefined {
  return ownerOf(view.aggregate.table);
}

function ownerOf(table: RoutingTable): BackendName | undefined {
  let owner: BackendName | undefined;
  for (const routes of [table.resources.values(), table.resourceTemplates]) {
    for (const { backend } of routes) {
      if (owner !== undefined && owner !== backend) return undefined;
      owner = backend;
    }
  }
  return owner;
}

function uriOf(block: unknown): string | undefined {
  if (!isJsonObject(block)) return undefined;
  if (block["type"] === "resource_link") return textOf(block["uri"]);
  const resource = block["type"] === "resource" ? block["resource"] : undefined;
  return isJsonObject(resource) ? textOf(resource["uri"]) : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

const OPENING_BRACE = 0x7b;
