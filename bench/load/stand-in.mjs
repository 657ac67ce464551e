// What the stand-in backend answers, whatever it is asked over.

/** Tools whose answer is an event stream where the transport has one. */
const STREAMED = new Set(["stream", "steps"]);

const TEXT = { text: { type: "string" } };
const TOOLS = [
  ["echo", "Returns its text.", TEXT],
  ["big", "Returns a text of the given size.", { bytes: { type: "integer" } }],
  ["swallow", "Returns the length of its text.", TEXT],
  ["stream", "Returns its text in an event stream.", TEXT],
  [
    "steps",
    "Reports progress so many times, then returns the number.",
    { count: { type: "integer" } },
  ],
].map(([name, description, properties]) => ({
  name,
  description,
  inputSchema: { type: "object", properties },
}));

const RUN = new Map([
  ["echo", ({ text }) => text],
  ["big", ({ bytes }) => "x".repeat(bytes)],
  ["swallow", ({ text }) => String(text.length)],
  ["stream", ({ text }) => text],
  ["steps", ({ count }) => String(count)],
]);

const SYLLABLES = "the of to ing er a list re con for tion name with is all per".split(" ");
const RANGE = 2 ** 31 - 1;

/** A backend with `extraTools` tools more than those that are called: `{initialize, answer, progress, isStreamed}`. */
export function createStandIn(extraTools = 0) {
  const padding = Array.from({ length: extraTools }, (_value, index) => paddingTool(index + 1));
  // Made once: a list that is stringified for each request would cost more than all else here.
  const listed = JSON.stringify({ tools: [...TOOLS, ...padding] });
  return { initialize, answer: (message) => answer(message, listed), progress, isStreamed };
}

function initialize({ id, params }) {
  return jsonOf(id, {
    result: {
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: "stand-in", version: "1.0.0" },
    },
  });
}

/** The text of the answer to any request but `initialize`. */
function answer({ id, method, params }, listed) {
  if (method === "ping") return jsonOf(id, { result: {} });
  if (method === "tools/list")
    return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${listed}}`;
  if (method !== "tools/call") return failure(id, -32_601, "Method not found");
  const run = RUN.get(params.name);
  if (run === undefined) return failure(id, -32_602, `Unknown tool: ${params.name}`);
  return jsonOf(id, { result: { content: [{ type: "text", text: run(params.arguments) }] } });
}

/** The texts of the notifications that come before the answer; none without a token to send them with. */
function progress({ method, params }) {
  // The protocol's own name.
  // oxlint-disable-next-line no-underscore-dangle
  const progressToken = params?._meta?.progressToken;
  if (method !== "tools/call" || params.name !== "steps" || progressToken === undefined) return [];
  const total = params.arguments.count;
  return Array.from({ length: total }, (_value, index) =>
    JSON.stringify({
      jsonrpc: "2.0",
      method: "notifications/progress",
      params: { progressToken, progress: index + 1, total, message: `step ${index + 1}` },
    }),
  );
}

function isStreamed({ method, params }) {
  return method === "tools/call" && STREAMED.has(params.name);
}

/** About 480 bytes as JSON, as tools of real servers are, and a sixth of that as gzip, as theirs. */
function paddingTool(number) {
  const say = speaker(number);
  return {
    name: `tool_${String(number).padStart(3, "0")}`,
    description: say(118),
    inputSchema: {
      type: "object",
      properties: {
        first: { type: "string", description: say(75) },
        second: { type: "string", description: say(75) },
        third: { type: "integer" },
      },
      required: ["first"],
    },
  };
}

/** Says so many letters of gibberish, the same at each start: what repeats itself would compress to next to nothing. */
function speaker(seed) {
  let state = seed;
  const syllable = () => {
    // The least generator that will do, by Park and Miller.
    state = (state * 48_271) % RANGE;
    return SYLLABLES[state % SYLLABLES.length];
  };
  const word = () => `${syllable()}${syllable()}`;
  return (letters) => {
    let text = "";
    while (text.length < letters) text += `${word()} `;
    return text.slice(0, letters).trim();
  };
}

function failure(id, code, message) {
  return jsonOf(id, { error: { code, message } });
}

function jsonOf(id, outcome) {
  return JSON.stringify({ jsonrpc: "2.0", id, ...outcome });
}
