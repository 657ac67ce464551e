import { AuditLog } from "../audit/audit-log.ts";
import { AuditTrail } from "../audit/audit-trail.ts";
import { AppendedFile, StandardStream } from "../audit/line-file.ts";
import type { AuditConfig } from "../config/vmcp-config.ts";
import type { VmcpErrorCode } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { EdgeSessions } from "../server/rev-2025-11-25/sessions.ts";
import type { Mismatch } from "../pinning/pins.ts";
import type { SessionBackend } from "../session/backend-connection.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import type { SessionManagerOptions } from "../session/session-manager.ts";
import type { MultiSessionFactory } from "../session/session.ts";
import { auditedBackend } from "./audited-backend.ts";
import { recordRefresh, type CredentialsRefresh } from "./audited-credentials.ts";
import { DeniedRequests, type Denial } from "./audited-denials.ts";
import { auditedEdge } from "./audited-edge.ts";
import { auditedFactory } from "./audited-factory.ts";
import {
  recordRefusedReload,
  recordReload,
  sessionListeners,
  type Reloaded,
} from "./audited-events.ts";
import { recordMismatch } from "./audited-pins.ts";

type SessionListeners = Pick<
  SessionManagerOptions<EdgeSession>,
  "onSessionCreated" | "onSessionClosed"
>;

/**
 * Puts records around the parts of a gateway. Where there is no audit log, each part comes back as it is, so that
 * nothing is asked of it later.
 */
export interface GatewayAudit extends Disposable {
  /** Looks whether records can be written. Those that go to no file go to this stream from now on. */
  start(stream: "stdout" | "stderr"): void;
  /** Calls are refused at the moment, because they could not be recorded. */
  readonly isRefusing: boolean;
  /** For the status page: what to add. */
  status(): JsonObject;
  /** For `/readyz`: what to add. */
  readiness(): JsonObject;
  factory(factory: MultiSessionFactory<EdgeSession>): MultiSessionFactory<EdgeSession>;
  backend(backend: SessionBackend): SessionBackend;
  edge(sessions: EdgeSessions): EdgeSessions;
  readonly sessionListeners: SessionListeners;
  /** Something was refused to whoever asked for it. Of a flood only some are recorded. */
  denied(denial: Denial): void;
  /** Credentials for a backend were asked for at their source. */
  credentialsRefreshed(refresh: CredentialsRefresh): void;
  /** A backend offers something that is not as it was locked. */
  definitionMismatch(mismatch: Mismatch): void;
  /** Records what the reload came to, and passes it on. */
  reload<T extends Reloaded>(reload: () => Promise<T>): Promise<T>;
  /** A configuration was refused before it came to a reload. */
  reloadRefused(code: VmcpErrorCode): void;
}

/** Opens nothing before `start` or the first record. */
export function createAudit(config: AuditConfig, logger: Logger): GatewayAudit {
  return config.enabled ? new EnabledAudit(config, logger) : NO_AUDIT;
}

const NO_AUDIT: GatewayAudit = {
  start() {},
  isRefusing: false,
  status: () => ({}),
  readiness: () => ({}),
  factory: (factory) => factory,
  backend: (backend) => backend,
  edge: (sessions) => sessions,
  sessionListeners: {},
  denied() {},
  credentialsRefreshed() {},
  definitionMismatch() {},
  reload: async (reload) => reload(),
  reloadRefused() {},
  [Symbol.dispose]() {},
};

class EnabledAudit implements GatewayAudit {
  readonly sessionListeners: SessionListeners;
  readonly #trail: AuditTrail;
  readonly #stream: StandardStream | undefined;
  readonly #denied: DeniedRequests;

  constructor(config: AuditConfig, logger: Logger) {
    this.#stream = config.logFile === undefined ? new StandardStream(1) : undefined;
    const log = new AuditLog({
      file: this.#stream ?? new AppendedFile(config.logFile ?? ""),
      logger,
      resumed: AuditTrail.resumed(config.component),
    });
    this.#trail = new AuditTrail(config, log);
    this.#denied = new DeniedRequests(this.#trail, () => performance.now());
    this.sessionListeners = sessionListeners(this.#trail);
  }

  get isRefusing(): boolean {
    return this.#trail.isRefusing;
  }

  start(stream: "stdout" | "stderr"): void {
    this.#stream?.sendTo(stream === "stdout" ? 1 : 2);
    this.#trail.started();
  }

  status(): JsonObject {
    return { audit: this.#trail.status() };
  }

  readiness(): JsonObject {
    return { audit: this.#trail.status()["state"] ?? "" };
  }

  factory(factory: MultiSessionFactory<EdgeSession>): MultiSessionFactory<EdgeSession> {
    return auditedFactory(factory, this.#trail);
  }

  backend(backend: SessionBackend): SessionBackend {
    return auditedBackend(backend, this.#trail);
  }

  edge(sessions: EdgeSessions): EdgeSessions {
    const audited = auditedEdge(sessions, this.#trail);
    return { ...audited, onForeign: (asked) => this.#denied.noteMismatch(asked) };
  }

  denied(denial: Denial): void {
    this.#denied.note(denial);
  }

  credentialsRefreshed(refresh: CredentialsRefresh): void {
    recordRefresh(refresh, this.#trail);
  }

  definitionMismatch(mismatch: Mismatch): void {
    recordMismatch(mismatch, this.#trail);
  }

  async reload<T extends Reloaded>(reload: () => Promise<T>): Promise<T> {
    return recordReload(reload, this.#trail);
  }

  reloadRefused(code: VmcpErrorCode): void {
    recordRefusedReload(code, this.#trail);
  }

  [Symbol.dispose](): void {
    this.#trail.stopped();
  }
}
