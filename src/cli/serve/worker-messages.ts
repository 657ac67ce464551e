import type { ReloadReport } from "../../app/vmcp.ts";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import type { VmcpErrorCode } from "../../domain/errors.ts";
import type { LogFields, Logger } from "../../domain/logger.ts";
import type { LogLevel } from "../../telemetry/logger.ts";
import type { BackendReport } from "./serve-view.ts";

/** What the supervisor of `vmcp serve` has its workers do. */
export type WorkerTask =
  | {
      readonly kind: "serve";
      readonly config: VmcpConfig;
      /** Undefined: the supervisor writes the lines, on a terminal that it draws on. */
      readonly logLevel: LogLevel | undefined;
    }
  /** Answered with `reloaded` or `notReloaded` of the same number. */
  | { readonly kind: "reload"; readonly number: number; readonly config: VmcpConfig }
  /** A configuration was refused before it came to a reload; not answered. */
  | { readonly kind: "reloadRefused"; readonly code: VmcpErrorCode }
  /** Answered with `draining`; the worker ends by itself then. */
  | { readonly kind: "stop"; readonly graceMs: number };

/** What the workers tell. */
export type WorkerNews =
  | { readonly kind: "health"; readonly report: BackendReport }
  | { readonly kind: "ready" }
  | { readonly kind: "reloaded"; readonly number: number; readonly report: ReloadReport }
  | {
      readonly kind: "notReloaded";
      readonly number: number;
      readonly code: VmcpErrorCode;
      readonly message: string;
    }
  | { readonly kind: "draining"; readonly sessions: number }
  | {
      readonly kind: "log";
      readonly level: keyof Logger;
      readonly message: string;
      readonly fields: LogFields;
    }
  /** The worker could not start; `text` says why, as the command says it. */
  | { readonly kind: "failed"; readonly exitCode: number; readonly text: string };
