import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Identity } from "../domain/identity.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { Route } from "../domain/routing-table.ts";
import { toArgumentAttributes, toUse } from "./capability-resource.ts";
import { CedarPolicy } from "./cedar-policy.ts";
import { compilePolicies, type CompiledPolicies } from "./compiled-policies.ts";
import { toPrincipal } from "./principal.ts";

const SETTINGS = {
  entitiesJson: undefined,
  groupClaimName: undefined,
  roleClaimName: undefined,
  groupEntityType: "THVGroup",
  serverName: "gateway",
};

const ROUTES: readonly Route[] = ["t1", "t2"].map((name) => ({
  kind: "tool",
  backend: parseBackendName("b"),
  originalName: name,
  advertisedName: name,
}));

/** Some of these fail where what they ask for is not there. */
const atom = fc.constantFrom(
  "context.arg_a == 1",
  "resource.arg_b",
  "context has arg_a",
  "resource has arg_b && resource.arg_b",
  "principal.claim_x == 1",
  "principal has claim_x",
  "true",
  "false",
);

const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    atom,
    fc.tuple(tie("condition"), tie("condition")).map(([a, b]) => `((${a}) && (${b}))`),
    fc.tuple(tie("condition"), tie("condition")).map(([a, b]) => `((${a}) || (${b}))`),
    tie("condition").map((a) => `(!(${a}))`),
    fc
      .tuple(tie("condition"), tie("condition"), tie("condition"))
      .map(([a, b, c]) => `(if (${a}) then (${b}) else (${c}))`),
  ),
}));

const policy = fc
  .record({
    effect: fc.constantFrom("permit", "permit", "forbid"),
    scope: fc.constantFrom(
      "(principal, action, resource)",
      '(principal, action, resource == Tool::"t1")',
    ),
    kind: fc.constantFrom("when", "unless"),
    condition,
  })
  .map((parts) => `${parts.effect}${parts.scope} ${parts.kind} { ${parts.condition} };`);

const args = fc.record(
  { a: fc.integer({ min: 0, max: 1 }), b: fc.boolean() },
  { requiredKeys: [] },
);
const claims = fc.record({ x: fc.integer({ min: 0, max: 1 }) }, { requiredKeys: [] });

/** What the engine says of the policies as they are written, nothing remembered and nothing taken together. */
function isAllowed(
  { exact, mentions }: CompiledPolicies,
  identity: Identity,
  route: Route,
  given: JsonObject,
): boolean {
  const principal = toPrincipal(identity, { ...SETTINGS, mentions });
  const attributes = toArgumentAttributes(given, mentions);
  const use = toUse(route, { mentions, args: attributes, serverName: SETTINGS.serverName });
  const answer = exact.ask({
    principal: principal.uid,
    action: use.action,
    resource: use.resource,
    context: { ...principal.claims, ...attributes },
    entities: [principal.entity, use.actionEntity, use.resourceEntity],
  });
  return answer.isAllowed && answer.failed.length === 0;
}

interface Told {
  readonly admitted: boolean;
  readonly depends: boolean;
  readonly isAnyAllowed: boolean;
  readonly isAnyDenied: boolean;
}

function isConsistent({ admitted, depends, isAnyAllowed, isAnyDenied }: Told): boolean {
  return admitted ? depends || !isAnyDenied : !isAnyAllowed;
}

test("what is remembered of a use is what every call of it would be told", () => {
  fc.assert(
    fc.property(
      fc.array(policy, { minLength: 1, maxLength: 4 }),
      claims,
      fc.array(args, { minLength: 1, maxLength: 4 }),
      (texts, its, calls) => {
        const decider = new CedarPolicy({ ...SETTINGS, policies: texts }, SILENT_LOGGER);
        const compiled = compilePolicies(texts);
        const identity: Identity = { kind: "verified", issuer: "i", subject: "s", claims: its };

        for (const route of ROUTES) {
          const { kind } = decider.judge(identity, route);
          const admitted = kind !== "denied";
          const depends = kind === "depends";
          const told = calls.map((given) => isAllowed(compiled, identity, route, given));

          expect(
            calls.map((given) => decider.reasonToDeny(identity, route, given) === undefined),
          ).toEqual(told);
          // What one call is allowed, the list shows; and where nothing is said to decide, all are told the same.
          const isAnyAllowed = told.includes(true);
          const isAnyDenied = told.includes(false);
          expect({ admitted, depends, isAnyAllowed, isAnyDenied }).toSatisfy(isConsistent);
        }
      },
    ),
    { numRuns: 60 },
  );
});
