import { deviation, elsewhere, must, page, should, type Requirement } from "./requirement.ts";

const OAUTH = "authorization (OAuth) is a part of its own: auth/incoming and auth/outgoing";

/** Messages, life of a session, security. */
export const BASE: readonly Requirement[] = [
  ...page(
    "2025-11-25 basic",
    must("base-1", "#messages", "both", "Every message is a JSON-RPC 2.0 message."),
    must("base-2", "#requests", "both", "The id of a request is a string or an integer."),
    must("base-3", "#requests", "both", "The id of a request is never null."),
    must("base-4", "#requests", "both", "A sender uses an id for one request of a session only."),
    must("base-5", "#responses", "both", "A result carries the id of the request it answers."),
    must("base-6", "#responses", "both", "The answer of a request that succeeded has a result."),
    must(
      "base-7",
      "#responses",
      "both",
      "An error carries the id of its request, unless that id could not be read.",
    ),
    must("base-8", "#responses", "both", "An error has an integer code and a message."),
    must("base-9", "#notifications", "both", "A notification is never answered."),
    must("base-10", "#notifications", "both", "A notification has no id."),
    must("base-11", "", "both", "The base protocol and the lifecycle are supported."),
    must(
      "base-12",
      "#_meta",
      "both",
      "Nothing is assumed about the values of reserved keys in _meta: they pass as they are.",
    ),
    must("base-13", "#_meta", "client", "A key that is added to _meta has a valid name."),
    deviation(
      "arguments of a tool whose schema is in a dialect that is not known go to the backend unchecked, and the log says so: it knows its own schema",
      must(
        "base-14",
        "#json-schema-usage",
        "both",
        "Whoever validates by a schema knows JSON Schema 2020-12 and refuses dialects it does not know.",
      ),
    ),
    should(
      "base-15",
      "#json-schema-usage",
      "both",
      "The dialects that are supported are documented.",
    ),
    elsewhere(
      OAUTH,
      should(
        "base-16",
        "#auth",
        "both",
        "Over HTTP the authorization framework of MCP is followed.",
      ),
    ),
    should(
      "base-17",
      "#auth",
      "backend",
      "A backend over stdio gets its credentials from its environment.",
    ),
  ),
  ...page(
    "2025-03-26 basic",
    must("base-18", "#batching", "client", "A batch of messages is received."),
    must("base-19", "#batching", "backend", "A batch of messages of a backend is received."),
  ),
  ...page(
    "2025-11-25 basic/lifecycle",
    must(
      "lifecycle-1",
      "#initialization",
      "both",
      "Initialization is the first thing that happens between client and server.",
    ),
    must(
      "lifecycle-2",
      "#initialization",
      "backend",
      "initialize names a revision, the capabilities of the client and who it is.",
    ),
    must(
      "lifecycle-3",
      "#initialization",
      "client",
      "The answer to initialize names the capabilities of the server and who it is.",
    ),
    must(
      "lifecycle-4",
      "#initialization",
      "backend",
      "notifications/initialized follows the answer to initialize.",
    ),
    should(
      "lifecycle-5",
      "#initialization",
      "backend",
      "No request but a ping is sent before initialize has been answered.",
    ),
    should(
      "lifecycle-6",
      "#initialization",
      "client",
      "No request but a ping is sent to a client that has not said that it is initialized.",
    ),
    must(
      "lifecycle-7",
      "#version-negotiation",
      "backend",
      "initialize offers a revision that the sender supports.",
    ),
    should("lifecycle-8", "#version-negotiation", "backend", "It is the newest one it supports."),
    must(
      "lifecycle-9",
      "#version-negotiation",
      "client",
      "A revision that is supported is answered by the same one.",
    ),
    must(
      "lifecycle-10",
      "#version-negotiation",
      "client",
      "A revision that is not supported is answered by one that is.",
    ),
    should("lifecycle-11", "#version-negotiation", "client", "That is the newest one."),
    should(
      "lifecycle-12",
      "#version-negotiation",
      "backend",
      "A server that insists on a revision which the client does not speak is left.",
    ),
    must("lifecycle-13", "#operation", "both", "The revision that was agreed on is kept to."),
    must("lifecycle-14", "#operation", "both", "Only capabilities that were agreed on are used."),
    should(
      "lifecycle-15",
      "#stdio",
      "backend",
      "A child is ended by closing its input, then by SIGTERM, then by SIGKILL.",
    ),
    should("lifecycle-16", "#timeouts", "both", "Every request has a timeout."),
    should(
      "lifecycle-17",
      "#timeouts",
      "both",
      "A request that timed out is cancelled by a notification and no longer waited for.",
    ),
    should("lifecycle-18", "#timeouts", "backend", "Timeouts can be set for single requests."),
    should(
      "lifecycle-19",
      "#timeouts",
      "backend",
      "A longest time holds however much progress is reported.",
    ),
    should(
      "lifecycle-20",
      "#error-handling",
      "both",
      "Revisions that do not match, missing capabilities and timeouts are dealt with.",
    ),
  ),
  ...page(
    "2025-03-26 basic/lifecycle",
    must("lifecycle-21", "#initialization", "backend", "initialize is never part of a batch."),
  ),
  ...page(
    "2025-11-25 basic/security_best_practices",
    must(
      "security-1",
      "#token-passthrough",
      "both",
      "What a client presents as its credentials is never passed on to a backend.",
    ),
    must("security-2", "#session-hijacking", "client", "Session ids cannot be guessed."),
    elsewhere(
      OAUTH,
      must(
        "security-3",
        "#session-hijacking",
        "client",
        "A session id is not taken for a proof of identity.",
      ),
    ),
    elsewhere(
      OAUTH,
      should("security-4", "#session-hijacking", "client", "A session is bound to who opened it."),
    ),
  ),
];
