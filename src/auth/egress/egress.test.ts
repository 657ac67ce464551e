import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { Egress, type EgressOptions } from "./egress.ts";

const opened: AsyncDisposable[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each[Symbol.asyncDispose]()));
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push({
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  // A listening TCP server has an address of this shape.
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${String(port)}`;
}

function open(options: EgressOptions = {}): Egress {
  const egress = new Egress({ allowHttp: true, allowPrivateAddresses: true, ...options });
  opened.push(egress);
  return egress;
}

test("an answer comes whole, with its status and headers", async () => {
  const origin = await serve((request, response) => {
    response.writeHead(201, { "content-type": "application/json", "x-method": request.method });
    request.pipe(response);
  });

  const answer = await open().fetch(`${origin}/token?x=1`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "none" }),
  });

  expect(answer.status).toBe(201);
  expect(answer.headers.get("x-method")).toBe("POST");
  expect(await answer.text()).toBe("grant_type=none");
});

test("a form says that it is one, and no compressed answer is asked for", async () => {
  const origin = await serve(({ headers }, response) => {
    response.end(JSON.stringify(headers));
  });

  const answer = await open().fetch(origin, { method: "POST", body: new URLSearchParams("a=b") });

  expect(await answer.json()).toMatchObject({
    "content-type": "application/x-www-form-urlencoded;charset=UTF-8",
    "accept-encoding": "identity",
  });
});

test("an answer without a body has none", async () => {
  const origin = await serve((_request, response) => response.writeHead(204).end());

  const answer = await open().fetch(origin);

  expect([answer.status, answer.body]).toEqual([204, null]);
});

test("a redirect is an answer and is not followed [F35]", async () => {
  const asked: string[] = [];
  const origin = await serve((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(302, { location: "/elsewhere" }).end();
  });

  const answer = await open().fetch(`${origin}/start`);

  expect([answer.status, asked]).toEqual([302, ["/start"]]);
});

test.for([
  "http://127.0.0.1:1/",
  "http://2130706433:1/",
  "http://0x7f.1:1/",
  "http://0177.0.0.1:1/",
  "http://[::ffff:127.0.0.1]:1/",
  "http://[::1]:1/",
  "http://10.0.0.1:1/",
  "http://localhost:1/",
  "http://[64:ff9b::7f00:1]:1/",
  "http://[2002:7f00:1::]:1/",
])("%s is refused where private addresses are not allowed [F35]", async (url) => {
  const egress = open({ allowPrivateAddresses: false });

  await expect(egress.fetch(url)).rejects.toMatchObject({ failure: "refused" });
});

test.for([
  "http://169.254.169.254/latest/meta-data",
  "http://[fe80::1]/",
  "http://[fd00:ec2::254]/",
  "http://100.100.100.200/",
])("%s is refused whatever is allowed [F35]", async (url) => {
  await expect(open().fetch(url)).rejects.toMatchObject({ failure: "refused" });
});

test.for(["http://issuer.example/", "ftp://issuer.example/", "https://me:pw@issuer.example/"])(
  "%s is refused by its form",
  async (url) => {
    await expect(open({ allowHttp: false }).fetch(url)).rejects.toMatchObject({
      failure: "refused",
    });
  },
);

test("an answer over the limit is cut", async () => {
  const origin = await serve((_request, response) => response.end("x".repeat(2_000)));

  const answer = open({ maxResponseBytes: 1_000 }).fetch(origin);

  await expect(answer).rejects.toMatchObject({ failure: "too_large" });
});

test("an answer that does not come in time is given up", async () => {
  const origin = await serve((_request, response) => response.writeHead(200).flushHeaders());

  const answer = open({ timeoutMs: 100 }).fetch(origin);

  await expect(answer).rejects.toMatchObject({ failure: "timeout" });
});

test("a compressed answer is refused, because its size would mean nothing", async () => {
  const origin = await serve((_request, response) => {
    response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("x".repeat(1_000)));
  });

  await expect(open().fetch(origin)).rejects.toMatchObject({ failure: "protocol" });
});

test("whoever asked can stop waiting", async () => {
  const leaving = new AbortController();
  const origin = await serve(() => leaving.abort(new Error("gone")));

  const answer = open().fetch(origin, { signal: leaving.signal });

  await expect(answer).rejects.toMatchObject({ failure: "unreachable", message: "gone" });
});

test("a server that is not there is unreachable", async () => {
  await expect(open().fetch("http://127.0.0.1:1/")).rejects.toMatchObject({
    failure: "unreachable",
  });
});
