import { expect, test } from "vitest";
import { createVmcp } from "../../../src/app/create-vmcp.ts";
import { ConfigError } from "../../../src/config/problems.ts";
import { resolveConfig } from "../../../src/config/load-config.ts";
import { supportedFields } from "./schema-fields.ts";

const BACKEND = { name: "b1", url: "http://127.0.0.1:1/mcp" };

/** A configuration with that value at that path, and what its neighbours ask for. */
function configWith(path: string, value: unknown): object {
  const segments = path.replace("NAME", "b1").split(".");
  const leaf = segments.reduceRight<unknown>((inner, segment) => {
    if (!segment.endsWith("[]")) return { [segment]: inner };
    // What stands in a list of backends is a backend.
    return { [segment.slice(0, -2)]: [{ ...BACKEND, ...(inner as object) }] };
  }, value);
  // The first segment is a key.
  return { backends: [BACKEND], ...(leaf as object) };
}

const FIXED = supportedFields()
  .filter(({ isFixed }) => isFixed)
  .flatMap(({ path, refusedValues }) => refusedValues.map((value) => ({ path, value })));

test.for(FIXED)("$path: $value keeps the gateway from starting", async ({ path, value }) => {
  const starting = createVmcpFrom(configWith(path, value));

  await expect(starting).rejects.toMatchObject({
    problems: expect.arrayContaining([
      expect.objectContaining({
        path: path.replace("[]", "[0]"),
        message: expect.stringContaining("not available in this version"),
      }),
    ]),
  });
});

test("there are fields with one value only", () => {
  expect(FIXED.map(({ path }) => path)).toContain("server.trustProxy");
});

/** Blocks of strategies that this version does not have, each complete. */
const STRATEGIES = [["obo", "obo", {}]] as const;

test.for(STRATEGIES)(
  "the outgoing strategy %s is refused, with its block %s",
  async ([type, block, fields]) => {
    for (const named of [type, "unauthenticated"]) {
      const strategy = { type: named, [block]: fields };
      const forAll = createVmcpFrom({ backends: [BACKEND], outgoingAuth: { default: strategy } });
      await expect(forAll).rejects.toBeInstanceOf(ConfigError);
      const backends = { b1: strategy };
      const forOne = createVmcpFrom({ backends: [BACKEND], outgoingAuth: { backends } });
      await expect(forOne).rejects.toBeInstanceOf(ConfigError);
    }
  },
);

const KEY = { id: "k", subject: "s", sha256: "0".repeat(64) };

test.for([
  ["oidc", { issuer: "https://idp.example", audience: "a" }],
  ["apiKey", { keys: [KEY] }],
] as const)(
  "the block of the incoming type %s is refused with another type",
  async ([block, fields]) => {
    const incomingAuth = { type: "anonymous", [block]: fields };

    const starting = createVmcpFrom({ backends: [BACKEND], incomingAuth });

    await expect(starting).rejects.toBeInstanceOf(ConfigError);
  },
);

test.for([{}, { enabled: true }, { host: "127.0.0.1" }, { port: 4484 }])(
  "the admin listener is refused unless it is off: %j",
  async (admin) => {
    const starting = createVmcpFrom({ backends: [BACKEND], admin });

    await expect(starting).rejects.toBeInstanceOf(ConfigError);
  },
);

/** Takes what the types of the configuration would not let through. */
async function createVmcpFrom(config: object): Promise<void> {
  const vmcp = await createVmcp({ ...config });
  await vmcp.close();
}

test("a configuration without any of these starts", () => {
  expect(resolveConfig({ backends: [BACKEND] }).backends).toHaveLength(1);
});
