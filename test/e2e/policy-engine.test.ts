import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { openRawSession } from "../support/raw-client.ts";
import { postCall, startKnobs } from "./knobs/knob-gateway.ts";

/** Whether the policy engine has been loaded into this process. */
function isLoaded(): boolean {
  const { cache } = createRequire(import.meta.url);
  return Object.keys(cache).some((path) => path.includes("cedar-wasm"));
}

test("the policy engine is loaded for those who have policies and for nobody else", async () => {
  await using backend = await startHttpLedger();
  const backends = [{ name: "b1", url: backend.url }];
  await using open = await startKnobs({
    backends,
    incomingAuth: { type: "anonymous", authz: { type: "none" } },
  });
  const session = await openRawSession(open.url);
  await postCall(session, "echo");
  const before = isLoaded();

  await using policed = await startKnobs({
    backends,
    incomingAuth: {
      type: "anonymous",
      authz: { type: "cedar", policies: ["permit(principal, action, resource);"] },
    },
  });
  const other = await openRawSession(policed.url);

  expect((await postCall(other, "echo")).status).toBe(200);
  expect([before, isLoaded()]).toEqual([false, true]);
});
