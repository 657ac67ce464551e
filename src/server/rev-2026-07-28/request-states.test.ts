import { expect, test } from "vitest";
import { RequestStates } from "./request-states.ts";

const BINDING = { sessionKey: '["anonymous",""]', method: "tools/call", subject: "ask" };
const RELAYED = { kind: "relayed", serverId: "b", state: "the backend's own" } as const;

function states(now: () => number = () => 0): RequestStates {
  return new RequestStates({ keys: ["k"], lifetimeMs: () => 1_000, now });
}

test("a state opens once for the request that it was given out for, here or in another process", () => {
  const sealed = states().seal(RELAYED, BINDING);
  const other = states();

  const opened = other.open(sealed, BINDING);
  opened.use();

  expect(opened.state).toEqual(RELAYED);
  expect(() => other.open(sealed, BINDING)).toThrow(
    expect.objectContaining({ code: "invalid_params" }),
  );
});

test("a state that was opened and had no effect opens again", () => {
  const own = states();
  const sealed = own.seal(RELAYED, BINDING);
  own.open(sealed, BINDING);

  const again = own.open(sealed, BINDING);

  expect(again.state).toEqual(RELAYED);
});

test.for([
  ["sessionKey", '["https://issuer","bob",""]'],
  ["method", "prompts/get"],
  ["subject", "delete"],
] as const)("a state does not open with another %s", ([member, value]) => {
  const own = states();
  const sealed = own.seal(RELAYED, BINDING);

  expect(() => own.open(sealed, { ...BINDING, [member]: value })).toThrow(
    expect.objectContaining({ code: "invalid_params" }),
  );
});

test("a state opens until its lifetime has passed", () => {
  let now = 0;
  const own = states(() => now);
  const sealed = own.seal(RELAYED, BINDING);
  now = 999;
  const inTime = own.open(sealed, BINDING).state;
  now = 1_000;

  expect(inTime).toEqual(RELAYED);
  expect(() => own.open(sealed, BINDING)).toThrow(
    expect.objectContaining({ code: "invalid_params" }),
  );
});

test.for([undefined, null, 7, {}, "", "text", "A".repeat(200)])("%j opens nothing", (sealed) => {
  expect(() => states().open(sealed, BINDING)).toThrow(
    expect.objectContaining({ code: "invalid_params" }),
  );
});

test("uses are forgotten when the state could not be used any more, so that they do not pile up", () => {
  let now = 0;
  const own = states(() => now);
  for (let count = 0; count < 100; count += 1) {
    now = count * 1_000;
    own.open(own.seal(RELAYED, BINDING), BINDING).use();
  }

  expect(own.usedCount).toBe(1);
});
