import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fakeBackend } from "../../test/support/fake-backends.ts";
import type { FakeBackend } from "../../test/support/fake-backends.ts";
import { CLIENT, createFactory } from "../../test/support/sessions.ts";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import { isJsonObject } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { joined } from "../mcp/message-bytes.ts";
import type { LiveSession } from "./live-session.ts";
import { SessionManager } from "./session-manager.ts";
import type { SessionStorage } from "./session-storage.ts";
import { withFaults } from "./session-storage.contract.ts";
import { MemoryStorage } from "./stores/memory-storage.ts";

/** Long enough never to be reached: calls and connections end when the scheduler says so. */
const NEVER_MS = 1_000_000;
const IDLE_TTL_MS = 1_000;
const SLOTS = 2;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval"] });
});

afterEach(() => {
  vi.useRealTimers();
});

const RUNS = 5_000;

const CAME_AFTER_TERMINATION = "a session came after it was terminated";
const ANSWERED_AFTER_TERMINATION = "a session answered after it was terminated";
const CONNECTED_AFTER_TERMINATION = "backends were connected for a session terminated before";
const LEAKED = "a connection leaked";

test("no interleaving leaks a connection, mixes up sessions or revives a terminated one [R3] [R4] [R5] [R6] [R8] [I1] [I3]", async () => {
  const endings = new Set<string>();

  await fc.assert(interleavings({ endings }), { numRuns: RUNS });

  // The interleavings reach what they are about; otherwise the property would hold of nothing.
  expect([...endings]).toEqual(expect.arrayContaining(ENDINGS));
}, 60_000);

/** The second check is the conditional write itself; here it replaces whatever is there. */
const withoutSecondCheck: Interference = (storage) => ({
  async compareAndSwap(_expected, next) {
    await storage.store(next);
    return true;
  },
});

/** The first check reads by `touch`; here that shows each placeholder as it was in the beginning. */
const withoutFirstCheck: Interference = (storage) => ({
  async touch(id, atMs) {
    const record = await storage.touch(id, atMs);
    return record && { ...record, phase: "placeholder", generation: 1, metadata: {} };
  },
});

test.for([
  { missing: "second", interfere: withoutSecondCheck, wanted: CAME_AFTER_TERMINATION },
  { missing: "second", interfere: withoutSecondCheck, wanted: ANSWERED_AFTER_TERMINATION },
  { missing: "second", interfere: withoutSecondCheck, wanted: LEAKED },
  { missing: "first", interfere: withoutFirstCheck, wanted: CONNECTED_AFTER_TERMINATION },
])(
  "without the $missing check the property finds that $wanted",
  { timeout: 60_000 },
  async ({ interfere, wanted }) => {
    const property = interleavings({ interfere, wanted });

    const details = await fc.check(property, { numRuns: RUNS, endOnFailure: true });

    expect(details.failed).toBe(true);
    expect(details.errorInstance).toEqual(new Error(wanted));
  },
);

type Action =
  | { readonly kind: "create" | "terminate" | "call" | "validate" | "wait"; readonly slot: number }
  | { readonly kind: "newcomer" | "expire" | "sweep" | "shutdown" };

type Interference = (storage: SessionStorage) => Partial<SessionStorage>;

const actions: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.oneof(
    ...(["create", "create", "terminate", "terminate", "call", "validate", "wait"] as const).map(
      (kind) => fc.record({ kind: fc.constant(kind), slot: fc.nat({ max: SLOTS - 1 }) }),
    ),
    fc.record({ kind: fc.constantFrom("newcomer", "expire", "sweep", "sweep") }),
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("shutdown" as const) }) },
  ),
  { minLength: 2, maxLength: 12 },
);

/** How attempts must have ended at least once: error codes, and `ok` for an answered call. */
const ENDINGS = [
  "ok",
  "session_closed",
  "session_exists",
  "session_not_found",
  "session_terminated",
  "shutting_down",
  "was terminated before backend connections could be opened",
  "was terminated during backend init",
  "marked after first check",
  "disappeared during backend init",
];

interface Play {
  readonly interfere?: Interference;
  /** The only violation that counts. Default: any. */
  readonly wanted?: string;
  readonly endings?: Set<string>;
}

function interleavings(play: Play): fc.IAsyncProperty<[fc.Scheduler, readonly Action[]]> {
  return fc.asyncProperty(fc.scheduler(), actions, async (scheduler, chosen) => {
    const world = await World.create(scheduler, play);
    await world.play(chosen);
    const violation = world.violations.find((text) => text === (play.wanted ?? text));
    if (violation !== undefined) throw new Error(violation);
  });
}

