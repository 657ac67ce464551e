import type { BackendName } from "../domain/ids.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { Route } from "../domain/routing-table.ts";
import { clip, type InboundRequest } from "../mcp/inbound-message.ts";
import { describeFaults } from "./describe-faults.ts";
import { Validators, type ValidatorOptions } from "./validators.ts";

export interface ArgumentCheckerOptions extends ValidatorOptions {
  /** Whose tools are checked. */
  readonly backends: ReadonlySet<BackendName>;
  readonly logger: Logger;
}

interface ToolSource {
  toolOf(route: Route): JsonObject | undefined;
}

/** Tools of which it was said why they are not checked. Of further ones nothing is said. */
const MAX_TOLD = 1_000;

const NO_ARGUMENTS: JsonObject = {};

/**
 * Checks the arguments of calls against the schemas of their tools, before a backend sees them.
 *
 * Refuses only what certainly does not fit. Where the schema cannot be used the call goes on, as if its backend were
 * not checked, and the log says so once per tool. Shared by all sessions.
 */
export class ArgumentChecker {
  readonly #backends: ReadonlySet<BackendName>;
  readonly #logger: Logger;
  readonly #validators: Validators;
  readonly #told = new Set<string>();

  constructor(options: ArgumentCheckerOptions) {
    this.#backends = options.backends;
    this.#logger = options.logger;
    this.#validators = new Validators(options);
  }

  /** What to tell the model that made the call, or undefined where the call may go on. Never throws. */
  faultOf(request: InboundRequest, route: Route, tools: ToolSource): string | undefined {
    if (!this.#backends.has(route.backend)) return undefined;
    const schema = tools.toolOf(route)?.["inputSchema"];
    if (schema === undefined) return undefined;
    const given = request.params?.["arguments"];
    const args = isJsonObject(given) ? given : NO_ARGUMENTS;
    const verdict = this.#validators.check(schema, args, request.bytes.length);
    if (verdict.kind === "unchecked") this.#tellOnce(route, verdict.reason);
    if (verdict.kind !== "faulty") return undefined;
    return describeFaults(route.advertisedName, verdict.faults);
  }

  #tellOnce({ backend, originalName }: Route, reason: string): void {
    const key = `${backend} ${originalName} ${reason}`;
    if (this.#told.has(key) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(key);
    this.#logger.warn("the arguments of a tool are not checked: its schema cannot be used", {
      backend,
      tool: originalName,
      reason: clip(reason, 200),
    });
  }
}
