import { z } from "zod";
import { countField, nonEmptyText, refused, refusing } from "./fields.ts";

const HOST = /^(?:[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?\]?)$/;
const ALLOWED_HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
const PATH = /^(?:\/[A-Za-z0-9._~-]+)+$/;
/** Where clients are served that only know HTTP+SSE. */
const LEGACY_PATHS: ReadonlySet<string> = new Set(["/sse", "/messages"]);
/** What the gateway says of itself, and where browsers come back to it: the endpoint would never be reached there. */
const OWN_PATHS: ReadonlySet<string> = new Set([
  "/health",
  "/healthz",
  "/readyz",
  "/status",
  "/oauth/callback",
]);

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

/** Where the gateway listens. */
export const serverSchema = z
  .strictObject({
    host: z
      .string()
      .regex(HOST, "must be a host name or an IP address, without scheme or port")
      .default("127.0.0.1")
      .describe("Address to listen on."),
    port: countField(0, 65_535).default(4483).describe("Port to listen on; 0 takes a free one."),
    path: z
      .string()
      .regex(PATH, "must be a path such as /mcp")
      .refine(
        (path) => !OWN_PATHS.has(path),
        "is a path of the gateway's own; take one such as /mcp",
      )
      .default("/mcp")
      .describe("Path of the MCP endpoint."),
    allowedHosts: z
      .array(z.string().regex(ALLOWED_HOST, "must be a host name such as mcp.example.com"))
      .default([])
      .describe("Names in `Host` that are accepted besides those of the address listened on."),
    allowedOrigins: z
      .array(z.string().refine(isOrigin, "must be an origin such as https://app.example.com"))
      .default([])
      .describe("Web origins whose pages may call."),
    legacySse: z
      .boolean()
      .default(false)
      .describe(
        "Also serve clients that only know HTTP+SSE of 2024-11-05, on `/sse` and `/messages`.",
      ),
    workers: z
      .union([countField(1, 64), z.literal("auto")], "must be auto, or a whole number from 1 to 64")
      .default(1)
      .describe(
        "Processes of `vmcp serve` that share the sessions; `auto` is one per core. An embedded gateway is always one.",
      ),
    tls: refused(
      z.strictObject({ certPath: nonEmptyText(), keyPath: nonEmptyText() }).optional(),
      "Certificate and key of the listener; put a TLS proxy in front instead.",
    ),
    trustProxy: refusing(z.boolean().optional(), [true], "Believe forwarding headers."),
    stateKeys: z
      .array(nonEmptyText())
      .default([])
      .describe(
        "Secrets that seal what clients of MCP 2026-07-28 hold between two rounds of a request: the first one seals, all of them open. Several gateways behind one address need the same; without any, each start makes its own.",
      ),
  })
  .refine(({ legacySse, path }) => !legacySse || !LEGACY_PATHS.has(path), {
    path: ["path"],
    error: "must not be /sse or /messages, which are taken with legacySse: true",
  })
  .prefault({})
  .describe("Where the gateway listens.");

/** The second listener for operators. */
export const adminSchema = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe("Must be false: this version has no such listener."),
    host: z.string().default("127.0.0.1").describe("Address to listen on."),
    port: countField(0, 65_535).default(4484).describe("Port to listen on."),
  })
  .optional()
  .describe("The listener for operators, which this version does not have; its use is an error.");
