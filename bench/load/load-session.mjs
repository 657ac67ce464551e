import { Wire } from "./http-wire.mjs";

const REVISION = "2025-11-25";

/** One client session in a closed loop: it sends the next call when the last one is answered and checked. */
export class LoadSession {
  #url;
  #wire;
  #work;
  #lastId = 0;
  #sessionId;
  #callTail = "";

  /** `work` is `{tool, args, expected}`: every call's tool by its original name, its arguments, its text. */
  constructor(url, work) {
    this.#url = url;
    this.#wire = new Wire(url);
    this.#work = work;
  }

  async open() {
    const { message, sessionId } = await this.#request("initialize", {
      protocolVersion: REVISION,
      capabilities: {},
      clientInfo: { name: "loadgen", version: "1.0.0" },
    });
    if (message.result?.serverInfo === undefined) throw new Error("a wrong answer to initialize");
    this.#sessionId = sessionId;
    const notified = await this.#post('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    if (notified.status !== 202) throw new Error(`initialized got HTTP ${notified.status}`);
    await this.#findTool();
  }

  async call() {
    const id = this.#nextId();
    const answer = await this.#post(`{"jsonrpc":"2.0","id":${id}${this.#callTail}`);
    const { result, error } = messageOf(answer, id);
    const content = result?.content;
    if (content?.length !== 1 || content[0].text !== this.#work.expected)
      throw new Error(`a wrong result: ${JSON.stringify(error ?? content)?.slice(0, 200)}`);
  }

  async end() {
    const answer = await this.#wire.exchange(`${this.#head("DELETE")}\r\n`);
    if (answer.status >= 300) throw new Error(`DELETE got HTTP ${answer.status}`);
    this.#sessionId = undefined;
  }

  close() {
    this.#wire.close();
    this.#sessionId = undefined;
  }

  /** A gateway renames tools; what ends in the tool's name after a separator is taken for it. */
  async #findTool() {
    const { message } = await this.#request("tools/list", {});
    const { tool, args } = this.#work;
    const names = message.result?.tools?.map(({ name }) => name) ?? [];
    const name = names.find((candidate) => candidate.split(/[^a-z0-9]/i).at(-1) === tool);
    if (name === undefined) throw new Error(`no tool ${tool} among: ${names.join(", ")}`);
    const params = JSON.stringify({ name, arguments: args });
    this.#callTail = `,"method":"tools/call","params":${params}}`;
  }

  async #request(method, params) {
    const id = this.#nextId();
    const answer = await this.#post(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return { message: messageOf(answer, id), sessionId: answer.sessionId };
  }

  #post(body) {
    const length = Buffer.byteLength(body);
    return this.#wire.exchange(`${this.#head("POST")}Content-Length: ${length}\r\n\r\n${body}`);
  }

  #head(method) {
    const session =
      this.#sessionId === undefined
        ? ""
        : `Mcp-Session-Id: ${this.#sessionId}\r\nMCP-Protocol-Version: ${REVISION}\r\n`;
    return `${method} ${this.#url.pathname} HTTP/1.1\r\nHost: ${this.#url.host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n${session}`;
  }

  #nextId() {
    this.#lastId += 1;
    return this.#lastId;
  }
}

/** The one answer with this id in a JSON body or an event stream. */
function messageOf({ status, isEventStream, text }, id) {
  if (status !== 200) throw new Error(`HTTP ${status}: ${text.slice(0, 200)}`);
  const messages = isEventStream ? eventsOf(text) : [JSON.parse(text)];
  const answers = messages.filter((message) => message.method === undefined);
  if (answers.length !== 1 || answers[0].id !== id)
    throw new Error(`not one answer to ${id}: ${text.slice(0, 200)}`);
  return answers[0];
}

function eventsOf(text) {
  return text
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice("data:".length).trim())
    .filter((data) => data !== "")
    .map((data) => JSON.parse(data));
}
