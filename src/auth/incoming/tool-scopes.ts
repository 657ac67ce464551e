import type { Identity } from "../../domain/identity.ts";
import { scopeMissing, type ChallengeFacts } from "./challenge.ts";

export interface ToolScopesOptions {
  /** By advertised name. */
  readonly toolScopes: Readonly<Record<string, readonly string[]>>;
  /** What every proof must permit, named along with the rest so that one new proof is enough. */
  readonly requiredScopes: readonly string[];
  readonly facts: ChallengeFacts;
}

/** Scopes that single tools need, beyond what every proof must have. */
export class ToolScopes {
  readonly #scopes: ReadonlyMap<string, readonly string[]>;
  readonly #options: ToolScopesOptions;

  constructor(options: ToolScopesOptions) {
    this.#options = options;
    this.#scopes = new Map(Object.entries(options.toolScopes));
  }

  /** Throws `insufficient_scope`, with all scopes that a call of the tool needs. */
  require(identity: Identity, toolName: string): void {
    const needed = this.#scopes.get(toolName);
    if (needed === undefined) return;
    const had = new Set(identity.kind === "verified" ? identity.scopes : []);
    if (needed.every((scope) => had.has(scope))) return;
    const { requiredScopes, facts } = this.#options;
    throw scopeMissing([...new Set([...requiredScopes, ...needed])], facts);
  }
}
