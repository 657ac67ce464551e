import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { Identity } from "../../../domain/identity.ts";
import type { CredentialsParts } from "../create-credentials.ts";
import { EndpointBreakers } from "../endpoint-breakers.ts";
import { SignIns } from "./sign-ins.ts";

const ALICE: Identity = { kind: "verified", issuer: "https://issuer.example", subject: "alice" };

const REQUEST = { method: "POST", host: "b.example", path: "/mcp", headers: [], body: undefined };

function signIns(origin: string | undefined = "http://127.0.0.1:4483"): SignIns {
  return new SignIns({ keys: [], origin: () => origin, onSignedIn: () => {} });
}

function partsOf(all: SignIns, url = "https://b.example/mcp"): CredentialsParts {
  return {
    backend: "b1",
    url,
    breakers: new EndpointBreakers(() => 0),
    signIns: all,
    onFetched: () => {},
    now: () => 1_000,
  };
}

const OPTIONS = { type: "oauth", scopes: [], mayLeadInside: false } as const;

function refusedWith(challenge: string | undefined) {
  return { ...REQUEST, refusal: { status: 401, challenge, headers: [] } };
}

test("a backend outside leads nobody inside, whatever it says [F35]", async () => {
  let touched = 0;
  const trap = createServer((_request, response) => {
    touched += 1;
    response.end("{}");
  });
  await new Promise<void>((resolve) => trap.listen(0, "127.0.0.1", resolve));
  // A listening TCP server has an address of this shape.
  const { port } = trap.address() as AddressInfo;
  using all = signIns();
  await using credentials = all.open(OPTIONS, partsOf(all));
  const places = [
    `http://127.0.0.1:${String(port)}/`,
    `https://127.0.0.1:${String(port)}/`,
    `https://[::ffff:127.0.0.1]:${String(port)}/`,
    `https://localhost:${String(port)}/`,
    "https://169.254.169.254/latest/meta-data",
  ];

  const failures: unknown[] = [];
  for (const place of places) {
    const challenge = `Bearer resource_metadata="${place}"`;
    const asking = Promise.resolve(credentials.headersFor(ALICE, refusedWith(challenge)));
    // One after the other, so that none finds what another has asked for.
    // oxlint-disable-next-line no-await-in-loop
    failures.push(await asking.catch((error: unknown) => error));
  }
  await new Promise((resolve) => trap.close(resolve));

  expect(touched).toBe(0);
  const unreachable = expect.stringContaining("its authorization server cannot be reached");
  const failed = { code: "backend_auth", executionState: "not_executed", message: unreachable };
  expect(failures).toMatchObject(places.map(() => failed));
});

test("whoever has not signed in is let through without credentials, until that is refused", async () => {
  using all = signIns();
  await using credentials = all.open(OPTIONS, partsOf(all));

  const headers = credentials.headersFor(ALICE, REQUEST);
  const mayAskAgain = credentials.refused(ALICE, {
    status: 401,
    challenge: undefined,
    headers: [],
  });

  expect(headers).toEqual([]);
  expect(mayAskAgain).toBe(true);
});

test.for([
  ['Bearer error="insufficient_scope", scope="more"', true],
  ['Bearer error="invalid_token"', false],
  [undefined, false],
] as const)(
  "a refusal of what is forbidden (403, %s) leads to another sign-in: %s",
  async (row) => {
    const [challenge, expected] = row;
    using all = signIns();
    await using credentials = all.open(OPTIONS, partsOf(all));

    expect(credentials.refused(ALICE, { status: 403, challenge, headers: [] })).toBe(expected);
  },
);

test("nobody can sign in where browsers do not reach the gateway, and is told so", async () => {
  using all = new SignIns({ keys: [], origin: () => undefined, onSignedIn: () => {} });
  await using credentials = all.open(OPTIONS, partsOf(all));

  const asking = Promise.resolve(credentials.headersFor(ALICE, refusedWith(undefined)));

  await expect(asking).rejects.toMatchObject({
    code: "backend_auth",
    message: expect.stringContaining("must be served over HTTP"),
  });
});

test("a provider that is gone gives nobody anything", async () => {
  using all = signIns();
  await all.open(OPTIONS, partsOf(all))[Symbol.asyncDispose]();

  const asking = all.subjectToken("b1", ALICE, "access_token", "b2");

  await expect(asking).rejects.toMatchObject({ code: "backend_auth", backend: "b2" });
});

test("a provider that was to take another's place and does not leaves it where it was", async () => {
  using all = signIns();
  await using _provider = all.open(OPTIONS, partsOf(all));
  await all.open(OPTIONS, partsOf(all))[Symbol.asyncDispose]();

  const asking = all.subjectToken("b1", ALICE, "access_token", "b2");

  await expect(asking).rejects.toMatchObject({ code: "backend_auth", backend: "b1" });
});

test("what was not begun here is not finished", async () => {
  using all = signIns();

  const finishing = all.finish(new URLSearchParams("code=c&state=s"), ["key"]);

  await expect(finishing).rejects.toMatchObject({ code: "invalid_params" });
  expect(all.counts).toEqual({ signedIn: 0, pending: 0 });
});
