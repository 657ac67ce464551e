import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { type ClientSession, type HttpRequest, postHeaders } from "./client.ts";
import type { AuthRef, EntryRequest, SequenceStep, SessionRef } from "./entry.ts";
import { expand, toBytes } from "./generators.ts";
import { fill, type Values } from "./placeholders.ts";
import { makeToken } from "./tokens.ts";
import { textOf } from "./text-of.ts";

type Headers = ReadonlyMap<string, string | undefined>;

/** What a request of an entry is made of besides its own text. */
export interface RequestContext {
  readonly values: Values;
  /** The session that a reference names; undefined where the request belongs to none. */
  readonly session: ClientSession | undefined;
  /** What an identity proves itself with; undefined where nobody is told from anybody. */
  readonly proofOf: ((name: string) => string | undefined) | undefined;
  /** Whether the client is to learn of progress. */
  readonly wantsProgress: boolean;
}

/** A request as it goes out, and the id that its answer should carry. */
export interface PreparedRequest {
  readonly request: HttpRequest;
  /** As JSON text; undefined where the message has none that could be echoed. */
  readonly idJson: string | undefined;
}

/** The name of the session in a reference, or the id that it gives word for word. */
export type SessionName =
  | { readonly kind: "none" }
  | { readonly kind: "named"; readonly name: string }
  | { readonly kind: "literal"; readonly id: string };

export function parseSession(ref: SessionRef | undefined, values: Values): SessionName {
  if (ref === undefined || ref === "none") return { kind: "none" };
  if (typeof ref !== "string")
    return { kind: "literal", id: String(expand(fill(ref.literal, values))) };
  const literal = /^literal:(.*)$/s.exec(ref)?.[1];
  if (literal !== undefined) return { kind: "literal", id: literal };
  return { kind: "named", name: ref };
}

/** A message of an `rpc` request, with all that its revision asks for. */
export function prepareRpc(
  request: Extract<EntryRequest, { kind: "rpc" }>,
  context: RequestContext,
): PreparedRequest {
  const message = withProgressToken(expand(fill(request.message, context.values)), context);
  const own =
    request.era === "modern"
      ? statelessHeaders(message)
      : (context.session?.headers ?? new Map<string, string>());
  return prepare({ method: "POST", path: "/mcp" }, message, postHeaders(own), request, context);
}

/** An `http` request; one with a body gets what a client would say of it, unless the entry says otherwise. */
export function prepareHttp(
  request: Extract<EntryRequest, { kind: "http" }>,
  context: RequestContext,
): PreparedRequest {
  const own = context.session?.headers ?? new Map<string, string>();
  const headers = request.method === "POST" ? postHeaders(own) : own;
  const body = request.body === undefined ? undefined : expand(fill(request.body, context.values));
  const path = String(fill(request.path, context.values));
  return prepare({ method: request.method, path }, body, headers, request, context);
}

/** The HTTP request of a step in a sequence. */
export function prepareStep(step: SequenceStep, context: RequestContext): PreparedRequest {
  const { http } = step;
  if (http === undefined) {
    const message = step.rpc;
    return prepareRpc({ kind: "rpc", era: "legacy", message, ...sendingOf(step) }, context);
  }
  const { method, path = "/mcp", headers = {}, body } = http;
  return prepareHttp(
    {
      kind: "http",
      method,
      path,
      ...sendingOf(step),
      headers: { ...headers, ...step.headers },
      ...(body !== undefined && { body }),
    },
    context,
  );
}

type Sending = Pick<
  Extract<EntryRequest, { kind: "http" }>,
  "auth" | "headers" | "rawHeaders" | "accept" | "bodyText" | "chunked"
>;

function sendingOf({
  auth,
  headers,
  rawHeaders,
  accept,
  bodyText,
  chunked,
}: SequenceStep): Sending {
  return {
    ...(auth !== undefined && { auth }),
    ...(headers !== undefined && { headers }),
    ...(rawHeaders !== undefined && { rawHeaders }),
    ...(accept !== undefined && { accept }),
    ...(bodyText !== undefined && { bodyText }),
    ...(chunked !== undefined && { chunked }),
  };
}

function prepare(
  line: { readonly method: string; readonly path: string },
  content: unknown,
  standard: Headers,
  sending: Sending,
  { values, proofOf }: RequestContext,
): PreparedRequest {
  const headers = new Map(standard);
  if (sending.auth !== undefined) headers.delete("authorization");
  const authorization = authorizationOf(sending.auth, values, proofOf);
  if (authorization !== undefined) headers.set("authorization", authorization);
  if (sending.accept !== undefined) headers.set("accept", sending.accept);
  for (const [name] of sending.rawHeaders ?? []) headers.delete(name.toLowerCase());
  for (const [name, value] of Object.entries(sending.headers ?? {}))
    headers.set(
      name.toLowerCase(),
      value === null ? undefined : String(expand(fill(value, values))),
    );
  const body = sending.bodyText === undefined ? content : fill(sending.bodyText, values);
  const request: HttpRequest = {
    ...line,
    headers,
    ...(sending.rawHeaders && { rawHeaders: sending.rawHeaders }),
    ...(body !== undefined && { body: toBytes(body) }),
    ...(sending.chunked !== undefined && { isChunked: sending.chunked }),
  };
  return { request, idJson: idOf(content) };
}

/** Where the gateway knows no identities, the names of some stand for requests without any; the rest goes as it is. */
function authorizationOf(
  auth: AuthRef | undefined,
  values: Values,
  proofOf: RequestContext["proofOf"],
): string | undefined {
  if (auth === undefined) return undefined;
  if (typeof auth === "string") return proofOf?.(auth);
  if ("jwt" in auth) return `Bearer ${makeToken(auth.jwt, values)}`;
  return String(expand(fill(auth.literal, values)));
}

/** What a stateless client says of its message in headers. */
function statelessHeaders(message: unknown): ReadonlyMap<string, string> {
  const { method, params } = isJsonObject(message) ? message : {};
  const { name, uri } = isJsonObject(params) ? params : {};
  const subject = name ?? uri;
  return new Map([
    ["mcp-protocol-version", "2026-07-28"],
    ["mcp-method", textOf(method)],
    ...(typeof subject === "string" ? ([["mcp-name", subject]] as const) : []),
  ]);
}

/** Only an id that is one can come back. */
function idOf(content: unknown): string | undefined {
  const message: unknown = typeof content === "string" ? parsed(content) : content;
  const id = isJsonObject(message) ? message["id"] : undefined;
  return typeof id === "string" || typeof id === "number" ? JSON.stringify(id) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function withProgressToken(message: unknown, { wantsProgress }: RequestContext): unknown {
  if (!wantsProgress || !isJsonObject(message)) return message;
  const params = isJsonObject(message["params"]) ? message["params"] : {};
  const withToken: JsonObject = { ...params, _meta: { progressToken: "progress" } };
  return { ...message, params: withToken };
}
