import { expect, onTestFinished, test } from "vitest";
import { connectHttp, type Connected } from "../../../test/support/backend/connecting.ts";
import {
  sendEvent,
  startEvents,
  startHttpBackend,
  type HttpBackend,
} from "../../../test/support/backend/http-backend.ts";
import {
  discovered,
  outcomeOf,
  requestOf,
} from "../../../test/support/backend/stateless-script.ts";
import { waitFor } from "../../../test/support/quiescence.ts";
import { SILENT_LOGGER, type Logger } from "../../domain/logger.ts";
import { isJsonObject, type JsonValue } from "../../domain/json.ts";

/** A connection to a backend that tells of what is in `told`, and what it warned of. */
interface Stage extends Connected {
  readonly backend: HttpBackend;
  readonly told: Set<JsonValue>;
  readonly warnings: unknown[];
  subscribe(uri: string): Promise<"held" | "refused">;
  /** The URIs that the newest stream was asked for. */
  asked(): JsonValue | undefined;
  /** Ends the newest stream as a backend that is restarted does. */
  cut(): void;
}

async function connect(): Promise<Stage> {
  const told = new Set<JsonValue>();
  const warnings: unknown[] = [];
  let cut = (): void => {};
  const backend = await startHttpBackend({
    on: {
      "server/discover": discovered({ capabilities: { resources: { subscribe: true } } }),
      "subscriptions/listen": (response, { message }) => {
        cut = () => response.end();
        startEvents(response);
        sendEvent(response, {
          jsonrpc: "2.0",
          method: "notifications/subscriptions/acknowledged",
          params: {
            _meta: { "io.modelcontextprotocol/subscriptionId": message["id"] },
            notifications: {
              resourceSubscriptions: wantedIn(message).filter((uri) => told.has(uri)),
            },
          },
        });
      },
    },
  });
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  const logger: Logger = {
    ...SILENT_LOGGER,
    warn: (message, fields) => void warnings.push([message, fields]),
  };
  const timeouts = { retryMinMs: 1, retryMaxMs: 2 };
  const options = { revision: "2026-07-28", logger, timeouts };
  const connected = await connectHttp(backend.url, options);
  onTestFinished(async () => connected[Symbol.asyncDispose]());
  let lastId = 0;
  return {
    ...connected,
    backend,
    told,
    warnings,
    subscribe: async (uri) => {
      lastId += 1;
      const request = requestOf(lastId, "resources/subscribe", { uri });
      const { answer } = await outcomeOf(connected.connection, request);
      return answer?.message.error === undefined ? "held" : "refused";
    },
    asked: () => wantedIn(backend.of("subscriptions/listen").at(-1)?.message ?? {}),
    cut: () => cut(),
  };
}

function wantedIn({ params }: { readonly params?: JsonValue }): readonly JsonValue[] {
  const notifications = isJsonObject(params) ? params["notifications"] : undefined;
  const uris = isJsonObject(notifications) ? notifications["resourceSubscriptions"] : undefined;
  return Array.isArray(uris) ? uris : [];
}

function updatedOf({ heard }: Stage): readonly unknown[] {
  return heard.messages.map(({ message }) => message.params?.["uri"]);
}

const WARNING = "backend no longer tells of resources that were subscribed to";

test("who is subscribed to what a new stream does not honour any more is told to look again, once", async () => {
  const stage = await connect();
  for (const uri of ["a", "b", "c", "d", "e"]) stage.told.add(uri);
  await Promise.all(["a", "b", "c"].map(async (uri) => stage.subscribe(uri)));

  stage.told.delete("a");
  stage.told.delete("b");
  const others = [await stage.subscribe("d"), await stage.subscribe("e")];

  expect(others).toEqual(["held", "held"]);
  expect(updatedOf(stage)).toEqual(["a", "b"]);
  expect(stage.warnings).toEqual([[WARNING, { backend: "b1", count: 2 }]]);
});

test("it is asked for with every further stream, and who is subscribed looks again when it is honoured", async () => {
  const stage = await connect();
  stage.told.add("a").add("b").add("c");
  await stage.subscribe("a");
  stage.told.delete("a");
  await stage.subscribe("b");

  stage.told.add("a");
  await stage.subscribe("c");

  expect(stage.asked()).toEqual(["a", "b", "c"]);
  expect(updatedOf(stage)).toEqual(["a", "a"]);
});

test("after a stream that ended all is looked at once, and what is not honoured any more is warned of", async () => {
  const stage = await connect();
  stage.told.add("a").add("b");
  await Promise.all(["a", "b"].map(async (uri) => stage.subscribe(uri)));

  stage.told.delete("a");
  stage.cut();
  await waitFor(() => stage.warnings.length === 1);

  expect(updatedOf(stage)).toEqual(["a", "b"]);
  expect(stage.warnings).toEqual([[WARNING, { backend: "b1", count: 1 }]]);
});

test("what is not honoured any more can be left, and is refused to who subscribes to it once more", async () => {
  const stage = await connect();
  stage.told.add("a").add("b").add("c");
  await Promise.all(["a", "b"].map(async (uri) => stage.subscribe(uri)));
  stage.told.clear();
  stage.told.add("c");
  await stage.subscribe("c");

  const again = await stage.subscribe("a");
  await outcomeOf(stage.connection, requestOf("u", "resources/unsubscribe", { uri: "b" }));
  await waitFor(() => JSON.stringify(stage.asked()) === '["c"]');

  expect(again).toBe("refused");
  expect(updatedOf(stage)).toEqual(["a", "b"]);
});
