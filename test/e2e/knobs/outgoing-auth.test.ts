import { expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startKnobs } from "./knob-gateway.ts";

const ENV = { KNOB_TOKEN: "from the environment" };

const BASE = { headerName: "x-token", headerValue: "one" };

/** Title, whether the strategy is for one backend, the strategy before, the strategy after, the header after. */
const STRATEGIES = [
  [
    "type: adds the header of header_injection",
    { type: "unauthenticated" },
    { type: "header_injection", ...BASE },
    ["x-token", "one"],
  ],
  [
    "headerName: is the header that is added",
    { type: "header_injection", ...BASE },
    { type: "header_injection", ...BASE, headerName: "x-other" },
    ["x-other", "one"],
  ],
  [
    "headerValue: is what the header says",
    { type: "header_injection", ...BASE },
    { type: "header_injection", ...BASE, headerValue: "two" },
    ["x-token", "two"],
  ],
  [
    "headerValueEnv: names the variable that holds what the header says",
    { type: "header_injection", ...BASE },
    { type: "header_injection", headerName: "x-token", headerValueEnv: "KNOB_TOKEN" },
    ["x-token", "from the environment"],
  ],
  [
    "headerInjection.headerName: is the header that is added",
    { type: "header_injection", headerInjection: BASE },
    { type: "header_injection", headerInjection: { ...BASE, headerName: "x-other" } },
    ["x-other", "one"],
  ],
  [
    "headerInjection.headerValue: is what the header says",
    { type: "header_injection", headerInjection: BASE },
    { type: "header_injection", headerInjection: { ...BASE, headerValue: "two" } },
    ["x-token", "two"],
  ],
  [
    "headerInjection.headerValueEnv: names the variable that holds what the header says",
    { type: "header_injection", headerInjection: BASE },
    {
      type: "header_injection",
      headerInjection: { headerName: "x-token", headerValueEnv: "KNOB_TOKEN" },
    },
    ["x-token", "from the environment"],
  ],
] as const;

/** The headers `x-…` of the first request that each backend gets. */
async function seenHeaders(
  outgoingAuth: object,
): Promise<readonly (readonly [string, unknown][])[]> {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  await using gateway = await startKnobs(
    {
      backends: [
        { name: "one", url: one.url },
        { name: "two", url: two.url },
      ],
      outgoingAuth,
    },
    ENV,
  );
  await gateway.vmcp.probed();
  return [one, two].map(({ requests }) =>
    Object.entries(requests[0]?.headers ?? {}).filter(([name]) => name.startsWith("x-")),
  );
}

test.for(STRATEGIES)("outgoingAuth.default.%s", async ([_title, before, after, header]) => {
  const [seenBefore] = await seenHeaders({ default: before });
  const seenAfter = await seenHeaders({ default: after });

  expect(seenBefore).not.toContainEqual(header);
  expect(seenAfter).toEqual([[header], [header]]);
});

test.for(STRATEGIES)("outgoingAuth.backends.NAME.%s", async ([_title, before, after, header]) => {
  const [seenBefore] = await seenHeaders({ backends: { one: before } });
  const seenAfter = await seenHeaders({ backends: { one: after } });

  expect(seenBefore).not.toContainEqual(header);
  expect(seenAfter).toEqual([[header], []]);
});

test("a strategy of one backend goes before the default", async () => {
  const seen = await seenHeaders({
    default: { type: "header_injection", ...BASE },
    backends: { one: { type: "unauthenticated" } },
  });

  expect(seen).toEqual([[], [["x-token", "one"]]]);
});
