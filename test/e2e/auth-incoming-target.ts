import { once } from "node:events";
import { Agent, request, type IncomingMessage } from "node:http";
import { text as readText } from "node:stream/consumers";
import type { JsonObject } from "../../src/domain/json.ts";
import { JSON_AND_EVENTS, sendBytes } from "../support/raw-client.ts";

/** Sends a request whose target goes out as it stands, with nothing that proves anything, and returns its status. */
export async function sendTarget(url: string, method: string, target: string): Promise<number> {
  const { host } = new URL(url);
  const head = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    "Accept: application/json, text/event-stream",
    "Content-Type: application/json",
    "Content-Length: 2",
    "Connection: close",
  ];
  const answer = await sendBytes(url, `${head.join("\r\n")}\r\n\r\n{}`);
  return Number(/^HTTP\/1\.1 (?<status>\d{3})/.exec(answer)?.groups?.["status"] ?? 0);
}

/** One connection that goes on from request to request; disposing cuts it. */
export function closingAgent(): Agent & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}

/** Posts a message over the agent's connection, and returns the status of the answer. */
export async function statusOver(
  agent: Agent,
  url: string,
  message: JsonObject,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const all = { "content-type": "application/json", accept: JSON_AND_EVENTS, ...headers };
  const outgoing = request(url, { agent, method: "POST", headers: all });
  outgoing.end(JSON.stringify(message));
  // The emitter's own contract: `response` carries the message.
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  await readText(incoming);
  return incoming.statusCode ?? 0;
}
