import { messageOf } from "../../src/domain/errors.ts";
import { isJsonObject } from "../../src/domain/json.ts";
import { openDescriptors, openSockets, waitFor, zombiesOf } from "../support/quiescence.ts";
import { sendRaw } from "../support/raw-client.ts";
import type { Client } from "./client.ts";
import { type Differences, errorMessagesIn } from "./compare.ts";
import type { InvariantId } from "./entry.ts";
import type { ClientConnection } from "./exchange.ts";
import type { Outcome, Performance } from "./perform.ts";
import type { Rig } from "./rig.ts";
import { StdioRig } from "./stdio-backend.ts";
import { textOf } from "./text-of.ts";

/** What an entry did, for those who look at what became of everything else. */
export interface Deed {
  readonly rig: Rig;
  readonly client: Client;
  readonly performance: Performance;
  readonly outcome: Outcome | undefined;
  readonly nonce: string;
  /** What each backend had executed before. */
  readonly executedBefore: readonly number[];
  /** The stream of a session that has nothing to do with the entry. */
  readonly bystander: ClientConnection | undefined;
  readonly descriptorsBefore: number;
}

/** How long the gateway may take to give back what a session held. */
const QUIESCE_MS = 8_000;

/** Descriptors beyond those before that may be open for good: connections that wait for their next request. */
const IDLE_DESCRIPTORS = 6;

const MOST_MESSAGE_CHARACTERS = 300;

/** Headers that a gateway may say to a backend where nothing else is configured. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "content-type",
  "content-length",
  "transfer-encoding",
  "accept",
  "accept-encoding",
  "user-agent",
  "mcp-session-id",
  "mcp-protocol-version",
  "mcp-method",
  "mcp-name",
  "last-event-id",
]);

type Look = (deed: Deed) => Differences | Promise<Differences>;

/** What each invariant is looked at by. Those of `ALWAYS` hold for every entry, whether it names them or not. */
const LOOKS: ReadonlyMap<InvariantId, Look> = new Map<InvariantId, Look>([
  ["I1", executesOnce],
  ["I2", answersOnce],
  ["I3", disturbsNobody],
  ["I4", leavesNothing],
  ["I5", leavesNoZombies],
  ["I6", closesDescriptors],
  ["I9", keepsSecrets],
  ["I10", staysAlive],
  ["I11", answersInTime],
  ["I12", refusesBeforeEffect],
  ["I14", saysNoMoreThanNeeded],
]);

const ALWAYS: readonly InvariantId[] = ["I1", "I2", "I5", "I9", "I10", "I12", "I14"];

/** What does not hold after an entry, in sentences. Ends the entry's sessions, for their end is part of it. */
export async function brokenInvariants(
  deed: Deed,
  named: readonly InvariantId[],
): Promise<Differences> {
  const ids = [...new Set([...ALWAYS, ...named])];
  // Who was disturbed can only be seen while the sessions are there, and what is left only when they are over.
  const whileOpen = await lookAll(
    deed,
    ids.filter((id) => id === "I3"),
  );
  await deed.client.leave();
  const afterwards = await lookAll(
    deed,
    ids.filter((id) => id !== "I3"),
  );
  return [...whileOpen, ...afterwards, ...trapTouched(deed), ...unknownHeaders(deed)];
}

async function lookAll(deed: Deed, ids: readonly InvariantId[]): Promise<Differences> {
  const found = await Promise.all(
    ids.map(async (id) => {
      const problems = (await LOOKS.get(id)?.(deed)) ?? [];
      return problems.map((problem) => `${id}: ${problem}`);
    }),
  );
  return found.flat();
}

/** What all backends have executed since the entry began. */
export function executedSince({ rig, executedBefore }: Deed): readonly string[] {
  return rig.backends.flatMap((backend, index) =>
    backend.executions().slice(executedBefore[index] ?? 0),
  );
}

function executesOnce(deed: Deed): Differences {
  const times = executedSince(deed).filter((what) => what === deed.nonce).length;
  return times > 1 ? [`the call was executed ${times} times`] : [];
}

function answersOnce({ outcome }: Deed): Differences {
  if (outcome?.idJson === undefined || outcome.answers.length > 1) return [];
  const answers = outcome.messages.filter(
    (message) =>
      isJsonObject(message) &&
      ("result" in message || "error" in message) &&
      JSON.stringify(message["id"]) === outcome.idJson,
  );
  return answers.length > 1 ? [`the request got ${answers.length} answers`] : [];
}

/** An exchange waits for as long as any limit of the gateway; the end of the connection is an answer too. */
function answersInTime({ outcome }: Deed): Differences {
  const isOver = outcome === undefined || outcome.isClosed || outcome.answers.length > 0;
  return isOver ? [] : ["the request was not answered"];
}

function disturbsNobody({ bystander, performance }: Deed): Differences {
  const heard = /^data: \S/m.test(bystander?.received ?? "");
  return [
    ...performance.disturbed(),
    ...(heard ? ["a session that has nothing to do with it heard something"] : []),
    ...(bystander?.isClosed === true ? ["another session's stream was cut"] : []),
  ];
}

