import { writeFileSync } from "node:fs";
import process from "node:process";
import { isJsonObject } from "../../src/domain/json.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  type Client,
  type ClientSession,
  messagesIn,
  type OpenQuestion,
  postHeaders,
} from "./client.ts";
import type { Entry, SequenceStep, SessionRef } from "./entry.ts";
import type { ClientConnection } from "./exchange.ts";
import { expand, toBytes } from "./generators.ts";
import { type HttpAnswer, isEventStream } from "./http-reader.ts";
import { fill, placeholdersIn } from "./placeholders.ts";
import {
  parseSession,
  type PreparedRequest,
  prepareHttp,
  prepareRpc,
  prepareStep,
  type RequestContext,
} from "./requests.ts";
import { ANONYMOUS_SESSION, proofOf } from "./identities.ts";
import type { Rig } from "./rig.ts";
import { STATES } from "./states.ts";
import { textOf } from "./text-of.ts";

/** What came of a request. */
export interface Outcome {
  /** In order; more than one where several requests were sent. */
  readonly answers: readonly HttpAnswer[];
  /** The messages of the last answer. */
  readonly messages: readonly unknown[];
  readonly isClosed: boolean;
  /** Whether the gateway then closed the connection; asks for as long as that may take. */
  closes(): Promise<boolean>;
  readonly idJson: string | undefined;
  /** The message as it was sent. */
  readonly sentText: string;
  readonly ms: number;
}

/** Requests that go out on one connection before their answers are waited for. */
const PIPELINED = 25;

/** Performs the request of one entry, on sessions of its own. */
export class Performance {
  readonly #rig: Rig;
  readonly #client: Client;
  readonly #values: Map<string, unknown>;
  readonly #sessions = new Map<string, ClientSession>();
  readonly #streams: ClientConnection[] = [];
  readonly #questions: OpenQuestion[] = [];
  readonly #running: Promise<Outcome>[] = [];
  #wantsProgress = false;

  constructor(rig: Rig, client: Client, nonce: string) {
    this.#rig = rig;
    this.#client = client;
    this.#values = new Map([...rig.values, ["NONCE", nonce]]);
  }

  /** The session of this name; opened when it is first asked for. */
  async session(name: string): Promise<ClientSession> {
    const session = this.#sessions.get(name) ?? (await this.#client.openSession(name));
    this.#sessions.set(name, session);
    return session;
  }

  /** Opens the sessions and questions that the entry names, so that only its request itself is measured. */
  async prepare({ request, backendBehaviour }: Entry): Promise<void> {
    if (request === undefined || request.kind === "signal") return;
    this.#wantsProgress = /"progressMessage"|"flood"/.test(JSON.stringify(backendBehaviour ?? {}));
    const refs = request.kind === "sequence" ? request.steps : [request];
    for (const ref of refs) {
      const named = "session" in ref ? ref.session : undefined;
      // One after the other, so that the first failure is the one that is told.
      // oxlint-disable-next-line no-await-in-loop
      await this.#sessionOf(named);
    }
    await this.#prepareValues(placeholdersIn(request));
  }

  async perform({ request, backendBehaviour }: Entry): Promise<Outcome | undefined> {
    let outcome: Outcome | undefined;
    switch (request?.kind) {
      case undefined:
      case "signal":
        break;
      case "rpc": {
        const prepared = prepareRpc(request, await this.#context(request.session));
        const others = this.#callOthers(backendBehaviour);
        outcome = await this.#exchange([prepared], request.session);
        await others;
        break;
      }
      case "http": {
        const prepared = prepareHttp(request, await this.#context(request.session));
        outcome = await this.#exchange([prepared], request.session);
        break;
      }
      case "raw":
        outcome = await this.#sendRaw(toBytes(expand(fill(request.bytes, this.#values)), "latin1"));
        break;
      case "sequence":
        outcome = await this.#performSteps(request.steps);
    }
    return outcome;
  }

  /** What became of streams and questions that had to stay as they were; empty where nothing did. */
  disturbed(): readonly string[] {
    const streams = this.#streams.filter((stream) => stream.isClosed);
    const answered = this.#questions.filter(
      ({ connection }) =>
        connection.isClosed || connection.answers.some(({ isComplete }) => isComplete),
    );
    return [
      ...streams.map(() => "a stream of the session was cut"),
      ...answered.map(() => "a question was settled by somebody else's answer"),
    ];
  }

  async #prepareValues(names: ReadonlySet<string>): Promise<void> {
    if (names.has("SID")) this.#values.set("SID", (await this.session("alice")).id);
    if (names.has("SID_BOB")) this.#values.set("SID_BOB", (await this.session("bob")).id);
    if (names.has("BOB_EVENT_ID")) {
      const { eventId } = await this.#ask("bob");
      this.#values.set("BOB_EVENT_ID", eventId);
    }
    if (names.has("OPEN_ELICIT")) {
      const question = await this.#client.openQuestion(await this.session("alice"));
      this.#values.set("OPEN_ELICIT", question.id);
    }
    for (const [name, make] of STATES) {
      // oxlint-disable-next-line no-await-in-loop
      if (names.has(name)) this.#values.set(name, await make(this.#client));
    }
  }

