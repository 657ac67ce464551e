import type { BackendGreeting, Capability, CapabilitySet } from "../domain/capabilities.ts";
import { digestOf } from "./canonical.ts";
import { definitionOf, type Definition } from "./definition.ts";

/** What is locked. Resources come and go with what they are about, so they are not. */
export type LockedKind = "tool" | "prompt" | "resourceTemplate";

export const LOCKED_KINDS: readonly LockedKind[] = ["tool", "prompt", "resourceTemplate"];

/** One capability as it was when it was locked. */
export interface LockedEntry {
  readonly digest: string;
  readonly definition: Definition;
}

/** What one backend offered, by kind and original name. */
export interface LockedBackend {
  /** What it told clients of itself in `initialize`; undefined where it said nothing. */
  readonly instructions: string | undefined;
  readonly entries: Readonly<Record<LockedKind, ReadonlyMap<string, LockedEntry>>>;
}

/** What every backend offered, by its name in the configuration. */
export type Lock = ReadonlyMap<string, LockedBackend>;

/** Takes down what a backend offers now. */
export function lockBackend(
  capabilities: CapabilitySet,
  greeting: Pick<BackendGreeting, "instructions"> | undefined,
): LockedBackend {
  return {
    instructions: greeting?.instructions,
    entries: {
      tool: lockList(capabilities.tools),
      prompt: lockList(capabilities.prompts),
      resourceTemplate: lockList(capabilities.resourceTemplates),
    },
  };
}

/** Of a name that is listed twice the first counts, as everywhere else. */
function lockList(list: readonly Capability[]): ReadonlyMap<string, LockedEntry> {
  return new Map(
    list.toReversed().map((capability) => {
      const definition = definitionOf(capability);
      return [capability.key, { digest: digestOf(definition), definition }];
    }),
  );
}
