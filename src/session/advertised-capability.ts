import type { JsonObject } from "../domain/json.ts";
import type { Advertised } from "../domain/routing-table.ts";
import type { AdvertisedCapability } from "./session.ts";

/** A capability of a view as code reads it; made anew each time, so that changing it changes nothing else. */
export function toAdvertisedCapability({ route, json }: Advertised): AdvertisedCapability {
  // The text was made from an item that a backend listed as an object.
  const value = JSON.parse(json) as JsonObject;
  const { description, inputSchema } = value;
  return {
    name: route.advertisedName,
    ...(typeof description === "string" && { description }),
    // An input schema is whatever object the backend sent.
    ...(typeof inputSchema === "object" && { inputSchema: inputSchema as JsonObject }),
    json,
    value,
  };
}
