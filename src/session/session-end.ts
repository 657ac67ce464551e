/** What ended a live session: its client, its lifetimes, one that needed its place, or the gateway's own end. */
export type SessionEnd = "client" | "idle" | "absolute" | "evicted" | "shutdown";
