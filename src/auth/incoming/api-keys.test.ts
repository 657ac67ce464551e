import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { ANONYMOUS_AUTH } from "./anonymous.ts";
import { API_KEY_ISSUER, ApiKeys } from "./api-keys.ts";
import type { AuthRequest } from "./client-auth.ts";

const ALICE_KEY = "alice-0123456789abcdef";
const BOB_KEY = "bob-0123456789abcdef";

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

const KEYS = [
  { id: "k1", sha256: sha256(ALICE_KEY), subject: "alice", scopes: ["read", "write"] },
  { id: "k2", sha256: sha256(BOB_KEY).toUpperCase(), subject: "bob", scopes: [] },
];

function keys(isClientBound = false): ApiKeys {
  return new ApiKeys({ keys: KEYS, isClientBound });
}

function requestWith(headers: Readonly<Record<string, string>>, url = "/mcp"): AuthRequest {
  // Nothing else of a request is looked at.
  return { headers, url } as unknown as AuthRequest;
}

test.for([
  { authorization: `Bearer ${ALICE_KEY}` },
  { authorization: `bearer  ${ALICE_KEY} ` },
  { "x-api-key": ALICE_KEY },
])("a key is taken from %j", (headers) => {
  const identity = keys().recall(requestWith(headers));

  expect(identity).toEqual({
    kind: "verified",
    issuer: API_KEY_ISSUER,
    subject: "alice",
    scopes: ["read", "write"],
    clientId: "k1",
    claims: { iss: API_KEY_ISSUER, sub: "alice", client_id: "k1", scope: "read write" },
  });
});

test("each key stands for its own subject", () => {
  const identity = keys().verify(requestWith({ "x-api-key": BOB_KEY }));

  expect(identity).toMatchObject({ subject: "bob", clientId: "k2" });
});

test.for([
  ["an unknown key", { "x-api-key": "x" }, "is not known"],
  ["the hash in place of the key", { "x-api-key": sha256(ALICE_KEY) }, "is not known"],
  ["a part of a key", { "x-api-key": ALICE_KEY.slice(0, -1) }, "is not known"],
  ["two keys", { "x-api-key": ALICE_KEY, authorization: `Bearer ${ALICE_KEY}` }, "send one key"],
  ["another scheme", { authorization: `Basic ${ALICE_KEY}` }, "send one key"],
  ["an empty token", { authorization: "Bearer " }, "send one key"],
] as const)("%s is refused", ([, headers, message]) => {
  const request = requestWith(headers);

  expect(keys().recall(request)).toBeUndefined();
  expect(() => keys().verify(request)).toThrow(message);
});

test("without a key the challenge names no error, with a wrong one it does", () => {
  const missing = thrownBy(() => keys().verify(requestWith({})));
  const wrong = thrownBy(() => keys().verify(requestWith({ "x-api-key": "x" })));

  expect(missing).toMatchObject({ code: "unauthorized", challenge: 'Bearer realm="mcp"' });
  expect(wrong).toMatchObject({
    code: "unauthorized",
    challenge: 'Bearer error="invalid_token", error_description="the key is not known"',
  });
});

test("a key in the address is refused and not looked at", () => {
  const request = requestWith({}, `/mcp?access_token=${ALICE_KEY}`);

  expect(thrownBy(() => keys().verify(request))).toMatchObject({ code: "unauthorized" });
});

test("a key is its owner's client where sessions belong to clients", () => {
  const identity = keys(true).recall(requestWith({ "x-api-key": ALICE_KEY }));

  expect(identity).toMatchObject({ boundTo: "k1" });
});

test.for([
  { authorization: "Bearer x" },
  { authorization: "Basic x" },
  { authorization: "" },
  { "x-api-key": "x" },
])("whoever presents %j to a gateway that asks nobody is refused [auth A24]", (headers) => {
  const request = requestWith(headers);

  expect(ANONYMOUS_AUTH.recall(request)).toBeUndefined();
  expect(thrownBy(() => ANONYMOUS_AUTH.verify(request))).toMatchObject({
    code: "unauthorized",
    challenge: expect.stringContaining('error="invalid_token"'),
  });
});

test("whoever presents nothing is nobody in particular", () => {
  expect(ANONYMOUS_AUTH.recall(requestWith({}))).toEqual({ kind: "anonymous" });
});

function thrownBy(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}