/** A session manager between a storage and backends whose every step waits for the scheduler. */
class World {
  readonly violations: string[] = [];
  readonly #scheduler: fc.Scheduler;
  readonly #memory = new MemoryStorage();
  readonly #backends: readonly FakeBackend[];
  readonly #manager: SessionManager<LiveSession>;
  readonly #endings: Set<string>;
  readonly #ids: string[] = [];
  readonly #terminated = new Set<string>();
  readonly #creations = new Map<string, number>();
  readonly #obtained = new Set<LiveSession>();
  readonly #executed: string[] = [];
  readonly #closed: string[] = [];
  readonly #waiting: Promise<void>[] = [];
  #nowMs = 1_000_000;
  #calls = 0;
  #isFree = true;

  static async create(scheduler: fc.Scheduler, play: Play): Promise<World> {
    const world = new World(scheduler, play);
    for (let slot = 0; slot < SLOTS; slot += 1) world.#ids.push(await world.#manager.generate());
    world.#isFree = false;
    return world;
  }

  constructor(scheduler: fc.Scheduler, { interfere = () => ({}), endings = new Set() }: Play) {
    this.#scheduler = scheduler;
    this.#endings = endings;
    this.#backends = ["heeding", "deaf"].map((name) => this.#backend(name));
    this.#manager = new SessionManager({
      storage: this.#storage(interfere),
      factory: createFactory({ now: () => this.#nowMs, startTimeoutMs: NEVER_MS }),
      backends: () => this.#backends,
      clock: () => this.#nowMs,
      logger: SILENT_LOGGER,
      idleTtlMs: IDLE_TTL_MS,
      maxSessions: 100,
      drainDeadlineMs: NEVER_MS,
      onSessionClosed: (id) => void this.#closed.push(id),
    });
  }

  async play(chosen: readonly Action[]): Promise<void> {
    const runs = chosen.map(async (action) => {
      await this.#pause(action.kind);
      await this.#run(action);
    });
    await this.#scheduler.waitFor(Promise.all(runs));
    // What was abandoned may still be closing when the one who abandoned it has been answered.
    await this.#scheduler.waitIdle();
    await this.#checkAtRest();
    await this.#scheduler.waitFor(this.#manager.close());
    await this.#scheduler.waitFor(Promise.all(this.#waiting));
    await this.#scheduler.waitIdle();
    this.#checkAtEnd();
  }

