import { isDeepStrictEqual } from "node:util";
import type { Identity } from "../domain/identity.ts";
import { TokenBucket, type BucketSettings } from "./token-bucket.ts";

/** Which buckets there are; what is undefined is not limited. */
export interface RateLimitSettings extends ScopeSettings {
  /** By advertised name, each once. */
  readonly tools: readonly (ScopeSettings & { readonly name: string })[];
}

interface ScopeSettings {
  /** One bucket for all. */
  readonly shared: BucketSettings | undefined;
  /** A bucket for each identity. Nobody is told apart who is anonymous, so that those have none. */
  readonly perUser: BucketSettings | undefined;
}

/**
 * Identities that have a bucket of their own at once. Who is beyond them and was not heard of for longest is forgotten,
 * and has a full one when it comes again.
 */
const MAX_USERS = 10_000;

/**
 * Counts the calls of tools, in this process. All buckets that are about a call are looked at before any is taken from,
 * so that a call which one of them refuses costs nothing in the others.
 */
export class RateLimiter {
  readonly #settings: RateLimitSettings;
  readonly #now: () => number;
  readonly #all: Scope;
  readonly #tools: ReadonlyMap<string, Scope>;

  /**
   * `now` is in milliseconds, of a clock that never goes back. What `before` has counted counts on where its settings
   * are the same.
   */
  constructor(settings: RateLimitSettings, now: () => number, before?: RateLimiter) {
    this.#settings = settings;
    this.#now = now;
    const nowMs = now();
    this.#all = scopeOf(settings, nowMs, before && { ...before.#settings, scope: before.#all });
    this.#tools = new Map(
      settings.tools.map((tool) => [
        tool.name,
        scopeOf(tool, nowMs, before === undefined ? undefined : before.#toolBefore(tool.name)),
      ]),
    );
  }

  /**
   * Counts a call of the tool with this advertised name. Undefined where it may go on; otherwise nothing is counted, and
   * this is how long to wait before it may, in milliseconds.
   */
  take(identity: Identity, toolName: string): number | undefined {
    const nowMs = this.#now();
    const user = userKeyOf(identity);
    const buckets = [
      ...bucketsOf(this.#all, user, nowMs),
      ...bucketsOf(this.#tools.get(toolName), user, nowMs),
    ];
    const waitMs = Math.max(0, ...buckets.map((bucket) => bucket.waitMs(nowMs)));
    if (waitMs > 0) return waitMs;
    for (const bucket of buckets) bucket.take();
    return undefined;
  }

  /** What was said of a tool, and what was counted by it. */
  #toolBefore(name: string): ScopeBefore | undefined {
    const settings = this.#settings.tools.find((tool) => tool.name === name);
    const scope = this.#tools.get(name);
    return settings && scope && { ...settings, scope };
  }
}

/** The buckets of one scope: the gateway, or one tool. No key is made of two names, so that none can be another's. */
interface Scope {
  readonly shared: TokenBucket | undefined;
  readonly users: Users | undefined;
}

/** A bucket for each identity, the one that was used last at the end. */
class Users {
  readonly #settings: BucketSettings;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(settings: BucketSettings) {
    this.#settings = settings;
  }

  bucketOf(user: string, nowMs: number): TokenBucket {
    const bucket = this.#buckets.get(user) ?? new TokenBucket(this.#settings, nowMs);
    this.#buckets.delete(user);
    this.#buckets.set(user, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_USERS && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}

/** A scope with the settings that it was made by. */
type ScopeBefore = ScopeSettings & { readonly scope: Scope };

function scopeOf(
  { shared, perUser }: ScopeSettings,
  nowMs: number,
  before: ScopeBefore | undefined,
): Scope {
  const kept = before?.scope;
  const isSharedKept = isDeepStrictEqual(shared, before?.shared);
  const isPerUserKept = isDeepStrictEqual(perUser, before?.perUser);
  return {
    shared: (isSharedKept ? kept?.shared : undefined) ?? (shared && new TokenBucket(shared, nowMs)),
    users: (isPerUserKept ? kept?.users : undefined) ?? (perUser && new Users(perUser)),
  };
}

function bucketsOf(
  scope: Scope | undefined,
  user: string | undefined,
  nowMs: number,
): readonly TokenBucket[] {
  if (scope === undefined) return [];
  const { shared, users } = scope;
  return [
    ...(shared === undefined ? [] : [shared]),
    ...(users === undefined || user === undefined ? [] : [users.bucketOf(user, nowMs)]),
  ];
}

/** Nobody can choose an issuer and a subject that together look like those of somebody else. */
function userKeyOf(identity: Identity): string | undefined {
  if (identity.kind === "anonymous") return undefined;
  return `${identity.issuer.length}:${identity.issuer}${identity.subject}`;
}
