import type { Difference } from "./suite.mjs";

export const KNOWN_DIFFERENCES: readonly (Difference & { readonly reason: string })[];
export const KNOWN_CLIENT_GAPS: ReadonlyMap<string, string>;
export function unexplained(differences: readonly Difference[]): readonly string[];
