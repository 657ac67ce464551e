import { z } from "zod";
import { aggregationSchema } from "./aggregation.ts";
import { auditSchema } from "./audit.ts";
import { backendSchema } from "./backends.ts";
import { compositeToolSchema } from "./composite-tools.ts";
import { headerNameField, ignored, nonEmptyText, refused } from "./fields.ts";
import { incomingAuthSchema } from "./incoming-auth.ts";
import { codeModeSchema, optimizerSchema, sessionStorageSchema } from "./later.ts";
import { limitsSchema } from "./limits.ts";
import { telemetrySchema } from "./observability.ts";
import { operationalSchema } from "./operational.ts";
import { lockFileSchema, pinningSchema } from "./pinning.ts";
import { outgoingAuthSchema } from "./outgoing-auth.ts";
import { rateLimitingSchema } from "./rate-limiting.ts";
import { adminSchema, serverSchema } from "./server.ts";

/** Never handed on: they are about one hop, about this session, or credentials meant for the gateway. */
const NEVER_PASSED = /^(?:authorization|cookie|x-forwarded-.*)$/i;

/**
 * The shape of a configuration file. `mcpServers` is not here: its entries are turned into `backends` before,
 * and how fields go together is looked at by the functions in `checks/`.
 */
export const configSchema = z.strictObject({
  name: nonEmptyText().max(200).default("vmcp").describe("Name of the server, as clients see it."),
  groupRef: z.string().optional().describe("Label of the group; shown in the status."),
  group: z.string().optional().describe("As `groupRef`."),
  backends: z.array(backendSchema).default([]).describe("The MCP servers behind the gateway."),
  incomingAuth: incomingAuthSchema,
  outgoingAuth: outgoingAuthSchema,
  aggregation: aggregationSchema,
  operational: operationalSchema,
  server: serverSchema,
  limits: limitsSchema,
  admin: adminSchema,
  sessionStorage: sessionStorageSchema,
  telemetry: telemetrySchema,
  audit: auditSchema,
  pinning: pinningSchema,
  lockFile: lockFileSchema,
  metadata: ignored(z.record(z.string(), z.string()).optional(), "Labels of the gateway."),
  compositeTools: refused(z.array(compositeToolSchema).optional(), "Tools made of other tools."),
  compositeToolRefs: refused(
    z.array(z.strictObject({ name: nonEmptyText() })).optional(),
    "Composite tools that are Kubernetes resources.",
  ),
  optimizer: refused(optimizerSchema.optional(), "Search over tools instead of a list of them."),
  codeMode: codeModeSchema,
  rateLimiting: rateLimitingSchema,
  passthroughHeaders: refused(
    z
      .array(
        headerNameField().refine((name) => !NEVER_PASSED.test(name), {
          message: "is never handed to backends",
        }),
      )
      .optional(),
    "Headers of clients that are handed to backends.",
  ),
});

export type ConfigInput = z.output<typeof configSchema>;
