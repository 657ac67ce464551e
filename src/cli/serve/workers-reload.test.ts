import { expect, test } from "vitest";
import type { ReloadReport } from "../../app/vmcp.ts";
import { resolveConfig } from "../../config/load-config.ts";
import type { WorkerTask } from "./worker-messages.ts";
import { WorkersReload } from "./workers-reload.ts";

const CONFIG = resolveConfig({ backends: [{ name: "b", url: "http://127.0.0.1:1/mcp" }] });

function reportOf(sessions: number): ReloadReport {
  return { generation: 2, changes: [], sessions, tools: { added: [], removed: [] } };
}

function createReload(open: readonly number[]) {
  const told: WorkerTask[] = [];
  const reload = new WorkersReload({ open: () => open, tell: (task) => void told.push(task) });
  return { reload, told };
}

test("a reload is over when every worker has answered, and sessions are added up", async () => {
  const { reload, told } = createReload([0, 1]);
  const report = reload.reload(CONFIG);
  await expect.poll(() => told).toEqual([{ kind: "reload", number: 1, config: CONFIG }]);

  reload.heard(1, { kind: "reloaded", number: 1, report: reportOf(3) });
  reload.heard(0, { kind: "reloaded", number: 1, report: reportOf(4) });

  expect(await report).toEqual(reportOf(7));
});

test("a worker that ends is waited for no longer", async () => {
  const { reload, told } = createReload([0, 1]);
  const report = reload.reload(CONFIG);
  await expect.poll(() => told.length).toBe(1);

  reload.heard(0, { kind: "reloaded", number: 1, report: reportOf(4) });
  reload.left(1);

  expect(await report).toEqual(reportOf(4));
});

test("what one worker refuses is refused, and the next reload starts anew", async () => {
  const { reload, told } = createReload([0, 1]);
  const refused = reload.reload(CONFIG);
  const next = reload.reload(CONFIG);
  await expect.poll(() => told.length).toBe(1);

  reload.heard(0, { kind: "notReloaded", number: 1, code: "invalid_config", message: "no" });
  reload.heard(1, { kind: "reloaded", number: 1, report: reportOf(9) });
  await expect(refused).rejects.toMatchObject({ code: "invalid_config", message: "no" });
  await expect.poll(() => told.length).toBe(2);
  reload.heard(0, { kind: "reloaded", number: 2, report: reportOf(1) });
  reload.heard(1, { kind: "reloaded", number: 2, report: reportOf(1) });

  expect(await next).toEqual(reportOf(2));
});

test("without a worker nothing can be reloaded", async () => {
  const { reload } = createReload([]);

  await expect(reload.reload(CONFIG)).rejects.toMatchObject({ code: "shutting_down" });
});
