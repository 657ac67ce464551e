import type { BackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { OutgoingCredentials } from "./credentials.ts";
import { SpokenFamily } from "./stateless/spoken-family.ts";
import type { HttpPools } from "./streamable-http/http-pools.ts";

/** How long each step may take, in milliseconds. */
export interface BackendTimeouts {
  /** Until the TCP and TLS handshakes are done. */
  readonly connectMs: number;
  /** Connecting, `initialize` and all lists together. */
  readonly startMs: number;
  /** One call without progress, where the request names no time of its own. */
  readonly callMs: number;
  /** The same for calls of single tools, by the backend's own names of them. */
  readonly toolsMs: Readonly<Record<string, number>>;
  /** One call however much progress it reports; time spent waiting for the client is not counted. */
  readonly callMaxMs: number;
  /** How long a call may wait for the client to answer the backend's own request. */
  readonly clientAnswerMs: number;
  /** The bounds of the wait before a broken event stream is taken up again, whatever the backend asks for. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

/** What is looked up anew for each call and start, and so can change while connections are open. */
export type AdjustableTimeouts = Pick<
  BackendTimeouts,
  "startMs" | "callMs" | "toolsMs" | "callMaxMs" | "clientAnswerMs"
>;

const DEFAULT_BACKEND_TIMEOUTS: BackendTimeouts = {
  connectMs: 2_000,
  startMs: 30_000,
  callMs: 120_000,
  toolsMs: {},
  callMaxMs: 1_800_000,
  clientAnswerMs: 600_000,
  retryMinMs: 1_000,
  retryMaxMs: 60_000,
};

/** What a backend may make us hold. Past a limit the call, item or list is cut, never the process. */
export interface BackendLimits {
  /** One JSON answer over HTTP. */
  readonly responseBytes: number;
  readonly sseEventBytes: number;
  readonly stdioLineBytes: number;
  /** What a stdio backend may leave unread before further calls are refused. */
  readonly stdioQueueBytes: number;
  /** Nesting of a message. */
  readonly jsonDepth: number;
  readonly pagesPerList: number;
  readonly toolsPerBackend: number;
  /** For prompts, resources and resource templates each. */
  readonly itemsPerList: number;
  /** All items of one list together. */
  readonly listBytes: number;
  /** Characters in the name of a tool or prompt. */
  readonly nameLength: number;
  readonly descriptionBytes: number;
  readonly schemaBytes: number;
}

const MIB = 1_048_576;

const DEFAULT_BACKEND_LIMITS: BackendLimits = {
  responseBytes: 16 * MIB,
  sseEventBytes: 4 * MIB,
  stdioLineBytes: 10 * MIB,
  stdioQueueBytes: 16 * MIB,
  jsonDepth: 256,
  pagesPerList: 1_000,
  toolsPerBackend: 1_000,
  itemsPerList: 10_000,
  listBytes: 64 * MIB,
  nameLength: 128,
  descriptionBytes: 16_384,
  schemaBytes: 65_536,
};

/** One backend as configured, secrets already resolved. */
export interface BackendOptions {
  readonly name: BackendName;
  /**
   * `streamable-http` (or its alias `streamable`), `sse` (the one of revision 2024-11-05), `auto` (either of
   * them, found out by trying; a path that ends in `/sse` is tried as `sse` first) or `stdio`; anything else is
   * refused.
   */
  readonly transport: string;
  /** The endpoint, for HTTP. */
  readonly url?: string | undefined;
  /** Sent with every HTTP request. Headers that the protocol itself sets are refused. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** PEM text of authorities to trust besides Node's own. */
  readonly caBundle?: string | Buffer | undefined;
  /** The program to run, for stdio; never through a shell. */
  readonly command?: string | undefined;
  readonly args?: readonly string[] | undefined;
  /** Added to the few variables that a child inherits. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Default, field by field: 2 s, 30 s, 120 s, 30 min, 10 min; 1 s and 60 s. */
  readonly timeouts?: Partial<BackendTimeouts> | undefined;
  /** Field by field; the defaults are those of the limits that the gateway ships. */
  readonly limits?: Partial<BackendLimits> | undefined;
  /**
   * `auto` (default) finds out whether the backend speaks the revision without sessions, and offers the newest one
   * with sessions if not. A date asks for that revision.
   */
  readonly revision?: string | undefined;
  /** Shared by all backends and owned by whoever made it; needed for HTTP only. */
  readonly http?: HttpPools | undefined;
  /** What proves each HTTP request besides `headers`. Default: nothing. */
  readonly credentials?: OutgoingCredentials | undefined;
  readonly logger: Logger;
  /** What a probe calls itself. Default: `{name: "vmcp-probe", version: "0"}`. */
  readonly clientInfo?: JsonObject | undefined;
}

/** The same with every default filled in. */
export interface BackendSettings extends BackendOptions {
  readonly timeouts: BackendTimeouts;
  readonly limits: BackendLimits;
  /** Found out once for all connections to this backend. */
  readonly spoken: SpokenFamily;
}

export function toSettings(options: BackendOptions): BackendSettings {
  return {
    ...options,
    timeouts: { ...DEFAULT_BACKEND_TIMEOUTS, ...options.timeouts },
    limits: { ...DEFAULT_BACKEND_LIMITS, ...options.limits },
    spoken: new SpokenFamily(options.revision),
  };
}
