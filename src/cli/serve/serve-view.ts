import type { PlanChange } from "../../config/reload-plan.ts";
import type { LogFields } from "../../domain/logger.ts";

/** What the gateway says of one backend. */
export interface BackendReport {
  readonly name: string;
  readonly state: "unknown" | "healthy" | "degraded" | "unhealthy";
  readonly toolCount: number | undefined;
  /** Why the last probe failed. */
  readonly reason: string | undefined;
}

interface ServedBackend {
  readonly name: string;
  readonly transport: string;
}

/** What there is to say before anything is started. */
export interface ServeIntroduction {
  /** The name under which clients know the gateway. */
  readonly name: string;
  readonly version: string;
  /** Where the configuration came from. */
  readonly origin: string;
  readonly backends: readonly ServedBackend[];
  /** Sentences about the configuration that an operator should read. */
  readonly notes: readonly string[];
}

/** What a reload of the configuration came to. */
export interface ReloadNews {
  /** Of the configuration in force. */
  readonly generation: number;
  readonly changes: readonly PlanChange[];
  readonly sessions: number;
  readonly tools: { readonly added: readonly string[]; readonly removed: readonly string[] };
  /** Those that are served from now on. */
  readonly backends: readonly ServedBackend[];
  /** Sentences about the configuration that an operator should read. */
  readonly notes: readonly string[];
}

/** How `serve` shows what happens. The methods come in this order; `backendChanged` at any time after `listening`. */
export interface ServeView {
  listening(url: string): void;
  backendChanged(report: BackendReport): void;
  /** Every backend has answered or failed, or has had its time; it may still come. */
  ready(): void;
  /** Another configuration is in force. */
  reloaded(news: ReloadNews): void;
  /** The configuration must not be used, for these reasons; the one before stays in force. */
  reloadRefused(reasons: readonly string[]): void;
  draining(sessions: number): void;
  stopped(): void;
}

/** The reason without the backend's name, for a place where the name stands already. */
export function shortReason({ name, reason = "" }: BackendReport): string {
  const lead = `Backend "${name}" `;
  return reason.startsWith(lead) ? reason.slice(lead.length) : reason;
}

/** Whether a line of the log with these fields says what a view says anyway: how a backend is, why a reload failed. */
export function isShownByViews(fields: LogFields): boolean {
  if ("backend" in fields) return "state" in fields || "circuit" in fields;
  return "problems" in fields;
}
