import { once } from "node:events";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** Stands in front of a gateway and writes down what passes; changes nothing of it. */
export interface RecordingFront extends AsyncDisposable {
  readonly url: string;
  /** Every message that was posted to the endpoint or beside it, in the order of the answers: `initialize 200`. */
  posts(): readonly string[];
  /** Forgets what passed so far. */
  clear(): void;
}

export async function startRecordingFront(target: string): Promise<RecordingFront> {
  const posts: string[] = [];
  const server = createServer((request, response) => {
    // An exchange that breaks breaks for the peer too: that is all there is to do.
    pass(target, request, response, posts).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${new URL(target).pathname}`,
    posts: () => [...posts],
    clear: () => posts.splice(0),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function pass(
  target: string,
  request: IncomingMessage,
  response: ServerResponse,
  posts: string[],
): Promise<void> {
  const body = await buffer(request);
  const { hostname, port } = new URL(target);
  const { method: verb, url: path, headers } = request;
  const onward = httpRequest({ hostname, port, method: verb, path, headers, agent: false });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  onward.end(body);
  // The emitter's own contract: `response` carries the message.
  const [answer] = (await once(onward, "response")) as [IncomingMessage];
  const status = answer.statusCode ?? 0;
  if (verb === "POST") posts.push(`${methodOf(body)} ${status}`);
  response.writeHead(status, answer.headers);
  response.flushHeaders();
  answer.on("error", () => response.destroy());
  answer.pipe(response);
}

/** The JSON-RPC method, or `answer` for what answers a request of ours. */
function methodOf(body: Buffer): string {
  // Peers post single JSON messages; one that does not would show as a failed exchange.
  const { method } = JSON.parse(body.toString()) as { readonly method?: string };
  return method ?? "answer";
}
