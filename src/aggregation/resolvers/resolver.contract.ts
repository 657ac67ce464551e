import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseBackendName } from "../../domain/ids.ts";
import type { Candidate, NamedCandidate } from "../candidate.ts";
import type { ConflictResolver, NamingRules } from "./conflict-resolver.ts";

const BACKENDS = ["a", "a_b", "b", "github", "x".repeat(48)];

/** Short, shared, prefixed, hashed, odd and long names: whatever makes names meet. */
const name = fc.oneof(
  fc.constantFrom("x", "b_x", "a_x", "a_b_x", "github_x", "search", "a b", "a_b", "", "ü", "名前"),
  fc.constantFrom("n".repeat(64), "n".repeat(65), "n".repeat(200), `${"n".repeat(55)}_12345678`),
  fc.string({ unit: "binary" }),
);

const candidates: fc.Arbitrary<readonly Candidate[]> = fc
  .uniqueArray(fc.record({ backend: fc.constantFrom(...BACKENDS), key: name, renamed: name }), {
    selector: ({ backend, key }) => JSON.stringify([backend, key]),
    maxLength: 25,
  })
  .chain((specs) =>
    fc
      .array(fc.boolean(), { minLength: specs.length, maxLength: specs.length })
      .map((isRenamed) =>
        specs.map(({ backend, key, renamed }, index) =>
          candidateOf(backend, key, isRenamed[index] === true ? renamed : key),
        ),
      ),
  );

const rules: fc.Arbitrary<NamingRules> = fc.record({
  prefixFormat: fc.constantFrom("{workload}_", "{workload}.", "", "x_", "{workload}/{workload}:"),
  priorityOrder: fc.shuffledSubarray([...BACKENDS, "unknown"]),
  maxNameLength: fc.constantFrom(16, 64, 128),
});

const RULES: NamingRules = { prefixFormat: "{workload}_", priorityOrder: [], maxNameLength: 64 };

/** Makes a tool candidate as the pipeline would; the name is the key unless an override changed it. */
export function candidateOf(backend: string, key: string, renamed = key): Candidate {
  return {
    backend: parseBackendName(backend),
    capability: { kind: "tool", key, json: JSON.stringify({ name: key }), value: { name: key } },
    name: renamed,
    override: renamed === key ? undefined : { name: renamed },
  };
}

/** Who is advertised as what, in a form that is easy to compare and to read. */
export function namesOf(kept: readonly NamedCandidate[]): Record<string, string> {
  return Object.fromEntries(
    kept.map((named) => [identityOf(named.candidate), named.advertisedName]),
  );
}

function identityOf({ backend, capability }: Candidate): string {
  return `${backend}/${capability.key}`;
}

/** What every conflict resolver promises. */
export function describeResolver(strategy: string, resolve: ConflictResolver): void {
  describe(`${strategy} as a conflict resolver`, () => {
    test("gives unique names", () => {
      fc.assert(
        fc.property(candidates, rules, (given, naming) => {
          const names = resolve(given, naming).kept.map(({ advertisedName }) => advertisedName);

          expect(new Set(names).size).toBe(names.length);
        }),
      );
    });

    test("gives names that clients accept, within the limit", () => {
      fc.assert(
        fc.property(candidates, rules, (given, naming) => {
          for (const { advertisedName } of resolve(given, naming).kept) {
            expect(advertisedName).toMatch(/^[A-Za-z0-9_.-]+$/);
            expect(advertisedName.length).toBeLessThanOrEqual(naming.maxNameLength);
          }
        }),
      );
    });

    test("ignores the order of the candidates", () => {
      const shuffled = candidates.chain((given) =>
        fc.tuple(
          fc.constant(given),
          fc.shuffledSubarray([...given], { minLength: given.length, maxLength: given.length }),
        ),
      );
      fc.assert(
        fc.property(shuffled, rules, ([given, reordered], naming) => {
          const one = resolve(given, naming);
          const other = resolve(reordered, naming);

          expect(namesOf(other.kept)).toEqual(namesOf(one.kept));
          const messages = one.findings.map(({ message }) => message).toSorted();
          expect(other.findings.map(({ message }) => message).toSorted()).toEqual(messages);
        }),
      );
    });

    test("keeps the order of those it keeps", () => {
      fc.assert(
        fc.property(candidates, rules, (given, naming) => {
          const kept = new Set(resolve(given, naming).kept.map(({ candidate }) => candidate));

          expect([...kept]).toEqual(given.filter((candidate) => kept.has(candidate)));
        }),
      );
    });

    test("keeps every candidate or says why not", () => {
      fc.assert(
        fc.property(candidates, rules, (given, naming) => {
          const { kept, findings } = resolve(given, naming);

          const lost = findings.filter(({ advertisedName }) => advertisedName === undefined);
          const accounted = [
            ...kept.map(({ candidate }) => identityOf(candidate)),
            ...lost.map(({ backend, originalName }) => `${backend}/${originalName}`),
          ];
          expect(accounted.toSorted()).toEqual(given.map(identityOf).toSorted());
        }),
      );
    });

    test("reports every name that is neither the candidate's own nor its prefixed one", () => {
      fc.assert(
        fc.property(candidates, (given) => {
          const { kept, findings } = resolve(given, RULES);

          const changed = kept.filter(
            ({ candidate, advertisedName }) =>
              ![candidate.name, `${candidate.backend}_${candidate.name}`].includes(advertisedName),
          );
          const reported = findings.filter(({ kind }) => kind === "name_changed");
          expect(new Set(reported.map(({ advertisedName }) => advertisedName))).toEqual(
            new Set(changed.map(({ advertisedName }) => advertisedName)),
          );
        }),
      );
    });

    test("gives the same answer twice and leaves its input alone", () => {
      fc.assert(
        fc.property(candidates, rules, (given, naming) => {
          const copy = structuredClone(given);

          const first = resolve(given, naming);

          expect(resolve(given, naming)).toEqual(first);
          expect(given).toEqual(copy);
        }),
      );
    });

    test("tells apart two names of one backend that become equal", () => {
      const given = [candidateOf("a", "one", "same"), candidateOf("a", "two", "same")];

      const { kept, findings } = resolve(given, RULES);

      expect(kept).toHaveLength(2);
      expect(findings).toMatchObject([{ kind: "name_changed", originalName: "two" }]);
    });
  });
}
