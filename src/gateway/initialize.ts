import { VmcpError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { negotiateRevision } from "../mcp/revisions.ts";
import type { ClientProfile } from "../session/backend-connection.ts";
import type { BackendStanding, EdgeSession } from "../session/edge-session.ts";

/** How the gateway introduces itself to clients. */
export interface ServerInfo {
  readonly name: string;
  readonly version: string;
}

/**
 * What every session declares: all that a backend may bring, because one that joins later must be visible.
 */
export const DECLARED_CAPABILITIES: JsonObject = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
  completions: {},
};

/** Reads the params of `initialize`; throws `invalid_params` naming what is missing. */
export function readClientProfile(params: JsonObject | undefined): ClientProfile {
  const { protocolVersion, capabilities = {}, clientInfo = {} } = params ?? {};
  if (typeof protocolVersion !== "string") {
    throw new VmcpError("invalid_params", '"params.protocolVersion" must be a string');
  }
  if (!isJsonObject(capabilities)) {
    throw new VmcpError("invalid_params", '"params.capabilities" must be an object');
  }
  if (!isJsonObject(clientInfo)) {
    throw new VmcpError("invalid_params", '"params.clientInfo" must be an object');
  }
  return { revision: negotiateRevision(protocolVersion), capabilities, info: clientInfo };
}

/** The result of `initialize`: who we are, and what the backends want the client to know. */
export function initializeResult(session: EdgeSession, server: ServerInfo): JsonObject {
  const standings = session.backends();
  const instructions = instructionsOf(standings);
  return {
    protocolVersion: session.client.revision,
    capabilities: {
      ...DECLARED_CAPABILITIES,
      ...unionOf(standings, "tasks"),
      ...unionOf(standings, "experimental"),
    },
    serverInfo: { name: server.name, version: server.version },
    ...(instructions !== "" && { instructions }),
  };
}

/** As JSON. Sessions of the same kind are answered alike: the latest answer is made once for all of them. */
export function initializeAnswer(session: EdgeSession, server: ServerInfo): string {
  const { revision } = session.client;
  const standings = session.backends();
  const before = LATEST_ANSWERS.get(server);
  if (before?.revision === revision && before.isTo(standings)) return before.json;
  const json = JSON.stringify(initializeResult(session, server));
  LATEST_ANSWERS.set(server, new Answer(revision, standings, json));
  return json;
}

/** What was answered, and what it depends on. */
class Answer {
  readonly revision: string;
  readonly json: string;
  readonly #standings: readonly BackendStanding[];

  constructor(revision: string, standings: readonly BackendStanding[], json: string) {
    this.revision = revision;
    this.#standings = standings;
    this.json = json;
  }

  isTo(standings: readonly BackendStanding[]): boolean {
    if (standings.length !== this.#standings.length) return false;
    return standings.every(({ name, greeting, failure }, index) => {
      const mine = this.#standings[index];
      return mine?.name === name && mine.greeting === greeting && mine.failure === failure;
    });
  }
}

const LATEST_ANSWERS = new WeakMap<ServerInfo, Answer>();

/** What any backend declares of a capability that is not declared for all: the union, or nothing. */
export function unionOf(standings: readonly BackendStanding[], name: string): JsonObject {
  const declared = standings.flatMap(({ greeting }) => {
    const value = greeting?.capabilities[name];
    return isJsonObject(value) ? [value] : [];
  });
  return declared.length === 0 ? {} : { [name]: declared.reduce(merged) };
}

/** The members of both; objects in both are merged in turn. */
function merged(left: JsonObject, right: JsonObject): JsonObject {
  const members = Object.entries(right).map(([key, value]) => {
    const mine = Object.hasOwn(left, key) ? left[key] : undefined;
    return [key, isJsonObject(mine) && isJsonObject(value) ? merged(mine, value) : value] as const;
  });
  return { ...left, ...Object.fromEntries(members) };
}

/** The instructions of all backends, each under its name where there are several; then what is wrong. */
export function instructionsOf(standings: readonly BackendStanding[]): string {
  const given = standings.flatMap(({ name, greeting }) =>
    greeting?.instructions ? [{ name, text: greeting.instructions }] : [],
  );
  const parts = given.map(({ name, text }) =>
    standings.length === 1 ? text : `# ${name}\n\n${text}`,
  );
  const failed = standings.filter(({ failure }) => failure !== undefined);
  if (failed.length > 0 && failed.length === standings.length) {
    parts.push(
      "No tools are available at the moment because every backend failed to start. " +
        "The session stays open and its lists fill as soon as a backend recovers. " +
        failed.map(({ failure }) => `${failure?.message}.`).join(" "),
    );
  } else {
    // Of a backend that waits for its user the user has to hear, although others work.
    parts.push(
      ...failed.flatMap(({ failure }) => (asksForUser(failure) ? [`${failure.message}.`] : [])),
    );
  }
  return parts.join("\n\n");
}

function asksForUser(failure: VmcpError | undefined): failure is VmcpError {
  return failure?.data?.["elicitations"] !== undefined;
}
