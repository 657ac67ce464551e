/**
 * Requests of one backend connection that a client has before it at once: more than that nobody answers at a time, and
 * what a backend asks must not fill a client's memory. What is beyond is refused to a backend that asks by requests, and
 * waits where the gateway itself puts what an answer asked for.
 */
export const MAX_OPEN_QUESTIONS = 8;
