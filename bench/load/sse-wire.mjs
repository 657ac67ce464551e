import { Agent, get, request } from "node:http";

const OK = { status: 200, isEventStream: true };

/**
 * The transport of 2024-11-05, for gateways that serve nothing else: requests are posted, answers come on one event
 * stream. One exchange at a time, with the same face as `HttpWire`.
 */
export class SseWire {
  #url;
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #stream;
  #endpoint;
  #text = "";
  #waiting;

  constructor(url) {
    this.#url = url;
  }

  async post(body) {
    if (this.#stream === undefined) await this.#open();
    const isRequest = JSON.parse(body).id !== undefined;
    const answer = isRequest ? this.#nextAnswer() : undefined;
    // Whoever waits below hears of it; the stream may end while the post is still under way.
    answer?.catch(() => {});
    const status = await this.#send(body);
    if (status >= 300) throw new Error(`a message got HTTP ${status}`);
    return isRequest ? { ...OK, text: await answer } : { status: 202 };
  }

  async delete() {
    this.close();
    return OK;
  }

  close() {
    this.#stream?.destroy();
    this.#stream = undefined;
    this.#agent.destroy();
  }

  async #open() {
    const headers = { accept: "text/event-stream" };
    this.#stream = await new Promise((resolve, reject) => {
      get(this.#url, { headers, agent: false }, resolve).on("error", reject);
    });
    const endpoint = this.#nextEvent((event) => event.includes("event: endpoint"));
    this.#stream.setEncoding("utf8").on("data", (chunk) => this.#take(chunk));
    this.#stream.on("error", (error) => this.#fail(error));
    this.#stream.on("close", () => this.#fail(new Error("the event stream ended")));
    this.#endpoint = new URL(/data: *(\S+)/.exec(await endpoint)[1], this.#url);
  }

  /** Resolves with the events up to the one with an answer. */
  async #nextAnswer() {
    return this.#nextEvent((event) => /"id" *:/.test(event) && !/"method" *:/.test(event));
  }

  async #nextEvent(isLast) {
    return new Promise((resolve, reject) => {
      this.#waiting = { isLast, resolve, reject, text: "" };
    });
  }

  #take(chunk) {
    this.#text += chunk.replaceAll("\r", "");
    for (let end = this.#text.indexOf("\n\n"); end >= 0; end = this.#text.indexOf("\n\n")) {
      const event = this.#text.slice(0, end + 2);
      this.#text = this.#text.slice(end + 2);
      const waiting = this.#waiting;
      if (waiting === undefined) continue;
      waiting.text += event;
      if (!waiting.isLast(event)) continue;
      this.#waiting = undefined;
      waiting.resolve(waiting.text);
    }
  }

  #fail(error) {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }

  async #send(body) {
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
    };
    return new Promise((resolve, reject) => {
      const options = { method: "POST", headers, agent: this.#agent };
      const outgoing = request(this.#endpoint, options, (answer) => {
        answer.resume().on("end", () => resolve(answer.statusCode));
      });
      outgoing.on("error", reject).end(body);
    });
  }
}
