import { afterAll, beforeAll, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { IdentityProvider } from "../support/identity-provider.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { lastMessage, openRawSession, postMessage } from "../support/raw-client.ts";
import { bearer, oidcFor, rightClaims } from "./auth-incoming-rig.ts";
import { startKnobs, toolNamesOf } from "./knobs/knob-gateway.ts";

let provider: IdentityProvider;

beforeAll(async () => {
  provider = await IdentityProvider.start();
});

afterAll(async () => provider[Symbol.asyncDispose]());

/** What a client sends that has a token with these claims besides the right ones. */
async function proofWith(claims: JsonObject): Promise<Readonly<Record<string, string>>> {
  return bearer(await provider.sign({ ...rightClaims(provider), ...claims }));
}

test("groups and claims come from the token of the request, a renewed one with fewer included [auth A10]", async () => {
  await using backend = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: backend.url }],
    incomingAuth: {
      type: "oidc",
      oidc: oidcFor(provider),
      authz: {
        type: "cedar",
        policies: [
          'permit(principal in THVGroup::"ops", action, resource == Tool::"whoami");',
          'permit(principal, action, resource == Tool::"echo") when { principal has claim_level && principal.claim_level >= 3 };',
        ],
      },
    },
  });
  const full = await openRawSession(gateway.url, {
    headers: await proofWith({ groups: ["ops"], level: 3 }),
  });
  const renewed = { ...full.headers, ...(await proofWith({ groups: ["ops"], level: 2 })) };
  const ask = async (method: string, params: JsonObject = {}): Promise<unknown> =>
    lastMessage(await postMessage(gateway.url, { jsonrpc: "2.0", id: 1, method, params }, renewed));

  expect(await toolNamesOf(full)).toEqual(["echo", "whoami"]);
  expect(await ask("tools/list")).toMatchObject({ result: { tools: [{ name: "whoami" }] } });
  expect(await ask("tools/call", { name: "echo" })).toMatchObject({ error: { code: -32_602 } });
  expect(await ask("tools/call", { name: "whoami" })).toHaveProperty("result");
});
