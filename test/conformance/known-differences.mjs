/**
 * What the suite sees differently through the gateway although nothing fails. An entry that no longer holds is
 * reported like one that is missing, so this list can only shrink with the reason for it.
 */
export const KNOWN_DIFFERENCES = [
  {
    scenario: "server-sse-multiple-streams",
    check: "server-sse-streams-functional",
    direct: "SUCCESS",
    gateway: "INFO",
    reason: "the gateway answers lists itself, as JSON; the fixture answers everything as a stream",
  },
  {
    scenario: "server-sse-polling",
    check: "server-sse-priming-event",
    direct: "SUCCESS",
    gateway: "INFO",
    reason:
      "the gateway takes up the closed stream itself and answers as JSON, which has no events to name",
  },
  {
    scenario: "server-sse-polling",
    check: "server-sse-retry-field",
    direct: "SUCCESS",
    gateway: "INFO",
    reason: "as above: the client has no stream to come back to",
  },
  {
    scenario: "server-sse-polling",
    check: "server-sse-disconnect-resume",
    direct: "SUCCESS",
    gateway: "INFO",
    reason:
      "the gateway resumes the backend's stream itself and gives the client the answer as JSON",
  },
];

/** The client scenarios that fail through the gateway, and why: none. One that passes is reported. */
export const KNOWN_CLIENT_GAPS = new Map();

/** One sentence for each difference that is not known, and for each known one that is no more. */
export function unexplained(differences) {
  const found = differences.filter((one) => !KNOWN_DIFFERENCES.some((known) => isSame(known, one)));
  const stale = KNOWN_DIFFERENCES.filter((known) => !differences.some((one) => isSame(known, one)));
  return [
    ...found.map(
      ({ scenario, check, direct, gateway }) =>
        `${scenario}: ${check} is ${direct} directly and ${gateway} through the gateway`,
    ),
    ...stale.map(({ scenario, check }) => `${scenario}: ${check} no longer differs as listed`),
  ];
}

function isSame(left, right) {
  return ["scenario", "check", "direct", "gateway"].every((field) => left[field] === right[field]);
}
