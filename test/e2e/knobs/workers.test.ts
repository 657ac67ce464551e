import { expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { sendRaw } from "../../support/raw-client.ts";
import { startVmcp, type VmcpProcess } from "../../support/vmcp-process.ts";

async function statusOf({ origin }: VmcpProcess): Promise<unknown> {
  return JSON.parse((await sendRaw(`${origin}/status`)).text);
}

test("server.workers: is how many processes share the sessions", async () => {
  await using backend = await startHttpLedger();
  const backends = [{ name: "b", url: backend.url }];
  await using alone = await startVmcp({ config: { backends } });
  await using shared = await startVmcp({ config: { backends, server: { workers: 2 } } });

  const answered = [await statusOf(shared), await statusOf(shared)];

  expect(await statusOf(alone)).not.toHaveProperty("worker");
  expect(answered).toEqual([
    expect.objectContaining({ worker: 1, workers: 2 }),
    expect.objectContaining({ worker: 2, workers: 2 }),
  ]);
});
