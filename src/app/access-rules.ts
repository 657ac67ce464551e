import { isDeepStrictEqual } from "node:util";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { VmcpError } from "../domain/errors.ts";
import type { Logger } from "../domain/logger.ts";
import { RateLimiter } from "../limits/rate-limiter.ts";
import { CedarPolicy } from "../policy/cedar-policy.ts";
import type { AdmissionRules } from "../session/admission.ts";
import { NO_POLICY, type AccessPolicy } from "../session/policy.ts";
import { NO_RATE_LIMITS } from "../session/rate-limits.ts";
import type { ScopeRules } from "../session/scope-rules.ts";

type AccessConfig = Pick<VmcpConfig, "name" | "authz" | "rateLimiting" | "incomingAuth">;

export interface AccessRulesOptions {
  readonly logger: Logger;
  /** In milliseconds, of a clock that never goes back. */
  readonly now: () => number;
  /** Sessions are made by a factory that the gateway was given, and that knows nothing of rules. */
  readonly hasForeignSessions: boolean;
  /** Which scopes tools need, as the configuration in force says. Default: none. */
  readonly scopes?: ScopeRules;
}

/**
 * Who may do what and how often, as one configuration after the other says. What stays the same from one to the next is
 * the same object, with all that it remembers.
 */
export class AccessRules {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #hasForeignSessions: boolean;
  readonly #scopes: ScopeRules | undefined;
  #authz: AccessConfig["authz"];
  #policy: AccessPolicy = NO_POLICY;
  #rateLimiting: AccessConfig["rateLimiting"] | undefined;
  #limiter: RateLimiter | undefined;

  constructor(options: AccessRulesOptions) {
    this.#logger = options.logger;
    this.#now = options.now;
    this.#hasForeignSessions = options.hasForeignSessions;
    this.#scopes = options.scopes;
  }

  /**
   * The rules of a configuration. Throws `invalid_config` where its policies cannot be read, and where there are rules
   * that sessions of somebody else's making would not keep.
   */
  of({ name, authz, rateLimiting, incomingAuth }: AccessConfig): AdmissionRules {
    const hasToolScopes = Object.keys(incomingAuth.toolScopes).length > 0;
    const hasRules = authz !== undefined || isLimiting(rateLimiting) || hasToolScopes;
    if (this.#hasForeignSessions && hasRules) {
      throw new VmcpError(
        "invalid_config",
        "incomingAuth.authz, incomingAuth.toolScopes and rateLimiting cannot be kept with a sessionFactory of one's own: leave it out, or them",
      );
    }
    if (!isDeepStrictEqual(authz, this.#authz)) {
      this.#policy =
        authz === undefined
          ? NO_POLICY
          : new CedarPolicy({ ...authz, serverName: name }, this.#logger);
      this.#authz = authz;
    }
    if (!isDeepStrictEqual(rateLimiting, this.#rateLimiting)) {
      this.#limiter = new RateLimiter(rateLimiting, this.#now, this.#limiter);
      this.#rateLimiting = rateLimiting;
    }
    const limiter = isLimiting(rateLimiting) ? this.#limiter : undefined;
    return {
      policy: this.#policy,
      rateLimits: limiter ?? NO_RATE_LIMITS,
      ...(this.#scopes && { scopes: this.#scopes }),
    };
  }
}

function isLimiting({ shared, perUser, tools }: AccessConfig["rateLimiting"]): boolean {
  return shared !== undefined || perUser !== undefined || tools.length > 0;
}
