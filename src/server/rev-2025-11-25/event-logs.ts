import type { EdgeSession } from "../../session/edge-session.ts";
import { EventLog, type EventLogLimits } from "./event-log.ts";
import type { OpenStreams } from "../open-streams.ts";

export interface EventLogsOptions {
  readonly streams: OpenStreams;
  readonly streamBufferBytes: number;
  readonly limits?: EventLogLimits | undefined;
}

/** The event log of each session, made when its first stream begins and gone with the session. */
export class EventLogs {
  readonly #options: EventLogsOptions;
  readonly #logs = new WeakMap<EdgeSession, EventLog>();

  constructor(options: EventLogsOptions) {
    this.#options = options;
  }

  of(session: EdgeSession): EventLog {
    const known = this.#logs.get(session);
    if (known !== undefined) return known;
    const { streams, streamBufferBytes, limits } = this.#options;
    const log = new EventLog({
      streams,
      streamBufferBytes,
      isPriming: session.client.revision >= "2025-11-25",
      ...(limits !== undefined && { limits }),
    });
    this.#logs.set(session, log);
    return log;
  }
}
