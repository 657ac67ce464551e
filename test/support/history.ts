/**
 * What one client did and saw. A call is known by its nonce, which no other call of the run has.
 *
 * `unknown` says that the client cannot tell what became of its call: the connection broke, or it waited long enough.
 */
export type HistoryEvent =
  | { readonly kind: "invoke"; readonly session: string; readonly nonce: string }
  | {
      readonly kind: "ok";
      readonly session: string;
      readonly nonce: string;
      /** The nonce that came back. */
      readonly answered: string;
    }
  | {
      readonly kind: "fail";
      readonly session: string;
      readonly nonce: string;
      /** As the error says; undefined where it says nothing. */
      readonly executionState: string | undefined;
      readonly message: string;
    }
  | { readonly kind: "unknown"; readonly session: string; readonly nonce: string }
  | {
      /** A message of a backend that names the nonce of a call, such as progress with that token. */
      readonly kind: "heard";
      readonly session: string;
      readonly nonce: string;
    };

/** One execution in the ledger of one backend. */
export interface Execution {
  readonly backend: string;
  /** The backend's own session, or any text that tells its sessions apart. */
  readonly backendSession: string;
  readonly nonce: string;
}

/** The history of all clients of one run, in the order in which they wrote it. */
export class History {
  readonly events: HistoryEvent[] = [];
  readonly #prefix: string;
  #count = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** A nonce that no call of this history had before. */
  nextNonce(): string {
    this.#count += 1;
    return `${this.#prefix}-${this.#count}`;
  }

  /** Whether a nonce is one of this history's, to tell it from those of another run. */
  isOwn(nonce: string): boolean {
    return nonce.startsWith(`${this.#prefix}-`);
  }

  write(event: HistoryEvent): void {
    this.events.push(event);
  }

  /** How many events of a kind there are. */
  count(kind: HistoryEvent["kind"]): number {
    return this.events.filter((event) => event.kind === kind).length;
  }
}

/**
 * Everything in a history and the ledgers that must not be: a call executed twice or for nobody, a call with
 * two ends or none, an answer, message or backend session that crossed from one session to another, and an error
 * that lies about what ran. Empty for a sound run.
 */
export function checkHistory(
  events: readonly HistoryEvent[],
  executions: readonly Execution[],
): readonly string[] {
  const calls = callsOf(events);
  const executed = groupBy(executions, ({ nonce }) => nonce);
  return [
    ...[...calls.values()].flatMap((call) => faultsOfCall(call, executed.get(call.nonce) ?? [])),
    ...[...executed.keys()]
      .filter((nonce) => !calls.has(nonce))
      .map((nonce) => `${nonce} was executed, but nobody called it`),
    ...strayEvents(events, calls),
    ...sharedSessions(executions, calls),
  ];
}

interface CallHistory {
  readonly nonce: string;
  readonly session: string;
  readonly ends: HistoryEvent[];
}

function callsOf(events: readonly HistoryEvent[]): ReadonlyMap<string, CallHistory> {
  const calls = new Map<string, CallHistory>();
  for (const event of events) {
    const { kind, nonce, session } = event;
    if (kind === "invoke") calls.set(nonce, { nonce, session, ends: [] });
    else if (kind !== "heard") calls.get(nonce)?.ends.push(event);
  }
  return calls;
}

function faultsOfCall(call: CallHistory, executions: readonly Execution[]): readonly string[] {
  const { nonce, ends } = call;
  const faults: string[] = [];
  const [end] = ends;
  if (executions.length > 1) faults.push(`${nonce} was executed ${executions.length} times`);
  if (end === undefined) faults.push(`${nonce} was never answered`);
  if (ends.length > 1) faults.push(`${nonce} was answered ${ends.length} times`);
  if (end?.kind === "ok") {
    if (end.answered !== nonce) faults.push(`${nonce} got the answer to ${end.answered}`);
    if (executions.length === 0) faults.push(`${nonce} was answered, but nobody executed it`);
  }
  if (end?.kind === "fail" && end.executionState === "not_executed" && executions.length > 0) {
    faults.push(`${nonce} was executed, but the error says that it was not`);
  }
  return faults;
}

/** What reached a session although its call was made by another, or by nobody. */
function strayEvents(
  events: readonly HistoryEvent[],
  calls: ReadonlyMap<string, CallHistory>,
): readonly string[] {
  return events
    .filter(({ nonce, session }) => calls.get(nonce)?.session !== session)
    .map(({ kind, nonce, session }) => `${session} got ${kind} for ${nonce}, which is not its own`);
}

/** A backend session serves one session of the gateway, whatever happens. */
function sharedSessions(
  executions: readonly Execution[],
  calls: ReadonlyMap<string, CallHistory>,
): readonly string[] {
  const owned = executions.flatMap(({ backend, backendSession, nonce }) => {
    const session = calls.get(nonce)?.session;
    return session === undefined ? [] : [{ key: `${backend} ${backendSession}`, session }];
  });
  return [...groupBy(owned, ({ key }) => key)].flatMap(([key, uses]) => {
    const owners = new Set(uses.map(({ session }) => session));
    return owners.size === 1 ? [] : [`backend session ${key} served ${[...owners].join(" and ")}`];
  });
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
