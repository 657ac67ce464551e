import { setTimeout as delay } from "node:timers/promises";
import { ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import { PNG, WAV } from "./fixture-media.mjs";
import { ROUND_TOOLS } from "./fixture-rounds.mjs";

/** Between the messages of tools that send several, so that each is delivered by itself. */
const STEP_MS = 50;

const text = (words) => ({ type: "text", text: words });
const answer = (...content) => ({ content });

const NO_ARGUMENTS = { type: "object", properties: {} };

/** Asks the user for fields; the answer is shown as it came. */
function elicitation(name, description, message, properties) {
  return {
    tool: { name, description, inputSchema: NO_ARGUMENTS },
    async run(_args, { mcpReq }) {
      const requestedSchema = { type: "object", properties, required: [] };
      const params = { mode: "form", message, requestedSchema };
      const { action, content } = await mcpReq.send({ method: "elicitation/create", params });
      return answer(
        text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`),
      );
    },
  };
}

const SIMPLE = [
  {
    tool: { name: "test_simple_text", description: "Answers with text", inputSchema: NO_ARGUMENTS },
    run: () => answer(text("This is a simple text response for testing.")),
  },
  {
    tool: {
      name: "test_image_content",
      description: "Answers with a PNG",
      inputSchema: NO_ARGUMENTS,
    },
    run: () => answer({ type: "image", data: PNG, mimeType: "image/png" }),
  },
  {
    tool: {
      name: "test_audio_content",
      description: "Answers with a WAV",
      inputSchema: NO_ARGUMENTS,
    },
    run: () => answer({ type: "audio", data: WAV, mimeType: "audio/wav" }),
  },
  {
    tool: {
      name: "test_embedded_resource",
      description: "Answers with a resource",
      inputSchema: NO_ARGUMENTS,
    },
    run: () =>
      answer({
        type: "resource",
        resource: {
          uri: "test://embedded-resource",
          mimeType: "text/plain",
          text: "This is an embedded resource content.",
        },
      }),
  },
  {
    tool: {
      name: "test_multiple_content_types",
      description: "Answers with text, a PNG and a resource",
      inputSchema: NO_ARGUMENTS,
    },
    run: () =>
      answer(
        text("Multiple content types test:"),
        { type: "image", data: PNG, mimeType: "image/png" },
        {
          type: "resource",
          resource: {
            uri: "test://mixed-content-resource",
            mimeType: "application/json",
            text: JSON.stringify({ test: "data", value: 123 }),
          },
        },
      ),
  },
  {
    tool: { name: "test_error_handling", description: "Always fails", inputSchema: NO_ARGUMENTS },
    run: () => ({
      isError: true,
      content: [text("This tool intentionally returns an error for testing")],
    }),
  },
];

const SPEAKING = [
  {
    tool: {
      name: "test_tool_with_logging",
      description: "Logs three messages on the way",
      inputSchema: NO_ARGUMENTS,
    },
    async run(_args, { mcpReq }) {
      await mcpReq.log("info", "Tool execution started");
      await delay(STEP_MS);
      await mcpReq.log("info", "Tool processing data");
      await delay(STEP_MS);
      await mcpReq.log("info", "Tool execution completed");
      return answer(text("Logged three messages"));
    },
  },
  {
    tool: {
      name: "test_tool_with_progress",
      description: "Reports progress three times where the caller wants it",
      inputSchema: NO_ARGUMENTS,
    },
    async run(_args, { mcpReq }) {
      const report = reporter(mcpReq);
      await report(0);
      await delay(STEP_MS);
      await report(50);
      await delay(STEP_MS);
      await report(100);
      return answer(text("Reported progress"));
    },
  },
  {
    tool: {
      name: "test_reconnection",
      description: "Closes the stream of its call and answers on the one that resumes it",
      inputSchema: NO_ARGUMENTS,
    },
    async run(_args, { http }) {
      await delay(STEP_MS);
      http?.closeSSE?.();
      await delay(STEP_MS);
      return answer(text("Answered after the stream was closed"));
    },
  },
];

const ASKING = [
  {
    tool: {
      name: "test_sampling",
      description: "Asks the client's model",
      inputSchema: {
        type: "object",
        properties: { prompt: { type: "string", description: "What to ask" } },
        required: ["prompt"],
      },
    },
    async run({ prompt }, { mcpReq }) {
      const messages = [{ role: "user", content: text(prompt) }];
      const { content } = await mcpReq.send({
        method: "sampling/createMessage",
        params: { messages, maxTokens: 100 },
      });
      return answer(text(`LLM response: ${content.text}`));
    },
  },
  {
    tool: {
      name: "test_elicitation",
      description: "Asks the user for a name and an address",
      inputSchema: {
        type: "object",
        properties: { message: { type: "string", description: "What to show the user" } },
        required: ["message"],
      },
    },
    async run({ message }, { mcpReq }) {
      const requestedSchema = {
        type: "object",
        properties: {
          username: { type: "string", description: "User's response" },
          email: { type: "string", description: "User's email address" },
        },
        required: ["username", "email"],
      };
      const { action, content } = await mcpReq.send({
        method: "elicitation/create",
        params: { mode: "form", message, requestedSchema },
      });
      return answer(text(`User response: action=${action}, content=${JSON.stringify(content)}`));
    },
  },
  elicitation(
    "test_elicitation_sep1034_defaults",
    "Asks for one field of each primitive type, all with defaults",
    "Please check the defaults",
    {
      name: { type: "string", description: "User name", default: "John Doe" },
      age: { type: "integer", description: "User age", default: 30 },
      score: { type: "number", description: "User score", default: 95.5 },
      status: {
        type: "string",
        description: "User status",
        enum: ["active", "inactive", "pending"],
        default: "active",
      },
      verified: { type: "boolean", description: "Verification status", default: true },
    },
  ),
  elicitation(
    "test_elicitation_sep1330_enums",
    "Asks for one choice of each form that enums may have",
    "Please choose",
    {
      untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
      titledSingle: { type: "string", oneOf: choices("Option") },
      legacyEnum: {
        type: "string",
        enum: ["opt1", "opt2", "opt3"],
        enumNames: ["Option One", "Option Two", "Option Three"],
      },
      untitledMulti: {
        type: "array",
        items: { type: "string", enum: ["option1", "option2", "option3"] },
      },
      titledMulti: { type: "array", items: { anyOf: choices("Choice") } },
    },
  ),
];

const RICH_SCHEMA = {
  tool: {
    name: "json_schema_2020_12_tool",
    description: "Tool with JSON Schema 2020-12 features",
    inputSchema: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          $anchor: "addressDef",
          type: "object",
          properties: { street: { type: "string" }, city: { type: "string" } },
        },
      },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
        contactMethod: { type: "string", enum: ["phone", "email"] },
        phone: { type: "string" },
        email: { type: "string" },
      },
      allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
      if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: { required: ["phone"] },
      else: { required: ["email"] },
      additionalProperties: false,
    },
  },
  run: () => answer(text("ok")),
};

const LOGGING = {
  tool: {
    name: "test_logging_tool",
    description: "Logs one message where that is wanted",
    inputSchema: NO_ARGUMENTS,
  },
  async run(_args, { mcpReq }) {
    await mcpReq.log("info", "A word about this call");
    return answer(text("Logged"));
  },
};

const MIRRORING = {
  tool: {
    name: "test_x_mcp_header",
    description: "Has an argument that goes along in a header",
    inputSchema: {
      type: "object",
      properties: { region: { type: "string", "x-mcp-header": "Region" } },
      required: ["region"],
    },
  },
  run: ({ region }) => answer(text(`Region: ${region}`)),
};

/** Tools that change a list, by which one. */
export const TRIGGERS = new Map([
  ["test_trigger_tool_change", "tools"],
  ["test_trigger_prompt_change", "prompts"],
]);

/** What is in a list after it changed. */
export const CHANGED_TOOL = {
  name: "test_changed_tool",
  description: "Was not there before",
  inputSchema: NO_ARGUMENTS,
};
export const CHANGED_PROMPT = { name: "test_changed_prompt", description: "Was not there before" };

const DEFINITIONS = [...SIMPLE, ...SPEAKING, ...ASKING, RICH_SCHEMA, LOGGING, MIRRORING];
const BY_NAME = new Map(DEFINITIONS.map((definition) => [definition.tool.name, definition]));

export const TOOLS = [
  ...DEFINITIONS.map(({ tool }) => tool),
  ...ROUND_TOOLS,
  ...[...TRIGGERS].map(([name, list]) => ({
    name,
    description: `Changes the list of ${list}`,
    inputSchema: NO_ARGUMENTS,
  })),
];

export async function callTool({ name, arguments: args = {} }, context) {
  const definition = BY_NAME.get(name);
  if (definition === undefined) {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no tool ${name}`);
  }
  return definition.run(args, context);
}

function choices(noun) {
  const ordinals = ["First", "Second", "Third"];
  return ordinals.map((ordinal, index) => ({
    const: `value${index + 1}`,
    title: `${ordinal} ${noun}`,
  }));
}

function reporter({ _meta, notify }) {
  const progressToken = _meta?.progressToken;
  return async (progress) => {
    if (progressToken === undefined) return;
    const params = { progressToken, progress, total: 100 };
    await notify({ method: "notifications/progress", params });
  };
}