  async #ask(name: string): Promise<OpenQuestion> {
    const question = await this.#client.openQuestion(await this.session(name));
    this.#questions.push(question);
    return question;
  }

  async #sessionOf(ref: SessionRef | undefined): Promise<ClientSession | undefined> {
    const name = parseSession(ref, this.#values);
    if (name.kind === "named" && name.name === "new") return this.#sessions.get("new");
    if (name.kind === "named") return this.session(name.name);
    if (name.kind === "none") return undefined;
    return {
      id: name.id,
      headers: new Map([
        ["mcp-session-id", name.id],
        ["mcp-protocol-version", "2025-11-25"],
      ]),
    };
  }

  async #context(ref: SessionRef | undefined): Promise<RequestContext> {
    const session = await this.#sessionOf(ref);
    const isToldApart = this.#rig.hasIdentities || ref === ANONYMOUS_SESSION;
    return {
      values: this.#values,
      session,
      proofOf: isToldApart ? proofOf : undefined,
      wantsProgress: this.#wantsProgress,
    };
  }

  /** Sends the requests one after the other on one connection, without waiting in between. */
  async #exchange(
    prepared: readonly PreparedRequest[],
    ref: SessionRef | undefined,
  ): Promise<Outcome> {
    const connection = await this.#client.connect();
    const session = await this.#sessionOf(ref);
    if (session !== undefined) this.#answerQuestions(connection, session);
    const startedAt = performance.now();
    for (const { request } of prepared) {
      // What is pipelined goes out as the gateway takes it.
      // oxlint-disable-next-line no-await-in-loop
      await connection.send(this.#client.toOutgoing(request));
    }
    await settle(connection, prepared);
    const last = prepared.at(-1);
    const sentText = Buffer.from(last?.request.body ?? []).toString();
    return toOutcome(connection, startedAt, last?.idJson, sentText);
  }

  async #sendRaw(bytes: Uint8Array): Promise<Outcome> {
    const connection = await this.#client.connect();
    const startedAt = performance.now();
    connection.sendBytes(bytes);
    const requests = Buffer.from(bytes)
      .toString("latin1")
      .match(/HTTP\/\d\.\d\r?\n/g)?.length;
    await connection.settled(requests ?? 1);
    return toOutcome(connection, startedAt, undefined, "");
  }

  async #performSteps(steps: readonly SequenceStep[]): Promise<Outcome | undefined> {
    let last: Outcome | undefined;
    for (const step of steps) {
      // The steps follow one another.
      // oxlint-disable-next-line no-await-in-loop
      last = (await this.#performStep(step)) ?? last;
    }
    await Promise.all(this.#running);
    return last;
  }

  async #performStep(step: SequenceStep): Promise<Outcome | undefined> {
    if (step.reload !== undefined) return this.#reload();
    if (step.openElicitation !== undefined) {
      const question = await this.#ask(textOf(step.session));
      this.#values.set(step.openElicitation, question.id);
      return undefined;
    }
    if (step.get !== undefined) return this.#openStream(step.session);
    if (step.repeat !== undefined) return this.#repeat(step, step.repeat);
    const context = await this.#context(step.session);
    const exchange = this.#exchange([prepareStep(step, context)], step.session);
    if (step.noWait === true) this.#running.push(exchange);
    if (step.noWait === true) return undefined;
    const outcome = await exchange;
    const id = outcome.answers.at(-1)?.headers.get("mcp-session-id");
    if (id !== undefined) this.#sessions.set("new", toUninitialized(id));
    return outcome;
  }

  async #openStream(ref: SessionRef | undefined): Promise<Outcome> {
    const startedAt = performance.now();
    const session = await this.session(typeof ref === "string" ? ref : "alice");
    const stream = await this.#client.openStream(session);
    const [answer] = stream.answers;
    if (answer !== undefined && isEventStream(answer)) this.#streams.push(stream);
    return toOutcome(stream, startedAt, undefined, "");
  }

  /** Sends the step again and again, `${I}` counting. A step without a session of its own is one client's. */
  async #repeat(step: SequenceStep, times: number): Promise<Outcome> {
    const ref = step.session ?? "alice";
    const answers: HttpAnswer[] = [];
    const startedAt = performance.now();
    let last: Outcome | undefined;
    for (let sent = 0; sent < times; sent += PIPELINED) {
      // oxlint-disable-next-line no-await-in-loop
      const context = await this.#context(ref);
      const prepared = Array.from({ length: Math.min(PIPELINED, times - sent) }, (_step, index) => {
        const values = new Map([...this.#values, ["I", sent + index]]);
        return prepareStep(step, { ...context, values });
      });
      // oxlint-disable-next-line no-await-in-loop
      last = await this.#exchange(prepared, ref);
      answers.push(...last.answers);
    }
    if (last === undefined) throw new Error("a step is to be repeated no times");
    return { ...last, answers, ms: performance.now() - startedAt };
  }

  /** Puts a broken configuration in place of the gateway's and waits until it has said so. */
  async #reload(): Promise<undefined> {
    const { gateway } = this.#rig;
    if (gateway.configFile === undefined) throw new Error("the gateway has no file to reload");
    const before = gateway.stderr.length;
    writeFileSync(gateway.configFile, "backends: [\n");
    process.kill(gateway.pid, "SIGHUP");
    await waitFor(() => gateway.stderr.length > before, { what: "a word about the broken file" });
    return undefined;
  }

  /** Where a behaviour is that of several backends, all of them are called at once. */
  async #callOthers(behaviour: Entry["backendBehaviour"]): Promise<void> {
    const names = behaviour?.do.flatMap((step) => step["onBackends"] ?? []).flat() ?? [];
    const others = names.filter((name) => name !== "b1");
    const session = await this.session("alice");
    await Promise.all(
      others.map(async (name, index) => {
        const message = {
          jsonrpc: "2.0",
          id: `other-${index}`,
          method: "tools/call",
          params: {
            name: `${textOf(name)}_echo`,
            arguments: { nonce: `${textOf(name)}-${session.id}` },
          },
        };
        const headers = postHeaders(session.headers);
        const body = Buffer.from(JSON.stringify(message));
        const request = { method: "POST", path: "/mcp", headers, body };
        return this.#exchange([{ request, idJson: undefined }], "alice");
      }),
    );
  }

  /** What backends ask during a call is declined at once. */
  #answerQuestions(connection: ClientConnection, session: ClientSession): void {
    connection.onMessage = (text) => {
      const message: unknown = JSON.parse(text);
      if (!isJsonObject(message) || message["method"] === undefined) return;
      const { id } = message;
      if (id === undefined) return;
      const answer = { jsonrpc: "2.0", id, result: { action: "decline" } };
      // A client that is cut off in the middle of its answer has nobody to tell.
      this.#client.post(answer, session.headers).catch(() => {});
    };
  }
}

async function settle(
  connection: ClientConnection,
  prepared: readonly PreparedRequest[],
): Promise<void> {
  if (prepared[0]?.request.method === "GET") {
    await connection.begun();
    const [answer] = connection.answers;
    // A stream ends when its client leaves.
    if (answer !== undefined && isEventStream(answer)) return;
  }
  await connection.settled(prepared.length);
}

function toOutcome(
  connection: ClientConnection,
  startedAt: number,
  idJson: string | undefined,
  sentText: string,
): Outcome {
  const { answers } = connection;
  const last = answers.at(-1);
  return {
    answers,
    messages: last === undefined ? [] : messagesIn(last),
    isClosed: connection.isClosed,
    closes: async () => connection.closes(),
    idJson,
    sentText,
    ms: performance.now() - startedAt,
  };
}

function toUninitialized(id: string): ClientSession {
  const headers = new Map([
    ["mcp-session-id", id],
    ["mcp-protocol-version", "2025-11-25"],
  ]);
  return { id, headers };
}
