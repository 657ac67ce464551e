import { EventEmitter, once } from "node:events";
import type { JsonObject } from "../../src/domain/json.ts";
import { emptyLedger, type Ledger } from "./ledger.ts";
import { DEFAULT_SCRIPT, type LedgerScript } from "./ledger-script.ts";
import { notification, type ScriptedSession, type SessionHost } from "./scripted-session.ts";

/** How a backend speaks to one of its sessions without having been asked. False: there is no way now. */
export type Unasked = (text: string) => boolean;

/**
 * What all ledger backends have, whatever carries their messages: a script that can be changed, a ledger, and
 * the sessions that are open now.
 */
export class ScriptedBackend implements SessionHost {
  readonly ledger: Ledger = emptyLedger();
  readonly #changes = new EventEmitter();
  readonly #open = new Map<ScriptedSession, Unasked>();
  #script: LedgerScript;

  constructor(script: Partial<LedgerScript>) {
    this.#script = { ...DEFAULT_SCRIPT, ...script };
    this.#changes.setMaxListeners(0);
  }

  get script(): LedgerScript {
    return this.#script;
  }

  get sessions(): readonly ScriptedSession[] {
    return [...this.#open.keys()].filter(({ isProbe }) => !isProbe);
  }

  /** Changes what is named, for all sessions from now on. Tells no client: see `notify`. */
  change(script: Partial<LedgerScript>): void {
    this.#script = { ...this.#script, ...script };
    this.#changes.emit("change");
  }

  async until(condition: (script: LedgerScript) => boolean): Promise<void> {
    while (!condition(this.#script)) {
      // Each turn waits for the next change of the script.
      // oxlint-disable-next-line no-await-in-loop
      await once(this.#changes, "change");
    }
  }

  opened(session: ScriptedSession, unasked: Unasked): void {
    this.#open.set(session, unasked);
  }

  closed(session: ScriptedSession): void {
    this.#open.delete(session);
    session.abandon();
  }

  /**
   * Sends a notification to every open session that can hear one outside a call; returns how many clients'
   * sessions did.
   */
  notify(method: string, params?: JsonObject): number {
    const text = notification(method, params);
    const of = (isProbe: boolean): readonly Unasked[] =>
      [...this.#open].flatMap(([session, unasked]) =>
        session.isProbe === isProbe ? [unasked] : [],
      );
    this.#tell(of(true), text);
    return this.#tell(of(false), text);
  }

  /** Sends `notifications/resources/updated` to the sessions that subscribed; returns how many heard it. */
  resourceUpdated(uri: string): number {
    const subscribers = [...this.#open].filter(([session]) => session.subscriptions.has(uri));
    const text = notification("notifications/resources/updated", { uri });
    return this.#tell(
      subscribers.map(([, unasked]) => unasked),
      text,
    );
  }

  /** Sends a request to the client outside any call and waits for its answer's JSON text. */
  async request(session: ScriptedSession, method: string, params: JsonObject): Promise<string> {
    return session.ask(method, params, (text) => {
      const isSent = this.#open.get(session)?.(text) ?? false;
      if (!isSent) throw new Error("the session has no stream on which to ask");
    });
  }

  #tell(listeners: readonly Unasked[], text: string): number {
    return listeners.filter((unasked) => unasked(text)).length;
  }
}

/** What a test sees and does with a ledger backend, whatever carries its messages. */
export interface LedgerBackend extends AsyncDisposable {
  readonly ledger: Ledger;
  /** Those of clients: the session that the gateway keeps to see how the backend is does not count. */
  readonly sessions: readonly ScriptedSession[];
  readonly openSessions: number;
  readonly initializeCount: number;
  /** See `ScriptedBackend.change`. */
  change(script: Partial<LedgerScript>): void;
  /** See `ScriptedBackend.notify`. */
  notify(method: string, params?: JsonObject): number;
  /** See `ScriptedBackend.resourceUpdated`. */
  resourceUpdated(uri: string): number;
  /** See `ScriptedBackend.request`. */
  request(session: ScriptedSession, method: string, params: JsonObject): Promise<string>;
  /** Ends everything: sockets, streams, children. Safe to repeat. */
  close(): Promise<void>;
}
