import { HttpWire } from "./http-wire.mjs";
import { KnownList } from "./known-list.mjs";
import { SseWire } from "./sse-wire.mjs";

const REVISION = "2025-11-25";

/** Of the one gateway that this process is for. */
const LIST = new KnownList();

/** One client session in a closed loop: it sends the next request when the last one is answered and checked. */
export class LoadSession {
  #wire;
  #work;
  #lastId = 0;
  #headers = "";
  #sessionId;
  #callTail = "";

  /** `work` is `{tool, args, expected, steps}`: what is called by its original name, the text it returns, its progress. */
  constructor(url, work, transport = "http") {
    this.#wire = transport === "sse" ? new SseWire(url) : new HttpWire(url);
    this.#work = work;
  }

  /** Begins a session, makes it known as ready and finds the tool. */
  async open() {
    await this.initialize();
    await this.ready();
    await this.#findTool();
  }

  async initialize() {
    const { message, sessionId } = await this.#request("initialize", {
      protocolVersion: REVISION,
      capabilities: {},
      clientInfo: { name: "loadgen", version: "1.0.0" },
    });
    if (message.result?.serverInfo === undefined) throw new Error("a wrong answer to initialize");
    this.#sessionId = sessionId;
    this.#headers =
      sessionId === undefined
        ? ""
        : `Mcp-Session-Id: ${sessionId}\r\nMCP-Protocol-Version: ${REVISION}\r\n`;
  }

  async ready() {
    const { status } = await this.#wire.post(
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      this.#headers,
    );
    if (status !== 202) throw new Error(`initialized got HTTP ${status}`);
  }

  async call() {
    const id = this.#nextId();
    const { steps = 0, expected } = this.#work;
    const token = steps > 0 ? `,"_meta":{"progressToken":${id}}` : "";
    const body = `{"jsonrpc":"2.0","id":${id}${this.#callTail}${token}}}`;
    const messages = messagesOf(await this.#wire.post(body, this.#headers));
    const { result, error } = answerAmong(messages, id);
    const content = result?.content;
    if (content?.length !== 1 || content[0].text !== expected)
      throw new Error(`a wrong result: ${JSON.stringify(error ?? content)?.slice(0, 200)}`);
    if (steps > 0) checkProgress(messages, id, steps);
  }

  /** Asks for the first page of the tools, which must be the same for all sessions. */
  async list({ readsGzip = false } = {}) {
    const id = this.#nextId();
    const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/list","params":{}}`;
    const accepts = readsGzip ? "Accept-Encoding: gzip, deflate\r\n" : "";
    const { status, text, gzip } = await this.#wire.post(body, `${this.#headers}${accepts}`);
    if (status !== 200) throw new Error(`HTTP ${status}: ${text?.slice(0, 200)}`);
    if (gzip === undefined) LIST.checkText(text, id);
    else LIST.checkGzip(gzip, id);
  }

  /** The worker that made the session, from 0, where several serve the endpoint: the id begins with it. */
  get owner() {
    return Number.parseInt(this.#sessionId?.slice(0, 2), 16);
  }

  /** From now on each of the two uses the other one's connection. */
  swapConnections(other) {
    [this.#wire, other.#wire] = [other.#wire, this.#wire];
  }

  async end() {
    const { status } = await this.#wire.delete(this.#headers);
    if (status >= 300) throw new Error(`DELETE got HTTP ${status}`);
    this.#headers = "";
  }

  close() {
    this.#wire.close();
    this.#headers = "";
  }

  /** A gateway renames tools; what ends in the tool's name is taken for it, a whole last word before anything else. */
  async #findTool() {
    const { message } = await this.#request("tools/list", {});
    const { tool, args } = this.#work;
    const names = message.result?.tools?.map(({ name }) => name) ?? [];
    const name =
      names.find((candidate) => candidate.split(/[^a-z0-9]/i).at(-1) === tool) ??
      names.find((candidate) => candidate.toLowerCase().endsWith(tool));
    if (name === undefined)
      throw new Error(`no tool ${tool} among: ${names.join(", ").slice(0, 200)}`);
    const params = JSON.stringify({ name, arguments: args });
    // The last brace comes after what each call adds.
    this.#callTail = `,"method":"tools/call","params":${params.slice(0, -1)}`;
  }

  async #request(method, params) {
    const id = this.#nextId();
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const answer = await this.#wire.post(body, this.#headers);
    return { message: answerAmong(messagesOf(answer), id), sessionId: answer.sessionId };
  }

  #nextId() {
    this.#lastId += 1;
    return this.#lastId;
  }
}

/** All messages of a JSON body or an event stream. */
function messagesOf({ status, isEventStream, text }) {
  if (status !== 200) throw new Error(`HTTP ${status}: ${text.slice(0, 200)}`);
  return isEventStream ? eventsOf(text) : [JSON.parse(text)];
}

/** The one answer among them, which must have this id. */
function answerAmong(messages, id) {
  const answers = messages.filter((message) => message.method === undefined);
  if (answers.length !== 1 || answers[0].id !== id)
    throw new Error(`not one answer to ${id}: ${JSON.stringify(messages).slice(0, 200)}`);
  return answers[0];
}

/** Every step once, in order, with the caller's own token, before the answer. */
function checkProgress(messages, token, steps) {
  const notes = messages.filter(({ method }) => method === "notifications/progress");
  const isRight = ({ params }, index) =>
    params.progressToken === token && params.progress === index + 1;
  if (notes.length !== steps || !notes.every(isRight) || messages.at(-1).method !== undefined)
    throw new Error(`${notes.length} of ${steps} progress notifications, or not in order`);
}

function eventsOf(text) {
  return text
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice("data:".length).trim())
    .filter((data) => data !== "")
    .map((data) => JSON.parse(data));
}
