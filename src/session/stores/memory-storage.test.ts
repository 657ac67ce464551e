import { expect, test } from "vitest";
import { parseSessionId } from "../../domain/ids.ts";
import { describeSessionStorage } from "../session-storage.contract.ts";
import { MemoryStorage } from "./memory-storage.ts";

describeSessionStorage("MemoryStorage", () => new MemoryStorage());

test("a record that was handed out is frozen", async () => {
  const storage = new MemoryStorage();
  await storage.insert({
    id: parseSessionId("a"),
    phase: "placeholder",
    generation: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    metadata: {},
  });

  const record = await storage.touch("a", 5);

  expect(Object.isFrozen(record)).toBe(true);
  expect(Object.isFrozen(record?.metadata)).toBe(true);
});
