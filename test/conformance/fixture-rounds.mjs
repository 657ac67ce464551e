// What asks the client something before it answers: described once, and played by requests within a session or, where
// there is none, by rounds.
import { createHmac, timingSafeEqual } from "node:crypto";
import { inputRequired, ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";

const NO_ARGUMENTS = { type: "object", properties: {} };

/** Good for one process, as are the states that it signs. */
const SECRET = Math.random().toString();

const text = (words) => ({ type: "text", text: words });

function form(message, properties) {
  const required = Object.keys(properties);
  const requestedSchema = { type: "object", properties, required };
  return { method: "elicitation/create", params: { mode: "form", message, requestedSchema } };
}

function prompt(words, maxTokens) {
  const messages = [{ role: "user", content: text(words) }];
  return { method: "sampling/createMessage", params: { messages, maxTokens } };
}

const ROOTS = { method: "roots/list" };
const NAME = form("What is your name?", { name: { type: "string" } });

/** Each with the questions of each round, and what it says in the end. */
const DEFINITIONS = new Map([
  [
    "test_input_required_result_elicitation",
    {
      rounds: [{ user_name: NAME }],
      done: ({ user_name }) => `Hello, ${user_name.content?.name}!`,
    },
  ],
  [
    "test_input_required_result_sampling",
    {
      rounds: [{ capital_question: prompt("What is the capital of France?", 100) }],
      done: ({ capital_question }) => capital_question.content.text,
    },
  ],
  [
    "test_input_required_result_list_roots",
    {
      rounds: [{ client_roots: ROOTS }],
      done: ({ client_roots }) => client_roots.roots.map(({ uri }) => uri).join(" "),
    },
  ],
  [
    "test_input_required_result_request_state",
    {
      rounds: [{ confirm: form("Please confirm", { ok: { type: "boolean" } }) }],
      done: () => "state-ok",
    },
  ],
  [
    "test_input_required_result_multiple_inputs",
    {
      rounds: [
        { user_name: NAME, greeting: prompt("Generate a greeting", 50), client_roots: ROOTS },
      ],
      done: ({ greeting }) => greeting.content.text,
    },
  ],
  [
    "test_input_required_result_multi_round",
    {
      rounds: [
        { step1: form("Step 1: What is your name?", { name: { type: "string" } }) },
        { step2: form("Step 2: What is your favorite color?", { color: { type: "string" } }) },
      ],
      done: ({ step1, step2 }) => `${step1.content?.name} likes ${step2.content?.color}`,
    },
  ],
  [
    "test_input_required_result_tampered_state",
    {
      rounds: [{ confirm: form("Please confirm", { ok: { type: "boolean" } }) }],
      done: () => "untouched",
    },
  ],
  [
    "test_input_required_result_capabilities",
    {
      rounds: [{ user_name: NAME, greeting: prompt("Generate a greeting", 50) }],
      onlyDeclared: true,
      done: () => "asked what could be asked",
    },
  ],
  [
    "test_missing_capability",
    { rounds: [{ greeting: prompt("Say something", 50) }], done: () => "asked" },
  ],
  ["test_streaming_elicitation", { rounds: [{ user_name: NAME }], done: () => "asked" }],
]);

/** The prompt that asks before it says anything. */
const PROMPT = {
  rounds: [
    { user_context: form("What context should the prompt use?", { context: { type: "string" } }) },
  ],
  done: ({ user_context }) => user_context.content?.context,
};

export const ROUND_TOOLS = [...DEFINITIONS.keys()].map((name) => ({
  name,
  description: "Asks the client before it answers",
  inputSchema: NO_ARGUMENTS,
}));

export const ROUND_PROMPT = {
  name: "test_input_required_result_prompt",
  description: "Asks for the context that it is about",
};

export function isRoundTool(name) {
  return DEFINITIONS.has(name);
}

/** Calls a tool; `play` is `byRequests` or `byRounds`. */
export async function callRoundTool(name, context, play) {
  return play(DEFINITIONS.get(name), context, (words) => ({ content: [text(words)] }));
}

export async function getRoundPrompt(context, play) {
  return play(PROMPT, context, (words) => ({
    messages: [{ role: "user", content: text(`Use this context: ${words}`) }],
  }));
}

/** Within a session: each question is a request, those of a round all at once. */
export async function byRequests({ rounds, done }, { mcpReq }, toResult) {
  const answers = {};
  for (const round of rounds) {
    const asked = Object.entries(round).map(async ([key, request]) => {
      answers[key] = await mcpReq.send(request);
    });
    // The rounds follow one another.
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all(asked);
  }
  return toResult(done(answers));
}

/** Without a session: what was answered so far goes along in a state that nobody else can write. */
export async function byRounds({ rounds, done, onlyDeclared }, { mcpReq }, toResult) {
  const given = mcpReq.requestState();
  const known = given === undefined ? {} : opened(given);
  const answers = { ...known, ...mcpReq.inputResponses };
  const capabilities = mcpReq.envelope?.["io.modelcontextprotocol/clientCapabilities"] ?? {};
  for (const round of rounds) {
    const open = Object.entries(round).filter(
      ([key, { method }]) =>
        answers[key] === undefined && (!onlyDeclared || method.split("/")[0] in capabilities),
    );
    if (open.length > 0) {
      const inputRequests = Object.fromEntries(open);
      return inputRequired({ inputRequests, requestState: sealed(answers) });
    }
  }
  return toResult(done(answers));
}

/**
 * Runs what asks by requests where there is no session: from its beginning each time, with the answers that are there
 * already, up to the question that nobody has answered.
 */
export async function byReplay(run, context) {
  const { mcpReq } = context;
  const given = mcpReq.requestState();
  const known = given === undefined ? {} : opened(given);
  const answers = { ...known, ...mcpReq.inputResponses };
  let asked = 0;
  const send = async (request) => {
    asked += 1;
    const key = `question-${asked}`;
    if (answers[key] === undefined) throw new Unanswered(key, request);
    return answers[key];
  };
  try {
    // The context is the library's own object, whose other members are had from where they are.
    const asking = Object.create(mcpReq, { send: { value: send } });
    return await run(Object.create(context, { mcpReq: { value: asking } }));
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    const inputRequests = { [error.key]: error.request };
    return inputRequired({ inputRequests, requestState: sealed(answers) });
  }
}

class Unanswered extends Error {
  constructor(key, request) {
    super("a question is open");
    this.key = key;
    this.request = request;
  }
}

function sealed(answers) {
  const content = Buffer.from(JSON.stringify(answers)).toString("base64url");
  return `${content}.${signatureOf(content)}`;
}

function opened(state) {
  const [content = "", signature = ""] = state.split(".");
  const expected = Buffer.from(signatureOf(content));
  const found = Buffer.from(signature);
  if (expected.length !== found.length || !timingSafeEqual(expected, found)) {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, "The state was changed");
  }
  return JSON.parse(Buffer.from(content, "base64url").toString());
}

function signatureOf(content) {
  return createHmac("sha256", SECRET).update(content).digest("base64url");
}
