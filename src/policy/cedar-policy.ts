import type { Identity } from "../domain/identity.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { Route } from "../domain/routing-table.ts";
import type { PolicyAnswer, PolicySet } from "../lib/cedar.ts";
import { toArgumentAttributes, toUse, useKeyOf } from "./capability-resource.ts";
import { compilePolicies, type CompiledPolicies } from "./compiled-policies.ts";
import { ConfiguredEntities } from "./configured-entities.ts";
import { FailureLog } from "./failure-log.ts";
import type { Mentions } from "./mentions.ts";
import type { PolicySettings } from "./policy-settings.ts";
import { toPrincipal, type Principal } from "./principal.ts";

/** What is known of a use before its arguments are looked at. */
type Judgement =
  | { readonly kind: "allowed" }
  | { readonly kind: "denied"; readonly reason: string }
  | { readonly kind: "depends" };

/** Principals and judgements kept; the oldest are forgotten first, and decided again when they are needed. */
const MAX_PRINCIPALS = 1_000;
const MAX_JUDGEMENTS = 50_000;

const ALLOWED: Judgement = { kind: "allowed" };
const DEPENDS: Judgement = { kind: "depends" };

/**
 * Decides by Cedar policies who may use which capability. Synchronous, and the same question always has the same
 * answer: a change of the policies is another object.
 *
 * What nobody permits is denied, and so is everything for which a policy cannot be evaluated, which the log says. What
 * does not depend on arguments is decided once for each principal and each capability that policies can tell apart.
 */
export class CedarPolicy {
  readonly admitsAll = false;
  readonly #settings: PolicySettings;
  readonly #compiled: CompiledPolicies;
  readonly #mentions: Mentions;
  readonly #entities: ConfiguredEntities;
  readonly #failures: FailureLog;
  readonly #byIdentity = new WeakMap<Identity, KnownPrincipal>();
  readonly #principals = new Map<string, KnownPrincipal>();
  readonly #judgements = new Map<string, Judgement>();
  #principalCount = 0;

  /** Throws `invalid_config` where a policy or the entities cannot be read. */
  constructor(settings: PolicySettings, logger: Logger) {
    this.#settings = settings;
    this.#compiled = compilePolicies(settings.policies);
    this.#entities = new ConfiguredEntities(readList(settings.entitiesJson));
    const { mentions } = this.#compiled;
    const entities = new Set([...mentions.entities, ...this.#entities.keys]);
    this.#mentions = { ...mentions, entities };
    this.#failures = new FailureLog(logger);
  }

  /** What becomes of a use, as far as that can be said without its arguments. */
  judge(identity: Identity, route: Route): Judgement {
    return this.#judge(this.#principalOf(identity), route);
  }

  /** Why the identity may not use this with these arguments, in words for the operator; undefined where it may. */
  reasonToDeny(identity: Identity, route: Route, args: JsonObject | undefined): string | undefined {
    const known = this.#principalOf(identity);
    const judgement = this.#judge(known, route);
    if (judgement.kind === "allowed") return undefined;
    if (judgement.kind === "denied") return judgement.reason;
    const answer = this.#ask(this.#compiled.exact, known.principal, route, args);
    return this.#isAllowed(answer) ? undefined : reasonOf(answer);
  }

  #judge(known: KnownPrincipal, route: Route): Judgement {
    const key = `${known.number} ${useKeyOf(route, this.#mentions)}`;
    const remembered = this.#judgements.get(key);
    if (remembered !== undefined) return remembered;
    const judgement = this.#decide(known.principal, route);
    remember(this.#judgements, key, judgement, MAX_JUDGEMENTS);
    return judgement;
  }

  #decide(principal: Principal, route: Route): Judgement {
    const { exact, byArguments } = this.#compiled;
    if (byArguments === undefined || !takesArguments(route)) {
      const answer = this.#ask(exact, principal, route);
      return this.#isAllowed(answer) ? ALLOWED : denied(answer);
    }
    const asAny = this.#ask(byArguments.withAny, principal, route);
    // A policy that asks for arguments cannot fail before they are known: what is in their place is not its own.
    const failed = asAny.failed.filter(({ policy }) => !byArguments.ids.has(policy));
    const answer = { ...asAny, failed };
    if (!this.#isAllowed(answer)) return denied(answer);
    const asWhatever = this.#ask(byArguments.whatever, principal, route);
    return asWhatever.isAllowed && asWhatever.failed.length === 0 ? ALLOWED : DEPENDS;
  }

  #ask(policies: PolicySet, principal: Principal, route: Route, args?: JsonObject): PolicyAnswer {
    const attributes = toArgumentAttributes(args, this.#mentions);
    const use = toUse(route, {
      mentions: this.#mentions,
      args: attributes,
      serverName: this.#settings.serverName,
    });
    const own = [principal.entity, use.actionEntity, use.resourceEntity];
    return policies.ask({
      principal: principal.uid,
      action: use.action,
      resource: use.resource,
      context: { ...principal.claims, ...attributes },
      entities: this.#entities.completed(own, this.#compiled.mentions.entities),
    });
  }

  #isAllowed({ isAllowed, failed }: PolicyAnswer): boolean {
    for (const failure of failed) this.#failures.note(failure);
    return isAllowed && failed.length === 0;
  }

  #principalOf(identity: Identity): KnownPrincipal {
    const known = this.#byIdentity.get(identity);
    if (known !== undefined) return known;
    const principal = toPrincipal(identity, { ...this.#settings, mentions: this.#mentions });
    const same = this.#principals.get(principal.key);
    const found = same ?? { principal, number: (this.#principalCount += 1) };
    remember(this.#principals, principal.key, found, MAX_PRINCIPALS);
    this.#byIdentity.set(identity, found);
    return found;
  }
}

/** A principal with a number of its own, so that what is remembered of it has short keys. */
interface KnownPrincipal {
  readonly principal: Principal;
  readonly number: number;
}

/** Resources are read by their URI alone. */
function takesArguments({ kind }: Route): boolean {
  return kind === "tool" || kind === "prompt";
}

function denied(answer: PolicyAnswer): Judgement {
  return { kind: "denied", reason: reasonOf(answer) };
}

/** Names policies by their ids, and nothing that a client sent. */
function reasonOf({ failed, deciding }: PolicyAnswer): string {
  const [failure] = failed;
  if (failure !== undefined) return `${failure.policy || "the request"} cannot be evaluated`;
  return deciding.length === 0 ? "no policy permits it" : `forbidden by ${deciding.join(", ")}`;
}

function remember<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}

function readList(entitiesJson: string | undefined): readonly JsonValue[] {
  // The configuration was checked: it is a list, or absent.
  return entitiesJson === undefined ? [] : (JSON.parse(entitiesJson) as readonly JsonValue[]);
}
