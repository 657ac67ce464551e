/** How often a backend that runs as a process of ours may end and be started again. */
export interface RestartPolicy {
  /** Before the second restart within the window; the first does not wait, each further one waits twice as long. */
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** Restarts within the window; after that the backend rests until the oldest of them has left it. */
  readonly budget: number;
  readonly windowMs: number;
}

/** What is configured of a session's connection to one backend. Everything is off unless given. */
export interface LinkPolicy {
  readonly restart?: RestartPolicy | undefined;
  /** Interval of pings on a connection without calls. */
  readonly keepaliveMs?: number | undefined;
  /** Closes a connection that had no call for this long; the next call connects again. */
  readonly idleMs?: number | undefined;
  /** Lets the annotations of a tool allow a second run of a call whose outcome is unknown. */
  readonly trustsAnnotations?: boolean | undefined;
}

export const NO_LINK_POLICY: LinkPolicy = {};
