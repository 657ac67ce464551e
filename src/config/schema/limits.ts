import { z } from "zod";
import { countField, durationField, sizeField } from "./fields.ts";

/** What the gateway accepts at most, from clients and from backends. */
export const limitsSchema = z
  .strictObject({
    requestBytes: sizeField(1024).prefault("4MiB").describe("Body of a client's request."),
    headerBytes: sizeField(1024).prefault("16KiB").describe("Header block of a request."),
    jsonDepth: countField(4, 512).default(64).describe("Nesting of JSON."),
    idLength: countField(1, 4096).default(256).describe("Characters of a JSON-RPC id."),
    nameLength: countField(16, 4096)
      .default(128)
      .describe("Longest name of a tool or prompt that a backend may list, in characters."),
    backendResponseBytes: sizeField(1024).prefault("16MiB").describe("One answer of a backend."),
    sseEventBytes: sizeField(1024).prefault("4MiB").describe("One event of a backend's stream."),
    stdioLineBytes: sizeField(1024).prefault("10MiB").describe("One line of a stdio backend."),
    streamBufferBytes: sizeField(1024)
      .prefault("1MiB")
      .describe("What is held for a client that reads slowly, per stream."),
    headersTimeout: durationField().prefault("10s").describe("To receive a request's headers."),
    bodyTimeout: durationField().prefault("30s").describe("To receive a request's body."),
    idleTimeout: durationField().prefault("75s").describe("A connection without any traffic."),
    keepAliveTimeout: durationField()
      .prefault("65s")
      .describe(
        "Between two requests. Longer than the 60 s for which balancers commonly keep a connection, so that no request meets one that closes.",
      ),
    maxConnections: countField(1)
      .optional()
      .describe(
        "Client connections; default by the number of files the process may open. The last sixteenth is for new ones: connections at rest for 5 s are closed for them.",
      ),
    failedRequestsPerMinute: countField(1)
      .default(3000)
      .describe(
        "Requests of one address that prove nothing or name no session; beyond them it gets 429 in place of 401 and 404.",
      ),
    callsPerProcess: countField(1).default(256).describe("Calls in flight altogether."),
    callsPerSession: countField(1).default(16).describe("Calls in flight of one session."),
    callsPerBackend: countField(1).default(64).describe("Calls in flight at one backend."),
    toolsPerBackend: countField(1, 100_000).default(1000).describe("Tools that one backend lists."),
    descriptionBytes: sizeField(16).prefault("16KiB").describe("Description of a capability."),
    schemaBytes: sizeField(16).prefault("64KiB").describe("Schema of a tool."),
    subSchemas: countField(1, 100_000)
      .default(2000)
      .describe(
        "Schemas inside a tool's schema by which arguments are checked; larger ones are not used.",
      ),
    schemaDepth: countField(1, 512)
      .default(32)
      .describe(
        "Nesting of schemas inside a tool's schema by which arguments are checked; deeper ones are not used.",
      ),
  })
  .prefault({})
  .describe("What the gateway accepts at most, from clients and from backends.");

export type LimitsInput = z.output<typeof limitsSchema>;
