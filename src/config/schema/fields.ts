import { z } from "zod";
import { httpUrlFault } from "../addresses.ts";
import { MAX_TIMER_MS, parseDurationMs, parseSizeBytes } from "../units.ts";

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Bytes that HTTP allows in a field value: no line breaks, no other control characters but the tab. */
const HEADER_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** Written by the gateway itself, or about one hop only. */
const GATEWAY_HEADERS: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "forwarded",
  "host",
  "keep-alive",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** How far this version supports a field; where absent, it has its full meaning. */
export interface SupportMeta {
  /** `ignored`: accepted, with a warning. `refused`: present means an error. */
  readonly support?: "ignored" | "refused";
  /** Values that are valid in the format but that this version does not serve. */
  readonly refusedValues?: readonly (string | boolean)[];
}

/** What a text or number stands for, for the reference. */
export interface KindMeta {
  readonly kind?: "duration" | "size";
}

/** Marks a field that is accepted for compatibility and changes nothing; its use is warned of. */
export function ignored<Schema extends z.ZodType>(schema: Schema, description: string): Schema {
  return schema.meta({ description, support: "ignored" } satisfies SupportMeta & z.GlobalMeta);
}

/** Marks a field whose silent absence would change behaviour or security; its use is an error. */
export function refused<Schema extends z.ZodType>(schema: Schema, description: string): Schema {
  return schema.meta({ description, support: "refused" } satisfies SupportMeta & z.GlobalMeta);
}

/** Marks single values as not served yet. */
export function refusing<Schema extends z.ZodType>(
  schema: Schema,
  refusedValues: readonly (string | boolean)[],
  description: string,
): Schema {
  return schema.meta({ description, refusedValues } satisfies SupportMeta & z.GlobalMeta);
}

const NO_DURATION = "is not a duration; write for example 500ms, 30s, 1m30s or 2h";

/** A duration such as `30s`; read as milliseconds. */
export function durationField(minMs = 1): z.ZodType<number, string> {
  const field = z.string(NO_DURATION).transform((text, context) => {
    const ms = parseDurationMs(text);
    const fault = ms === undefined ? NO_DURATION : durationFault(ms, minMs);
    if (ms !== undefined && fault === undefined) return ms;
    context.issues.push({ code: "custom", input: text, message: fault ?? "" });
    return z.NEVER;
  });
  return field.meta({ kind: "duration" } satisfies KindMeta & z.GlobalMeta);
}

/** A size such as `16MiB`, or a number of bytes; read as bytes. */
export function sizeField(minBytes = 1): z.ZodType<number, string | number> {
  const expected = "must be a size such as 16MiB, 64KiB or a number of bytes";
  const field = z
    .union([z.string(), z.number()], { error: expected })
    .transform((size, context) => {
      const bytes = typeof size === "number" ? size : parseSizeBytes(size);
      if (bytes !== undefined && Number.isSafeInteger(bytes) && bytes >= minBytes) return bytes;
      const message = `${expected}, at least ${String(minBytes)} and below 2^53`;
      context.issues.push({ code: "custom", input: size, message });
      return z.NEVER;
    });
  return field.meta({ kind: "size" } satisfies KindMeta & z.GlobalMeta);
}

/** A whole number within bounds. */
export function countField(min: number, max = 1_000_000): z.ZodInt {
  return z.int().min(min).max(max);
}

/** An http(s) URL of a server that the gateway calls; its text is kept. */
export function httpUrlField(): z.ZodString {
  return z.string().superRefine((text, context) => {
    const fault = httpUrlFault(text);
    if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
  });
}

export function nonEmptyText(): z.ZodString {
  return z.string().min(1, "must not be empty");
}

/** Whether the gateway writes this header itself, so that nobody else may. */
export function isGatewayHeader(name: string): boolean {
  return GATEWAY_HEADERS.has(name.toLowerCase());
}

export function headerNameField(): z.ZodString {
  return z
    .string()
    .regex(HEADER_NAME, "is not an HTTP header name")
    .refine((name) => !isGatewayHeader(name), {
      message: "is a header that the gateway sets itself; it cannot be configured",
    });
}

export function headerValueField(): z.ZodString {
  return z
    .string()
    .min(1, "must not be empty")
    .regex(HEADER_VALUE, "must not hold line breaks or other control characters");
}

/** The name of an environment variable, in the fields whose own name ends in `Env`. */
export function envNameField(): z.ZodString {
  return z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not the name of an environment variable");
}

function durationFault(ms: number, minMs: number): string | undefined {
  if (ms > MAX_TIMER_MS) {
    return "is longer than 2147483647 ms (about 24.8 days), the longest that timers can wait";
  }
  return ms < minMs ? `is shorter than ${String(minMs)} ms` : undefined;
}
