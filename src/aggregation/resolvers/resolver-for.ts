import type { ConflictStrategy } from "../settings.ts";
import type { ConflictResolver } from "./conflict-resolver.ts";
import { resolveManually } from "./manual.ts";
import { resolveByPrefix } from "./prefix.ts";
import { resolveByPrefixOnConflict } from "./prefix-on-conflict.ts";
import { resolveByPriority } from "./priority.ts";

const RESOLVERS = {
  prefix: resolveByPrefix,
  prefixOnConflict: resolveByPrefixOnConflict,
  priority: resolveByPriority,
  manual: resolveManually,
} as const satisfies Record<ConflictStrategy, ConflictResolver>;

export function resolverFor(strategy: ConflictStrategy): ConflictResolver {
  return RESOLVERS[strategy];
}
