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
    reason: "the gateway answers lists as JSON, where the suite finds no stream to judge",
  },
  ...["server-sse-priming-event", "server-sse-retry-field", "server-sse-disconnect-resume"].map(
    (check) => ({
      scenario: "server-sse-polling",
      check,
      direct: "SUCCESS",
      gateway: "INFO",
      reason:
        "the gateway itself comes back to the stream that the backend closes and keeps its client's connection open, so that the lone answer is JSON",
    }),
  ),
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
