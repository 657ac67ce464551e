import { ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import { PNG } from "./fixture-media.mjs";
import { ROUND_PROMPT } from "./fixture-rounds.mjs";

const user = (content) => ({ role: "user", content });
const text = (words) => user({ type: "text", text: words });

/** Each prompt as it is listed, beside what it says. */
const DEFINITIONS = [
  {
    prompt: { name: "test_simple_prompt", description: "Takes nothing and says one sentence" },
    messages: () => [text("This is a simple prompt for testing.")],
  },
  {
    prompt: {
      name: "test_prompt_with_arguments",
      description: "Repeats its two arguments",
      arguments: [
        { name: "arg1", description: "The first argument", required: true },
        { name: "arg2", description: "The second argument", required: true },
      ],
    },
    messages: ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  },
  {
    prompt: {
      name: "test_prompt_with_embedded_resource",
      description: "Holds a resource of the URI that it is given",
      arguments: [{ name: "resourceUri", description: "The resource's URI", required: true }],
    },
    messages: ({ resourceUri: uri }) => [
      user({
        type: "resource",
        resource: {
          uri,
          mimeType: "text/plain",
          text: "Embedded resource content for testing.",
        },
      }),
      text("Please process the embedded resource above."),
    ],
  },
  {
    prompt: { name: "test_prompt_with_image", description: "Holds an image" },
    messages: () => [
      user({ type: "image", data: PNG, mimeType: "image/png" }),
      text("Please analyze the image above."),
    ],
  },
];

const MESSAGES = new Map(DEFINITIONS.map(({ prompt, messages }) => [prompt.name, messages]));

/** Words that complete an argument of any prompt. */
const WORDS = ["test", "testing", "tested", "paris", "park", "party"];

export const PROMPTS = [...DEFINITIONS.map(({ prompt }) => prompt), ROUND_PROMPT];

export function getPrompt({ name, arguments: args = {} }) {
  const messages = MESSAGES.get(name);
  if (messages === undefined) {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no prompt ${name}`);
  }
  return { messages: messages(args) };
}

export function completeArgument({ argument }) {
  const values = WORDS.filter((word) => word.startsWith(argument.value));
  return { completion: { values, total: values.length, hasMore: false } };
}
