import { elsewhere, must, page, should, type Requirement } from "./requirement.ts";

/** Cancellation, ping, progress, logging, completion, pagination. */
export const UTILITIES: readonly Requirement[] = [
  ...page(
    "2025-06-18 basic/utilities/cancellation",
    must(
      "cancel-1",
      "#behavior-requirements",
      "both",
      "A cancellation names a request that went the same way and is still under way.",
    ),
    must("cancel-2", "#behavior-requirements", "backend", "initialize is never cancelled."),
    should(
      "cancel-3",
      "#behavior-requirements",
      "client",
      "A cancelled request is given up, and gets no response.",
    ),
    should(
      "cancel-4",
      "#behavior-requirements",
      "backend",
      "A response that comes after the cancellation is ignored.",
    ),
    must(
      "cancel-5",
      "#timing-considerations",
      "both",
      "A cancellation that comes too late does no harm.",
    ),
    should("cancel-6", "#implementation-notes", "both", "Reasons are logged."),
    should(
      "cancel-7",
      "#error-handling",
      "both",
      "Cancellations of unknown or answered requests, and malformed ones, are ignored.",
    ),
  ),
  ...page(
    "2025-03-26 basic/utilities/ping",
    must(
      "ping-1",
      "#behavior-requirements",
      "both",
      "A ping is answered at once by an empty result.",
    ),
    should(
      "ping-2",
      "#implementation-considerations",
      "backend",
      "It is checked again and again whether the other side is alive, as often as configured.",
    ),
    should(
      "ping-3",
      "#implementation-considerations",
      "backend",
      "Idle connections are pinged where that is configured.",
    ),
    should(
      "ping-4",
      "#error-handling",
      "backend",
      "A backend that does not answer in time counts as failed, and that is logged.",
    ),
  ),
  ...page(
    "2025-11-25 basic/utilities/progress",
    must("progress-1", "#progress-flow", "both", "A progress token is a string or an integer."),
    must(
      "progress-2",
      "#progress-flow",
      "backend",
      "A token is unique among the requests under way to one backend session.",
    ),
    must(
      "progress-3",
      "#progress-flow",
      "client",
      "Progress arrives in the order in which it was made.",
    ),
    must(
      "progress-4",
      "#behavior-requirements",
      "client",
      "Progress names a token that a request under way has given.",
    ),
    must("progress-5", "#implementation-notes", "client", "No progress comes after the response."),
    should("progress-6", "#implementation-notes", "both", "It is known which tokens are in use."),
    should("progress-7", "#implementation-notes", "client", "A flood of progress is held back."),
    must(
      "progress-8",
      "#behavior-requirements",
      "both",
      "The token of a request that became a task stays good until the task has ended.",
    ),
  ),
  ...page(
    "2025-11-25 server/utilities/logging",
    must("logging-1", "#capabilities", "client", "Who sends log messages declares logging."),
    should(
      "logging-2",
      "#log-message-notifications",
      "client",
      "What is logged during a request goes on that request's stream.",
    ),
    must(
      "logging-3",
      "#log-message-notifications",
      "client",
      "A log message goes on one stream only.",
    ),
    should("logging-4", "#error-handling", "client", "An unknown level is refused with -32602."),
    should(
      "logging-5",
      "#implementation-considerations",
      "client",
      "A flood of messages is held back.",
    ),
    must(
      "logging-6",
      "#security",
      "client",
      "Nothing that the gateway itself logs reaches a client: secrets and details of the inside stay there.",
    ),
  ),
  ...page(
    "2025-11-25 server/utilities/completion",
    must("completion-1", "#capabilities", "client", "Who completes declares completions."),
    should(
      "completion-2",
      "#error-handling",
      "client",
      "An unknown prompt or template is refused with -32602; a backend's own error passes.",
    ),
    must(
      "completion-3",
      "#security",
      "client",
      "What is asked for is checked before it is passed on.",
    ),
    elsewhere(
      "limits on the rate of requests are a part of their own (limits/)",
      must("completion-4", "#security", "client", "Completions are limited in their rate."),
    ),
    must(
      "completion-5",
      "#security",
      "client",
      "What is hidden from the lists cannot be found out by completing it.",
    ),
  ),
  ...page(
    "2025-11-25 server/utilities/pagination",
    must("pagination-1", "#pagination-model", "backend", "No size of a page is assumed."),
    should("pagination-2", "#implementation-guidelines", "client", "Cursors are stable."),
    should(
      "pagination-3",
      "#error-handling",
      "client",
      "An unknown cursor is refused with -32602.",
    ),
    should(
      "pagination-4",
      "#implementation-guidelines",
      "backend",
      "A page without a next cursor is the last, and a list may have one page or many.",
    ),
    must(
      "pagination-5",
      "#implementation-guidelines",
      "backend",
      "A cursor is sent back as it came, whatever it looks like, in the same session.",
    ),
  ),
];
