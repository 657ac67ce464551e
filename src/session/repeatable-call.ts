import type { CapabilitySet } from "../domain/capabilities.ts";
import { isJsonObject } from "../domain/json.ts";
import type { OutboundRequest } from "../mcp/exchange.ts";
import { joined } from "../mcp/message-bytes.ts";

/**
 * Whether the tool that a request calls says of itself that it only reads, or that calling it twice has the
 * same effect as calling it once. False for anything but a call of a tool that the backend lists.
 */
export function isRepeatableCall(
  { method, bytes }: OutboundRequest,
  offered: CapabilitySet | undefined,
): boolean {
  if (method !== "tools/call" || offered === undefined) return false;
  const request: unknown = JSON.parse(joined(bytes).toString());
  const params = isJsonObject(request) ? request["params"] : undefined;
  const name = isJsonObject(params) ? params["name"] : undefined;
  const annotations = offered.tools.find(({ key }) => key === name)?.value["annotations"];
  return (
    isJsonObject(annotations) &&
    (annotations["readOnlyHint"] === true || annotations["idempotentHint"] === true)
  );
}
