import { expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { HeldListener } from "./held-listener.ts";

test("the loss of a connection is heard however much its backend said before", async () => {
  const heard: string[] = [];
  const held = new HeldListener({
    unsolicited: () => void heard.push("message"),
    lost: () => void heard.push("lost"),
  });
  const bytes = Buffer.from('{"jsonrpc":"2.0","method":"notifications/message"}');

  for (let sent = 0; sent < 10_000; sent += 1) {
    held.unsolicited({ bytes, message: { jsonrpc: "2.0", method: "notifications/message" } });
  }
  held.lost(new VmcpError("backend_closed", "it ended"));
  held.releaseSoon();
  await new Promise(setImmediate);

  expect(heard.length).toBeLessThan(1_000);
  expect(heard.at(-1)).toBe("lost");
});
