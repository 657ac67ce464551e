import { must, page, should, type Requirement } from "./requirement.ts";

/** What backends ask of clients: sampling, elicitation, roots. */
export const CLIENT_FEATURES: readonly Requirement[] = [
  ...page(
    "2025-11-25 client/sampling",
    must(
      "sampling-1",
      "#capabilities",
      "backend",
      "sampling is declared to a backend exactly where the client declared it.",
    ),
    must(
      "sampling-2",
      "#tools-in-sampling",
      "both",
      "A request with tools reaches only clients that declared sampling.tools.",
    ),
    should(
      "sampling-3",
      "#capabilities",
      "client",
      "A request to include context reaches only clients that declared sampling.context.",
    ),
    should(
      "sampling-4",
      "#error-handling",
      "backend",
      "The error of a client reaches the backend as it is.",
    ),
    must(
      "sampling-5",
      "#security-considerations",
      "both",
      "What is asked and answered is nowhere to be found in the log.",
    ),
  ),
  ...page(
    "2025-11-25 client/elicitation",
    must(
      "elicitation-1",
      "#capabilities",
      "backend",
      "elicitation is declared to a backend exactly where the client declared it.",
    ),
    must(
      "elicitation-2",
      "#capabilities",
      "client",
      "A mode reaches only clients that declared it; none declared means form.",
    ),
    must(
      "elicitation-3",
      "#error-handling",
      "backend",
      "A mode that the client did not declare is refused with -32602.",
    ),
    must(
      "elicitation-4",
      "#completion-notifications-for-url-mode-elicitation",
      "client",
      "That an interaction is complete is told to the client that was asked, and to no other.",
    ),
    must(
      "elicitation-5",
      "#completion-notifications-for-url-mode-elicitation",
      "client",
      "The notification carries the elicitationId of the request.",
    ),
    must(
      "elicitation-6",
      "#url-elicitation-required-error",
      "client",
      "The error -32042 arrives with its list of elicitations.",
    ),
    must(
      "elicitation-7",
      "#security-considerations",
      "client",
      "A request is tied to the client that it was sent to: nobody else can answer it.",
    ),
    must("elicitation-8", "#safe-url-handling", "backend", "The URL is never fetched."),
    must(
      "elicitation-9",
      "#statefulness",
      "client",
      "State is bound to a verified user, not to a session id.",
    ),
  ),
  ...page(
    "2025-11-25 client/roots",
    must(
      "roots-1",
      "#capabilities",
      "backend",
      "roots is declared to a backend exactly where the client declared it.",
    ),
    must(
      "roots-2",
      "#root-list-changes",
      "backend",
      "A change of the roots is told to every backend.",
    ),
    should(
      "roots-3",
      "#error-handling",
      "backend",
      "Without the capability roots/list is refused with -32601.",
    ),
    should(
      "roots-4",
      "#implementation-guidelines",
      "client",
      "Only clients with the capability are asked.",
    ),
  ),
];
