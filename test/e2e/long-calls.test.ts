import { describe, test } from "vitest";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { everythingCommand, startEverythingServer } from "../support/npm-servers.ts";

// Side by side, because each of them waits for most of a minute.
describe.concurrent.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("a tool that runs for 45 seconds answers, over HTTP and stdio [A3]", async ({ expect }) => {
    await using everything = await startEverythingServer();
    const { command, args } = everythingCommand();
    await using gateway = await startGateway({
      backends: [
        { name: "http", url: everything.url },
        { name: "stdio", command, args: [...args, "stdio"] },
      ],
      aggregation: { conflictResolution: "prefix" },
    });
    await using client = await connect(gateway.url);

    const texts = await Promise.all(
      ["http", "stdio"].map(async (name) =>
        client.callText(`${name}_trigger-long-running-operation`, { duration: 45, steps: 3 }),
      ),
    );

    for (const text of texts) expect(text).toContain("45 seconds");
  }, 120_000);
});
