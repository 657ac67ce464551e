import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import type { HttpRequest, RequestSender } from "../lib/http-client/request-sender.ts";
import { sendRaw } from "../../test/support/raw-client.ts";
import { forwardWhole, isWhole } from "./whole-request.ts";

const CONTROL = { abort: () => {}, resume: () => {} };

function failWith(code: string): Error {
  return Object.assign(new Error("not connected"), { code });
}

/** Fails with these codes, one after the other, before anything leaves; then it answers. */
function createSender(codes: readonly string[]): RequestSender & { readonly asked: HttpRequest[] } {
  const asked: HttpRequest[] = [];
  return {
    asked,
    dispatch(request, handler) {
      asked.push(request);
      const code = codes[asked.length - 1];
      queueMicrotask(() => {
        if (code !== undefined) {
          handler.onError(failWith(code));
          return;
        }
        handler.onConnect(CONTROL);
        handler.onHeaders(200, ["content-length", "4"]);
        handler.onData(Buffer.from("done"));
        handler.onComplete();
      });
    },
  };
}

/** Posts "body" to a process that passes it on to the sender. What is not passed on is answered with 404 and the body. */
async function post(
  sender: RequestSender,
): Promise<{ status: number; text: string; error: unknown }> {
  let error: unknown;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const isForwarded = await forwardWhole(request, response, sender, "secret").catch((thrown) => {
      error = thrown;
      return false;
    });
    if (!isForwarded) response.writeHead(404).end(await readText(request));
  };
  const server = createServer((request, response) => void serve(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  // A listening TCP server has an address of this shape.
  const { port } = server.address() as AddressInfo;
  const { status, text } = await sendRaw(`http://127.0.0.1:${port}/mcp`, {
    method: "POST",
    body: "body",
  });
  return { status, text, error };
}

test("a request waits while its owner's queue is full, and leaves once", async () => {
  const sender = createSender(["EAGAIN", "EAGAIN"]);

  const answer = await post(sender);

  expect(answer).toEqual({ status: 200, text: "done", error: undefined });
  expect(sender.asked.map(({ body }) => body?.toString())).toEqual(["body", "body", "body"]);
});

test.for(["EMFILE", "ENFILE", "ENOBUFS", "ERR_CONNECT_TIMEOUT"])(
  "%s is no proof that there is no owner: the request is put back and refused as overloaded",
  async (code) => {
    const answer = await post(createSender([code]));

    expect(answer).toMatchObject({ status: 404, text: "body" });
    expect(answer.error).toMatchObject({ code: "overloaded", retryAfterSeconds: 1 });
  },
);

test.for(["ENOENT", "ECONNREFUSED", "ERR_CLIENT_CLOSED"])(
  "%s means that there is no owner: the request is put back",
  async (code) => {
    const answer = await post(createSender([code]));

    expect(answer).toEqual({ status: 404, text: "body", error: undefined });
  },
);

test.for([
  [true, "POST", { "content-length": "65536" }],
  [true, "DELETE", {}],
  [false, "POST", { "content-length": "65537" }],
  [false, "POST", { "transfer-encoding": "chunked" }],
  [false, "POST", { "content-length": "1", expect: "100-continue" }],
  [false, "HEAD", {}],
] as const)(
  "that it can be sent as a whole is %s of a %s with %o",
  ([expected, method, headers]) => {
    // Only these are looked at.
    const request = { method, headers } as unknown as IncomingMessage;

    expect(isWhole(request)).toBe(expected);
  },
);
