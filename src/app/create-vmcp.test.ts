import { expect, test } from "vitest";
import { startHttpLedger } from "../../test/support/ledger-backend.ts";
import { parseConfig } from "../config/load-config.ts";
import { ConfigError } from "../config/problems.ts";
import { createVmcp } from "./create-vmcp.ts";

test("without `operational` a session keeps its backend sessions from call to call", async () => {
  await using ledger = await startHttpLedger();
  await using vmcp = await createVmcp({ backends: [{ name: "b", url: ledger.url }] });

  const session = await vmcp.openSession();
  const answers = [await session.callTool("b_count", {}), await session.callTool("b_count", {})];

  expect(answers.map(({ content }) => content)).toEqual([
    [{ type: "text", text: "1" }],
    [{ type: "text", text: "2" }],
  ]);
  expect(ledger.initializeCount).toBe(1);
});

test("sessions that were opened without HTTP end with the gateway", async () => {
  await using ledger = await startHttpLedger();
  const vmcp = await createVmcp({ backends: [{ name: "b", url: ledger.url }] });
  await vmcp.openSession();
  expect(ledger.openSessions).toBe(1);

  await vmcp.close();

  expect(ledger.openSessions).toBe(0);
});

test("a session that cannot be made leaves nothing behind", async () => {
  await using vmcp = await createVmcp({
    backends: [{ name: "b1", url: "http://127.0.0.1:9/mcp" }],
    operational: { failureHandling: { partialFailureMode: "fail" } },
  });

  await expect(vmcp.openSession()).rejects.toMatchObject({ code: "start_failed" });

  expect(vmcp.sessions.sessionCount).toBe(0);
});

test("the overview says what clients see and where each name leads", async () => {
  await using ledger = await startHttpLedger();
  await using vmcp = await createVmcp({
    backends: [
      { name: "one", url: ledger.url },
      { name: "two", url: ledger.url },
    ],
    aggregation: {
      tools: [
        { workload: "one", filter: ["echo"] },
        { workload: "two", excludeAll: true },
      ],
    },
  });
  expect(vmcp.overview().tools).toEqual([]);

  await vmcp.openSession();
  const { tools, findings } = vmcp.overview();

  expect(tools).toEqual([
    {
      kind: "tool",
      name: "one_echo",
      backend: "one",
      originalName: "echo",
      value: expect.objectContaining({ name: "one_echo", description: "Returns its text." }),
    },
  ]);
  expect(findings).toContainEqual(
    expect.objectContaining({ kind: "filtered", backend: "two", originalName: "echo" }),
  );
});

test("references find only the variables that are given", async () => {
  const config = {
    backends: [{ name: "b", url: "http://127.0.0.1:1/mcp", headers: { "x-token": "${env:PATH}" } }],
  };

  const withoutEnv = createVmcp(config);
  await using withEnv = await createVmcp(config, { env: { PATH: "given" } });

  await expect(withoutEnv).rejects.toThrow(ConfigError);
  expect(withEnv.health().map(({ name }) => name)).toEqual(["b"]);
});

test("what was loaded from a file is taken as it is", async () => {
  const loaded = parseConfig({
    text: '{ "name": "from-file", "backends": [{ "name": "b", "url": "http://127.0.0.1:1/mcp" }] }',
    fileName: "vmcp.json",
    env: {},
  });

  await using vmcp = await createVmcp(loaded);

  expect(vmcp.serverInfo.name).toBe("from-file");
});

test("every problem of a configuration is in the one error", async () => {
  // A program without types may pass anything.
  const wrong = { backends: [{ name: "a b" }], port: 1 } as object;

  const creating = createVmcp(wrong);

  await expect(creating).rejects.toMatchObject({
    problems: expect.arrayContaining([
      expect.objectContaining({ path: "backends[0].name" }),
      expect.objectContaining({ path: "port" }),
    ]),
  });
});