async function leavesNothing({ rig }: Deed): Promise<Differences> {
  const { pid, origin } = rig.gateway;
  const port = Number(new URL(origin).port);
  const clientSockets = (): number =>
    openSockets(pid).filter(({ localPort, state }) => localPort === port && state !== "listening")
      .length;
  const closing = (): number => openSockets(pid).filter(({ state }) => state === "closing").length;
  const sessions = (): number =>
    rig.backends.reduce((sum, backend) => sum + backend.openSessions(), 0);
  return [
    ...(await becomesZero("sockets of clients", clientSockets)),
    ...(await becomesZero("half-closed sockets", closing)),
    ...(await becomesZero("sessions with backends", sessions)),
  ];
}

async function leavesNoZombies({ rig }: Deed): Promise<Differences> {
  return becomesZero("zombies", () => zombiesOf(rig.gateway.pid).length);
}

async function closesDescriptors({ rig, descriptorsBefore }: Deed): Promise<Differences> {
  const beyond = (): number =>
    Math.max(0, openDescriptors(rig.gateway.pid) - descriptorsBefore - IDLE_DESCRIPTORS);
  return becomesZero("descriptors more than before", beyond);
}

/** Neither what a backend said in confidence nor a client's token may come out anywhere, in any of the usual spellings. */
function keepsSecrets({ rig, client }: Deed): Differences {
  const { gateway, backends, canary, values } = rig;
  const output = gateway.stdout + gateway.stderr;
  const towardsBackends = backends.map((backend) => backend.received()).join("\n");
  const tokens = [String(values.get("TOK")), String(values.get("TOK_BOB"))];
  return [
    ...spellings(canary)
      .filter((text) => (output + client.received() + towardsBackends).includes(text))
      .map(() => "a secret came out"),
    ...tokens
      .filter((token) => (output + towardsBackends).includes(token))
      .map(() => "a client's token was logged or handed to a backend"),
  ];
}

function spellings(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString("base64").replace(/=+$/, ""), bytes.toString("hex")];
}

/** Runs under a flag that ends the process at the first rejection that nobody handles. */
async function staysAlive({ rig }: Deed): Promise<Differences> {
  try {
    const health = await sendRaw(`${rig.gateway.origin}/health`);
    return health.status === 200 ? [] : [`/health answers ${health.status}`];
  } catch (error) {
    return [`the gateway is gone: ${messageOf(error)} ${rig.gateway.stderr.slice(-200)}`];
  }
}

function refusesBeforeEffect(deed: Deed): Differences {
  const status = deed.outcome?.answers.at(-1)?.status ?? 0;
  const executed = executedSince(deed).length;
  const isRefused = status >= 400 && status < 500;
  return isRefused && executed > 0 ? [`answered ${status} and executed ${executed}`] : [];
}

function saysNoMoreThanNeeded({ rig, outcome }: Deed): Differences {
  if (outcome === undefined) return [];
  const addresses = rig.backends
    .map(({ configuration }) => textOf(configuration["url"]))
    .filter((address) => address !== "");
  const forbidden = [
    /\n\s+at /,
    /(?:^|[\s"(])\/(?:srv|work|usr|home|tmp|root|node_modules)\//,
    /node:internal/,
  ];
  return errorMessagesIn(outcome).flatMap((message) => [
    ...(message.length > MOST_MESSAGE_CHARACTERS
      ? [`a message of ${message.length} characters`]
      : []),
    ...(forbidden.some((pattern) => pattern.test(message)) ||
    addresses.some((address) => message.includes(address))
      ? [`a message says how: ${message.slice(0, 120)}`]
      : []),
  ]);
}

function trapTouched({ rig }: Deed): Differences {
  const { connections } = rig.trap;
  return connections === 0 ? [] : [`the trap was touched ${connections} times`];
}

/** Nothing that a client says of itself goes on to a backend. */
function unknownHeaders({ rig }: Deed): Differences {
  const names = new Set(rig.backends.flatMap((backend) => [...backend.headerNames()]));
  const unknown = [...names].filter((name) => !OWN_HEADERS.has(name));
  return unknown.map((name) => `a backend got the header ${name}`);
}

/** What of a stdio backend is left when the gateway has ended. */
export async function survivorsOf(rig: Rig): Promise<Differences> {
  const alive = (): number =>
    rig.backends.reduce(
      (sum, backend) => sum + (backend instanceof StdioRig ? backend.survivors().length : 0),
      0,
    );
  return becomesZero("processes of a backend", alive);
}

async function becomesZero(what: string, count: () => number): Promise<Differences> {
  try {
    await waitFor(() => count() === 0, { timeoutMs: QUIESCE_MS, intervalMs: 50 });
    return [];
  } catch {
    return [`${count()} ${what} left`];
  }
}
