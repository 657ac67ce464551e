import { VmcpError } from "../domain/errors.ts";
import { clip } from "../mcp/inbound-message.ts";

/** What a request names that nobody offers. */
export type Named = "tool" | "prompt" | "resource" | "reference" | "task";

/**
 * For a name that the client cannot use: one that nobody offers, or one that it is never to learn of. Both read the same,
 * so that nothing is found out by asking; `reason` tells the operator which it was.
 */
export function unknownName(kind: Named, name: string, reason?: string): VmcpError {
  return new VmcpError("capability_not_found", `Unknown ${kind}: ${clip(name)}`, {
    ...(reason !== undefined && { reason }),
  });
}
