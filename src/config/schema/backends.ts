import { z } from "zod";
import {
  countField,
  durationField,
  headerNameField,
  headerValueField,
  httpUrlField,
  ignored,
  nonEmptyText,
  refusing,
} from "./fields.ts";
import { backendPinningSchema } from "./pinning.ts";

const NAME_RULE = "must be 1 to 48 of A-Z, a-z, 0-9, _ and -";

/** The alias of a backend, as in names, errors and settings. */
const backendNameField = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,48}$/, NAME_RULE)
  .describe("Alias of the backend: 1 to 48 of A-Z, a-z, 0-9, _ and -, unique.");

const environment = z.record(
  z.string().regex(/^[^=\0]+$/, "is not the name of an environment variable"),
  z.string().refine((text) => !text.includes("\0"), "must not hold a NUL character"),
);

const headers = z.record(headerNameField(), headerValueField());

const command = nonEmptyText().refine((text) => !text.includes("\0"), {
  message: "must not hold a NUL character",
});

const timeouts = z
  .strictObject({
    connect: durationField().prefault("2s").describe("To open a connection to the backend."),
    start: durationField()
      .prefault("30s")
      .describe("To connect, initialize and list everything once."),
    call: durationField()
      .optional()
      .describe("For one call; default `operational.timeouts.default`. Progress extends it."),
    tools: z
      .record(nonEmptyText(), durationField())
      .default({})
      .describe("For one call of a tool, by the backend's own name of it; goes before `call`."),
    callMax: durationField()
      .prefault("30m")
      .describe("For one call however much progress is reported."),
    clientAnswer: durationField()
      .prefault("10m")
      .describe(
        "For the client's answer to a question of the backend; the call's clock stops meanwhile.",
      ),
    keepalive: z
      .union([z.literal("off"), durationField()], "must be off, or a duration such as 30s")
      .default("off")
      .describe(
        "Interval of pings on a session's connection while it has no calls; one that was lost is made again. Three pings in a row that fail end them for that connection.",
      ),
    idle: durationField()
      .optional()
      .describe(
        "Closes a session's connection after this long without a call; the next call opens another, and its answer says that the state is lost. Default: never.",
      ),
  })
  .prefault({})
  .describe("How long the gateway waits for this backend.");

const restart = z
  .strictObject({
    backoffMin: durationField()
      .prefault("1s")
      .describe(
        "Wait before the second restart within the window; the first needs none, each further one waits twice as long.",
      ),
    backoffMax: durationField().prefault("60s").describe("Longest wait between two restarts."),
    budget: countField(0)
      .default(5)
      .describe("Restarts of one session's process within the window; after that it rests."),
    window: durationField()
      .prefault("10m")
      .describe("For how long an exit counts against the budget."),
  })
  .prefault({})
  .describe("How the process of a stdio backend is started again after it ended by itself.");

/** One entry of `backends`. Which fields go together is checked in `checks/backends.ts`. */
export const backendSchema = z.strictObject({
  name: backendNameField,
  transport: z
    .enum(["streamable-http", "streamable", "sse", "auto", "stdio"])
    .optional()
    .describe(
      "How to talk to the backend; default `stdio` where there is a command, else `streamable-http`. `streamable` means `streamable-http`; `sse` is the older HTTP+SSE; `auto` tries both, and `sse` first where the path ends in `/sse`.",
    ),
  url: httpUrlField().optional().describe("Address of a backend over HTTP."),
  allowInsecureHttp: z
    .boolean()
    .default(false)
    .describe("Allow http:// to a public address; what is sent can then be read on the way."),
  headers: headers.default({}).describe("Headers for each request; values may be references."),
  caBundlePath: nonEmptyText()
    .optional()
    .describe("PEM file of additional authorities for TLS; relative to the configuration file."),
  command: command.optional().describe("Program of a stdio backend; started without a shell."),
  args: z.array(z.string()).default([]).describe("Arguments of the program."),
  env: environment
    .default({})
    .describe(
      "Environment of the program; of the gateway's own it gets PATH, HOME and the like only.",
    ),
  cwd: nonEmptyText()
    .optional()
    .describe("Working directory of the program; relative to the configuration file."),
  stdio: z
    .strictObject({
      command: command.describe("As `command`."),
      args: z.array(z.string()).default([]).describe("As `args`."),
      env: environment.default({}).describe("As `env`."),
      cwd: nonEmptyText().optional().describe("As `cwd`."),
    })
    .optional()
    .describe("The four fields of a stdio backend as one block."),
  isolation: refusing(
    z.enum(["session", "request", "user", "shared"]).optional(),
    ["user", "shared"],
    "`session`: each client session has its own backend session; `request`: each call has. Default by `operational.sessionManagementV2`.",
  ),
  revision: z
    .enum(["auto", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
    .default("auto")
    .describe(
      "MCP revision to speak with the backend; `auto` finds out whether it knows the one without sessions, 2026-07-28, and offers the newest one with sessions if not.",
    ),
  timeouts,
  validateArguments: z
    .boolean()
    .default(false)
    .describe(
      "Check arguments against the tool's schema before a call; otherwise the backend answers.",
    ),
  maxConcurrentCalls: countField(1)
    .optional()
    .describe("Calls in flight at this backend; default `limits.callsPerBackend`."),
  trustAnnotations: z
    .boolean()
    .default(false)
    .describe(
      "Believe a tool's `readOnlyHint` and `idempotentHint`: a call that may have run when its connection broke is sent once more.",
    ),
  restart,
  pinning: backendPinningSchema,
  type: ignored(z.enum(["entry", ""]).optional(), "Kind of workload in ToolHive."),
  metadata: ignored(z.record(z.string(), z.string()).optional(), "Labels of the backend."),
});

export type BackendInput = z.output<typeof backendSchema>;
