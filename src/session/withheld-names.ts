import type { WithheldCapability } from "../aggregation/withheld.ts";
import type { CapabilityKind } from "../domain/capabilities.ts";
import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Route } from "../domain/routing-table.ts";
import { clip } from "../mcp/inbound-message.ts";
import { compileTemplate } from "../routing/uri-template.ts";

/** What of a view may not be used although its backend offers it. Asked only where a name leads nowhere else. */
export interface WithheldNames {
  /**
   * Why what a client asks for by this name is refused: because the name is withheld, or because `former`, to which
   * the name once led, is. Undefined where neither is.
   */
  refusal(kind: "tool" | "prompt", name: string, former: Route | undefined): VmcpError | undefined;
  /** The same for a URI that only a withheld template covers. */
  refusalOfUri(uri: string): VmcpError | undefined;
  /** Whether a withheld template of the backend covers the URI. */
  covers(backend: BackendName, uri: string): boolean;
}

const NOTHING: WithheldNames = {
  refusal: () => undefined,
  refusalOfUri: () => undefined,
  covers: () => false,
};

export function withheldNames(withheld: readonly WithheldCapability[]): WithheldNames {
  if (withheld.length === 0) return NOTHING;
  const byName = new Map(withheld.map((entry) => [`${entry.kind} ${entry.advertisedName}`, entry]));
  const byOrigin = new Map(withheld.map((entry) => [originOf(entry), entry]));
  const templates = withheld
    .filter(({ kind }) => kind === "resourceTemplate")
    .map((entry) => ({ entry, fits: compileTemplate(entry.originalName) }));
  return {
    refusal: (kind, name, former) => {
      const entry = byName.get(`${kind} ${name}`) ?? (former && byOrigin.get(originOf(former)));
      return entry && refused(entry.kind, name, entry.reason);
    },
    refusalOfUri: (uri) => {
      const template = templates.find(({ fits }) => fits(uri));
      return template && refused("resource", uri, template.entry.reason);
    },
    covers: (backend, uri) =>
      templates.some(({ entry, fits }) => entry.backend === backend && fits(uri)),
  };
}

function refused(kind: CapabilityKind, name: string, reason: string): VmcpError {
  const word = kind === "resourceTemplate" ? "resource template" : kind;
  return new VmcpError("capability_not_found", `The ${word} ${clip(name)} is withheld: ${reason}`);
}

function originOf({ kind, backend, originalName }: Route | WithheldCapability): string {
  return `${kind} ${backend} ${originalName}`;
}
