import { randomUUID } from "node:crypto";
import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { JsonValue } from "../domain/json.ts";
import type { AnswerSink, BackendMessage, Exchange } from "../mcp/exchange.ts";
import type { InboundRequest } from "../mcp/inbound-message.ts";
import { EACH, spansAt } from "../mcp/json-paths.ts";
import {
  encodeRequest,
  encodeResult,
  INVALID_PARAMS,
  OWN_ID_PREFIX,
  type JsonRpcMessage,
} from "../mcp/json-rpc.ts";
import type { BackendConnection } from "./backend-connection.ts";
import type { TaskRoutes } from "./task-routes.ts";

/** A backend that takes longer than this to name its tasks is left out of the list. */
const LIST_TIMEOUT_MS = 10_000;

/** In the `_meta` of a merged list: the backends whose tasks it lacks, because they could not be asked. */
const LEFT_OUT = "backends_unavailable";

/** Whether a backend said that it can list its tasks (MCP 2025-11-25, "Tasks", "Capability Negotiation"). */
export function canListTasks({ greeting }: BackendConnection): boolean {
  const tasks = greeting.capabilities["tasks"];
  return typeof tasks === "object" && tasks !== null && "list" in tasks;
}

/**
 * Answers `tasks/list` with the tasks of several backends as one list, in the order of the connections.
 *
 * A page holds the next page of each backend that has one, and its cursor says where each stands, so that
 * nothing is kept here between pages. A backend that fails to list its own is left out and named in `_meta`;
 * only where all fail does the request. Throws `invalid_params` for a cursor that is none of ours.
 */
export function mergeTaskLists(
  connections: readonly BackendConnection[],
  { idJson, params }: InboundRequest,
  sink: AnswerSink,
  tasks: TaskRoutes,
): Exchange {
  const cursor = params?.["cursor"];
  const pages =
    cursor === undefined
      ? connections.map((connection) => ({ connection, cursor: undefined }))
      : readCursor(cursor, connections);
  const merge = new TaskListMerge(idJson, sink, tasks);
  void merge.run(pages);
  return merge;
}

/** A page of one backend's tasks; the first one has no cursor. */
interface PageOfBackend {
  readonly connection: BackendConnection;
  readonly cursor: string | undefined;
}

class TaskListMerge implements Exchange {
  readonly #idJson: string;
  readonly #sink: AnswerSink;
  readonly #tasks: TaskRoutes;
  readonly #underWay: Exchange[] = [];
  #isCancelled = false;

  constructor(idJson: string, sink: AnswerSink, tasks: TaskRoutes) {
    this.#idJson = idJson;
    this.#sink = sink;
    this.#tasks = tasks;
  }