  async #run(action: Action): Promise<void> {
    switch (action.kind) {
      case "create":
        return this.#create(this.#idOf(action));
      case "terminate":
        return this.#terminate(this.#idOf(action));
      case "call":
        await this.#callNow(this.#manager.getMultiSession(this.#idOf(action)));
        return undefined;
      case "validate":
        await this.#attempt(async () => this.#manager.validate(this.#idOf(action)));
        return undefined;
      case "wait":
        this.#waiting.push(this.#callWhenReady(this.#idOf(action)));
        return undefined;
      case "newcomer":
        return this.#welcome();
      case "expire":
        this.#nowMs += IDLE_TTL_MS + 1;
        return undefined;
      case "sweep":
        await this.#attempt(async () => this.#manager.closeExpired());
        return undefined;
      case "shutdown":
        return this.#manager.close();
      default:
        return action satisfies never;
    }
  }

  #idOf({ slot }: { readonly slot: number }): string {
    return this.#ids[slot] ?? "";
  }

  async #welcome(): Promise<void> {
    const id = await this.#attempt(async () => this.#manager.generate());
    if (id !== undefined) await this.#create(id);
  }

  async #create(id: string): Promise<void> {
    const isLate = this.#terminated.has(id) && !this.#creations.has(id);
    const connectsBefore = this.#connectsOf(id);
    this.#creations.set(id, (this.#creations.get(id) ?? 0) + 1);
    const session = await this.#attempt(async () =>
      this.#manager.createSession(id, { identity: ANONYMOUS, client: CLIENT }),
    );
    const underWay = (this.#creations.get(id) ?? 1) - 1;
    if (underWay > 0) this.#creations.set(id, underWay);
    else this.#creations.delete(id);
    if (isLate && this.#connectsOf(id) > connectsBefore) {
      this.violations.push(CONNECTED_AFTER_TERMINATION);
    }
    if (session === undefined) return;
    this.#obtained.add(session);
    if (this.#terminated.has(id)) this.violations.push(CAME_AFTER_TERMINATION);
    await this.#callNow(session);
  }

  async #terminate(id: string): Promise<void> {
    const outcome = await this.#attempt(async () => this.#manager.terminate(id));
    if (outcome === undefined) return;
    this.#terminated.add(id);
    if (this.#manager.getMultiSession(id) !== undefined) {
      this.violations.push("a session could be found after it was terminated");
    }
  }

  async #callWhenReady(id: string): Promise<void> {
    await this.#callNow(await this.#attempt(async () => this.#manager.whenReady(id)));
  }

  /** An answer must be that of this very call in this very session; a refusal is an answer too. */
  async #callNow(session: LiveSession | undefined): Promise<boolean> {
    if (session === undefined) return false;
    this.#calls += 1;
    const text = `call ${this.#calls}`;
    const tools = session.tools.map(({ name }) => name);
    const name = tools[this.#calls % tools.length];
    if (name === undefined) return false;
    const result = await this.#attempt(async () => session.callTool(name, { text }));
    if (result === undefined) return false;
    const [block] = result.content;
    const answer = block?.type === "text" ? block.text : undefined;
    this.#endings.add("ok");
    if (answer !== `${session.id} ${text}`) this.violations.push(`wrong answer: ${answer}`);
    return true;
  }

  /** Everybody has been answered and nothing is under way: what is open now must belong to somebody. */
  async #checkAtRest(): Promise<void> {
    const records = await this.#memory.list().catch(() => []);
    const live = new Set<string>(
      records.filter(({ phase }) => phase === "live").map(({ id }) => id),
    );
    for (const { request, isClosed } of this.#connections()) {
      const isFound = this.#manager.getMultiSession(request.sessionId) !== undefined;
      if (!isClosed && !(isFound && live.has(request.sessionId))) this.violations.push(LEAKED);
    }
    for (const session of this.#obtained) {
      if (!this.#terminated.has(session.id)) continue;
      const wasAnswered = await this.#scheduler.waitFor(this.#callNow(session));
      if (wasAnswered) this.violations.push(ANSWERED_AFTER_TERMINATION);
    }
    const inUse = records.filter(({ phase }) => phase !== "terminated").length;
    if (this.#manager.sessionCount !== inUse) {
      this.violations.push(`${this.#manager.sessionCount} held, ${inUse} records in use`);
    }
  }

  #checkAtEnd(): void {
    const open = this.#connections().filter(({ isClosed }) => !isClosed).length;
    if (open > 0) this.violations.push(`${open} connections leaked at shutdown`);
    if (this.#manager.sessionCount > 0) this.violations.push("sessions are held after shutdown");
    if (vi.getTimerCount() > 0) this.violations.push(`${vi.getTimerCount()} timers are left`);
    vi.clearAllTimers();
    if (new Set(this.#executed).size < this.#executed.length) {
      this.violations.push("a call was executed twice");
    }
    if (new Set(this.#closed).size < this.#closed.length) {
      this.violations.push("a session was closed twice");
    }
  }

  #connections(): FakeBackend["connections"] {
    return this.#backends.flatMap(({ connections }) => connections);
  }

  #connectsOf(id: string): number {
    return this.#connections().filter(({ request }) => request.sessionId === id).length;
  }

  /** A refusal by name is a right answer; anything unforeseen is not. */
  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof VmcpError) {
        this.#endings.add(error.code);
        for (const text of ENDINGS) if (error.message.includes(text)) this.#endings.add(text);
      } else {
        this.violations.push(`unforeseen: ${String(error)}`);
      }
      return undefined;
    }
  }

  async #pause(label: string): Promise<void> {
    if (!this.#isFree) await this.#scheduler.schedule(Promise.resolve(), label);
  }

  #backend(name: string): FakeBackend {
    return fakeBackend(name, {
      tools: [`echo_${name}`],
      beforeConnect: async (_request, signal) => {
        await this.#pause(`connect ${name}`);
        if (name === "heeding") signal.throwIfAborted();
        await this.#pause(`connected ${name}`);
      },
      answer: async (request, { request: { sessionId } }) => {
        await this.#pause(`call ${name}`);
        const text = textOf(joined(request.bytes));
        this.#executed.push(text);
        await this.#pause(`answer ${name}`);
        return { content: [{ type: "text", text: `${sessionId} ${text}` }] };
      },
      onClose: async () => this.#pause(`close ${name}`),
    });
  }

  /** Each operation takes effect at one instant, some time after it was asked for and before it is answered. */
  #storage(interfere: Interference): SessionStorage {
    const faulty = withFaults(this.#memory, interfere(this.#memory));
    const slowly = async <T>(label: string, operation: () => Promise<T>): Promise<T> => {
      await this.#pause(label);
      const result = await operation();
      await this.#pause(`${label} done`);
      return result;
    };
    return withFaults(faulty, {
      load: async (id) => slowly("load", async () => faulty.load(id)),
      touch: async (id, atMs) => slowly("touch", async () => faulty.touch(id, atMs)),
      insert: async (record) => slowly("insert", async () => faulty.insert(record)),
      compareAndSwap: async (expected, next) =>
        slowly("swap", async () => faulty.compareAndSwap(expected, next)),
      remove: async (id) => slowly("remove", async () => faulty.remove(id)),
      removeIf: async (id, generation, since) =>
        slowly("removeIf", async () => faulty.removeIf(id, generation, since)),
      listExpired: async (limits) => slowly("list", async () => faulty.listExpired(limits)),
    });
  }
}

function textOf(bytes: Buffer): string {
  const message: unknown = JSON.parse(bytes.toString());
  const params = isJsonObject(message) ? message["params"] : undefined;
  const args = isJsonObject(params) ? params["arguments"] : undefined;
  const text = isJsonObject(args) ? args["text"] : undefined;
  return typeof text === "string" ? text : "";
}
