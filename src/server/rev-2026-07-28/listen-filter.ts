import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";

/** What one listener wants to hear of, and is told that it will. */
export interface ListenFilter {
  readonly lists: ReadonlySet<ListFilterName>;
  readonly uris: readonly string[];
}

type ListFilterName = "toolsListChanged" | "promptsListChanged" | "resourcesListChanged";

const LIST_OF_METHOD: ReadonlyMap<string, ListFilterName> = new Map([
  ["notifications/tools/list_changed", "toolsListChanged"],
  ["notifications/prompts/list_changed", "promptsListChanged"],
  ["notifications/resources/list_changed", "resourcesListChanged"],
]);

const UPDATED = "notifications/resources/updated";

/** URIs of one listener; what goes beyond is not acknowledged. */
const MAX_URIS = 256;

/** Longer ones are not acknowledged. */
const MAX_URI_LENGTH = 8_192;

/** Reads the params of `subscriptions/listen`. Throws `invalid_params`. */
export function readFilter(params: JsonObject | undefined): ListenFilter {
  const wanted = params?.["notifications"];
  if (!isJsonObject(wanted)) {
    throw new VmcpError("invalid_params", '"params.notifications" must be an object');
  }
  const { resourceSubscriptions: uris = [] } = wanted;
  if (!Array.isArray(uris) || uris.some((uri) => typeof uri !== "string")) {
    throw new VmcpError(
      "invalid_params",
      '"params.notifications.resourceSubscriptions" must be a list of URIs',
    );
  }
  const usable = new Set(uris.filter((uri) => uri.length <= MAX_URI_LENGTH));
  return {
    lists: new Set([...LIST_OF_METHOD.values()].filter((name) => wanted[name] === true)),
    uris: [...usable].slice(0, MAX_URIS),
  };
}

/** The filter as it stands in the acknowledgement: what is not wanted, or cannot be had, is left out. */
export function filterJson({ lists, uris }: ListenFilter): JsonObject {
  return {
    ...Object.fromEntries([...lists].map((name) => [name, true] as const)),
    ...(uris.length > 0 && { resourceSubscriptions: [...uris] }),
  };
}

/** Whether a listener wants this notification. A resource below one that is listened to counts as that one. */
export function isWanted(
  { lists, uris }: ListenFilter,
  method: string,
  params: JsonObject | undefined,
): boolean {
  const list = LIST_OF_METHOD.get(method);
  if (list !== undefined) return lists.has(list);
  const uri = method === UPDATED ? params?.["uri"] : undefined;
  return typeof uri === "string" && uris.some((wanted) => uri === wanted || isBelow(uri, wanted));
}

function isBelow(uri: string, wanted: string): boolean {
  return uri.startsWith(wanted) && (wanted.endsWith("/") || BOUNDARY.has(uri[wanted.length] ?? ""));
}

const BOUNDARY: ReadonlySet<string> = new Set(["/", "?", "#"]);
