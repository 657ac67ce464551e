import { isJsonObject } from "../domain/json.ts";
import type { JsonObject } from "../domain/json.ts";
import type { RequestId } from "./json-rpc.ts";

/** A `_meta` taken apart: the token by which progress is reported, and everything else. */
export interface MetaParts {
  readonly progressToken?: RequestId;
  readonly additionalFields?: JsonObject;
}

/** The token under which the sender of a request wants to hear of its progress; undefined where it does not. */
export function progressTokenOf(params: JsonObject | undefined): RequestId | undefined {
  const meta = params?.["_meta"];
  const token = isJsonObject(meta) ? meta["progressToken"] : undefined;
  return typeof token === "string" || typeof token === "number" ? token : undefined;
}

/** The `_meta` of params or of a result; undefined where there is none, or nothing in it. */
export function metaOf(message: JsonObject): JsonObject | undefined {
  const meta = message["_meta"];
  return isJsonObject(meta) && Object.keys(meta).length > 0 ? meta : undefined;
}

/** Takes a `_meta` apart. A token that is neither text nor number is none, and is dropped where it is null. */
export function splitMeta(meta: JsonObject | undefined): MetaParts | undefined {
  if (meta === undefined) return undefined;
  const { progressToken, ...rest } = meta;
  const isToken = typeof progressToken === "string" || typeof progressToken === "number";
  const isOdd = !isToken && progressToken !== undefined && progressToken !== null;
  const additionalFields = isOdd ? meta : rest;
  const hasFields = Object.keys(additionalFields).length > 0;
  if (!isToken && !hasFields) return undefined;
  return { ...(isToken && { progressToken }), ...(hasFields && { additionalFields }) };
}

/** Puts a `_meta` together: the token beats a field of its name. Undefined where nothing would be in it. */
export function joinMeta(parts: MetaParts | undefined): JsonObject | undefined {
  const { progressToken, additionalFields } = parts ?? {};
  const meta = {
    ...additionalFields,
    // A token of 0 is a token.
    ...(progressToken !== undefined && { progressToken }),
  };
  return Object.keys(meta).length === 0 ? undefined : meta;
}
