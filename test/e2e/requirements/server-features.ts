import { deviation, elsewhere, must, page, should, type Requirement } from "./requirement.ts";

const POLICY = "who may use what is a part of its own (policy/)";
const LIMITS = "limits on the rate of requests are a part of their own (limits/)";

/** What backends offer to clients: tools, resources, prompts. */
export const SERVER_FEATURES: readonly Requirement[] = [
  ...page(
    "2025-11-25 server/tools",
    must("tools-1", "#capabilities", "client", "Who has tools declares tools."),
    should(
      "tools-2",
      "#list-changed-notification",
      "client",
      "A change of the list of tools is told.",
    ),
    should("tools-3", "#tool-names", "client", "A name has 1 to 128 characters."),
    should("tools-4", "#tool-names", "client", "A name consists of A-Z, a-z, 0-9, _, - and dots."),
    should("tools-5", "#tool-names", "both", "Names are told apart by case."),
    should("tools-6", "#tool-names", "client", "A name stands once."),
    must(
      "tools-7",
      "#tool",
      "backend",
      "Annotations of a tool are not trusted: they do not make a call that may have run run again.",
    ),
    deviation(
      "what a backend lists passes as it is, a tool without a proper schema included: its calls work, and nothing is made up",
      must("tools-8", "#tool", "client", "The input schema of every tool is a JSON Schema object."),
    ),
    must("tools-9", "#security-considerations", "client", "Inputs of tools are validated."),
    elsewhere(
      POLICY,
      must("tools-10", "#security-considerations", "client", "Access is controlled."),
    ),
    elsewhere(
      LIMITS,
      must("tools-11", "#security-considerations", "client", "Calls are limited in their rate."),
    ),
    should("tools-12", "#security-considerations", "backend", "Calls of tools have timeouts."),
    elsewhere(
      "the audit log is a part of its own (telemetry/)",
      should(
        "tools-13",
        "#security-considerations",
        "backend",
        "The use of tools is logged for audit.",
      ),
    ),
  ),
  ...page(
    "2025-11-25 server/resources",
    must("resources-1", "#capabilities", "client", "Who has resources declares resources."),
    should(
      "resources-2",
      "#list-changed-notification",
      "client",
      "A change of the list of resources is told.",
    ),
    deviation(
      "an unknown resource is answered by -32602 like every other unknown name, as later revisions of MCP have it",
      should(
        "resources-3",
        "#error-handling",
        "client",
        "An unknown resource is answered by -32002.",
      ),
    ),
    must(
      "resources-4",
      "#security-considerations",
      "client",
      "Every URI is checked before it is used.",
    ),
    must(
      "resources-5",
      "#security-considerations",
      "client",
      "Binary data arrives as it was encoded.",
    ),
    elsewhere(
      POLICY,
      should(
        "resources-6",
        "#security-considerations",
        "client",
        "Access to resources is controlled.",
      ),
    ),
  ),
  ...page(
    "2025-11-25 server/prompts",
    must("prompts-1", "#capabilities", "client", "Who has prompts declares prompts."),
    should(
      "prompts-2",
      "#list-changed-notification",
      "client",
      "A change of the list of prompts is told.",
    ),
    should("prompts-3", "#error-handling", "client", "An unknown prompt is answered by -32602."),
    should(
      "prompts-4",
      "#error-handling",
      "client",
      "A prompt without its required arguments is answered by the backend's -32602.",
    ),
    should(
      "prompts-5",
      "#implementation-considerations",
      "backend",
      "A list of prompts with many pages is read to its end.",
    ),
    should(
      "prompts-6",
      "#implementation-considerations",
      "both",
      "A backend without the capability is not asked for prompts.",
    ),
    must("prompts-7", "#security", "both", "What a prompt is asked with is checked."),
  ),
];