  async run(pages: readonly PageOfBackend[]): Promise<void> {
    const outcomes = await Promise.allSettled(pages.map(async (page) => this.#ask(page)));
    if (this.#isCancelled) return;
    const parts = outcomes.flatMap((outcome) =>
      outcome.status === "fulfilled" ? [outcome.value] : [],
    );
    const failures = outcomes.flatMap((outcome, index) =>
      outcome.status === "rejected"
        ? [{ backend: pages[index]?.connection.backend, error: VmcpError.from(outcome.reason) }]
        : [],
    );
    // A page without a backend whose cursor has gone would cut its tasks off: the client has to start again.
    const staleCursor = failures.find(({ error }) => error.code === "invalid_params");
    const fatal = staleCursor ?? (parts.length === 0 ? failures[0] : undefined);
    if (fatal !== undefined) this.#sink.fail(fatal.error);
    else
      this.#sink.answer(
        this.#answerOf(
          parts,
          failures.flatMap(({ backend }) => backend ?? []),
        ),
      );
  }

  cancel(reason: string): void {
    this.#isCancelled = true;
    for (const exchange of this.#underWay) exchange.cancel(reason);
  }

  /** Nothing flows before the one answer. */
  pause(): void {}

  resume(): void {}

  /** Rejects with the backend's failure, `backend_error` where it refuses, `invalid_params` for its cursor. */
  async #ask({ connection, cursor }: PageOfBackend): Promise<Part> {
    // Two lists may be under way at once, and no id may be used twice in a session.
    const id = `${OWN_ID_PREFIX}tasks:${randomUUID()}`;
    const method = "tasks/list";
    const bytes = encodeRequest(id, method, cursor === undefined ? {} : { cursor });
    const answer = await new Promise<BackendMessage>((resolve, reject) => {
      const exchange = connection.forward(
        { id, method, bytes, timeoutMs: LIST_TIMEOUT_MS },
        { event: () => true, answer: resolve, fail: reject },
      );
      this.#underWay.push(exchange);
    });
    const { backend } = connection;
    if (answer.message.result === undefined) throw refusal(answer.message, cursor);
    return toPart(backend, this.#tasks.answerForClient(backend, method, answer));
  }

  #answerOf(parts: readonly Part[], leftOut: readonly BackendName[]): BackendMessage {
    const places = parts.flatMap(({ backend, nextCursor }) =>
      nextCursor === undefined ? [] : [[backend, nextCursor] as const],
    );
    const next = places.length === 0 ? "" : `,"nextCursor":${JSON.stringify(toCursor(places))}`;
    const meta = leftOut.length === 0 ? "" : `,"_meta":${JSON.stringify({ [LEFT_OUT]: leftOut })}`;
    const tasks = parts.flatMap(({ taskJsons }) => taskJsons).join(",");
    const bytes = encodeResult(this.#idJson, `{"tasks":[${tasks}]${next}${meta}}`);
    // It was written just now, from parts that were read as JSON.
    return { bytes, message: JSON.parse(bytes.toString()) as JsonRpcMessage };
  }
}

/** What one backend puts on a page. */
interface Part {
  readonly backend: BackendName;
  /** Each task as its backend wrote it. */
  readonly taskJsons: readonly string[];
  readonly nextCursor: string | undefined;
}

function toPart(backend: BackendName, { bytes, message }: BackendMessage): Part {
  const nextCursor = message.result?.["nextCursor"];
  return {
    backend,
    taskJsons: spansAt(bytes, ["result", "tasks", EACH]).map(({ valueStart, valueEnd }) =>
      bytes.toString("utf8", valueStart, valueEnd),
    ),
    nextCursor: typeof nextCursor === "string" ? nextCursor : undefined,
  };
}

/** A backend that does not know its own cursor any more makes ours one that nobody knows. */
function refusal({ error }: JsonRpcMessage, cursor: string | undefined): VmcpError {
  if (cursor !== undefined && error?.code === INVALID_PARAMS) return unknownCursor();
  return new VmcpError("backend_error", error?.message ?? "The backend refused to list its tasks");
}

function unknownCursor(): VmcpError {
  return new VmcpError(
    "invalid_params",
    "The cursor is not of this list: list again from its start",
  );
}

/** Where each backend stands that has more to list. */
function toCursor(places: readonly (readonly [BackendName, string])[]): string {
  return Buffer.from(JSON.stringify(places)).toString("base64url");
}

function readCursor(
  cursor: JsonValue,
  connections: readonly BackendConnection[],
): readonly PageOfBackend[] {
  const places = typeof cursor === "string" ? placesIn(cursor) : undefined;
  if (!Array.isArray(places) || places.length === 0) throw unknownCursor();
  const left = new Map(connections.map((connection) => [String(connection.backend), connection]));
  return places.map((place) => {
    const [name, own]: readonly unknown[] = Array.isArray(place) ? place : [];
    const connection = left.get(String(name));
    if (connection === undefined || typeof own !== "string") throw unknownCursor();
    left.delete(String(name));
    return { connection, cursor: own };
  });
}

function placesIn(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    return undefined;
  }
}
