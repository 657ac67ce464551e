import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseBackendName, type BackendName } from "../domain/ids.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { JsonRpcMessage } from "../mcp/json-rpc.ts";
import { TaskRoutes } from "./task-routes.ts";

const A = parseBackendName("a");
const B = parseBackendName("b");

const RELATED = "io.modelcontextprotocol/related-task";

/** A message as a backend wrote it. */
function received(json: string): BackendMessage {
  const bytes = Buffer.from(json);
  // The texts of these tests are messages.
  return { bytes, message: JSON.parse(json) as JsonRpcMessage };
}

function listOf(...taskIds: readonly string[]): BackendMessage {
  const tasks = taskIds.map((taskId) => ({ taskId }));
  return received(JSON.stringify({ jsonrpc: "2.0", id: 1, result: { tasks } }));
}

/** The ids under which the client knows these tasks of a backend. */
function advertised(
  routes: TaskRoutes,
  backend: BackendName,
  ...ids: readonly string[]
): readonly string[] {
  const { message } = routes.answerForClient(backend, "tasks/list", listOf(...ids));
  // What was listed is listed still.
  const { tasks } = message.result as { readonly tasks: readonly { readonly taskId: string }[] };
  return tasks.map(({ taskId }) => taskId);
}

/** Both backends have a task "1", and the first one was named first. */
function colliding(): TaskRoutes {
  const routes = new TaskRoutes();
  advertised(routes, A, "1");
  advertised(routes, B, "1");
  return routes;
}

test("an id that only one backend uses passes as the very same message", () => {
  const routes = new TaskRoutes();
  const answer = listOf("1", "2");

  expect(routes.answerForClient(A, "tasks/list", answer)).toBe(answer);
  expect(routes.find("2")).toEqual({ backend: A, taskId: "2" });
});

test("an id that another backend used first gets a tag, and keeps it", () => {
  const routes = new TaskRoutes();

  const seen = [
    advertised(routes, A, "1"),
    advertised(routes, B, "1", "2"),
    advertised(routes, A, "1", "2"),
    advertised(routes, B, "1", "2"),
  ];

  expect(seen).toEqual([["1"], ["1~b", "2"], ["1", "2~a"], ["1~b", "2"]]);
  expect(routes.find("1~b")).toEqual({ backend: B, taskId: "1" });
});

test("an id that looks like one with a tag is told from it", () => {
  const routes = new TaskRoutes();

  const seen = [advertised(routes, A, "1", "1~b"), advertised(routes, B, "1")];

  expect(seen).toEqual([["1", "1~b"], ["1~b~b"]]);
  expect(routes.find("1~b")).toEqual({ backend: A, taskId: "1~b" });
  expect(routes.find("1~b~b")).toEqual({ backend: B, taskId: "1" });
});

test("whatever ids backends use, no two tasks share one and each leads back to its own", () => {
  const names = fc.constantFrom(A, B, parseBackendName("ab"));
  const ids = fc.stringMatching(/^[1~ab]{0,4}$/);

  fc.assert(
    fc.property(fc.array(fc.tuple(names, ids), { maxLength: 60 }), (uses) => {
      const routes = new TaskRoutes();
      for (const [backend, taskId] of uses) {
        const [id = ""] = advertised(routes, backend, taskId);
        expect(routes.find(id)).toEqual({ backend, taskId });
      }
    }),
  );
});

test("beyond a thousand tasks of a backend its oldest is forgotten, and no other backend's", () => {
  const routes = colliding();

  advertised(routes, A, ...Array.from({ length: 1_000 }, (_value, index) => `new-${index}`));

  expect(routes.find("1")).toBeUndefined();
  expect(routes.find("1~b")).toEqual({ backend: B, taskId: "1" });
  expect(routes.find("new-999")).toEqual({ backend: A, taskId: "new-999" });
});

test.for<[number, boolean]>([
  [1_024, true],
  [1_025, false],
])("an id of %i characters is remembered: %j", ([length, isRemembered]) => {
  const routes = new TaskRoutes();
  const taskId = "x".repeat(length);

  expect(advertised(routes, A, taskId)).toEqual([taskId]);
  expect(routes.find(taskId) !== undefined).toBe(isRemembered);
});

describe("with a task of the same id at two backends", () => {
  test.for<[string, string, string]>([
    [
      "tools/call",
      '{"result":{"task":{"taskId":"1","ttl":12345678901234567890}}}',
      '{"result":{"task":{"taskId":"1~b","ttl":12345678901234567890}}}',
    ],
    ["tasks/get", '{"result":{ "taskId" : "1" }}', '{"result":{ "taskId" : "1~b" }}'],
    ["tasks/cancel", '{"result":{"taskId":"1"}}', '{"result":{"taskId":"1~b"}}'],
    [
      "tasks/result",
      `{"result":{"taskId":"1","_meta":{"${RELATED}":{"taskId":"1"}}}}`,
      `{"result":{"taskId":"1","_meta":{"${RELATED}":{"taskId":"1~b"}}}}`,
    ],
    [
      "prompts/get",
      `{"result":{"_meta":{"${RELATED}":{"taskId":"1"}}}}`,
      `{"result":{"_meta":{"${RELATED}":{"taskId":"1~b"}}}}`,
    ],
    ["tools/call", '{"result":{"content":[{"taskId":"1"}]}}', ""],
    ["tasks/get", '{"result":{"taskId":1}}', ""],
    ["tasks/get", '{"error":{"code":-32602,"message":"1"}}', ""],
  ])("the answer to %s that says %s says %s to the client", ([method, says, expected]) => {
    const routes = colliding();
    const answer = received(says);

    const told = routes.answerForClient(B, method, answer);

    expect(told.bytes.toString()).toBe(expected || says);
    expect(told.message).toEqual(JSON.parse(expected || says));
    expect(routes.answerForClient(A, method, answer)).toBe(answer);
  });

  test.for<[string, string]>([
    [
      '{"method":"notifications/tasks/status","params":{"taskId":"1"}}',
      '{"method":"notifications/tasks/status","params":{"taskId":"1~b"}}',
    ],
    [
      `{"id":1,"method":"elicitation/create","params":{"_meta":{"${RELATED}":{"taskId":"1"}}}}`,
      `{"id":1,"method":"elicitation/create","params":{"_meta":{"${RELATED}":{"taskId":"1~b"}}}}`,
    ],
    ['{"id":1,"method":"tasks/get","params":{"taskId":"1"}}', ""],
  ])("what the backend says as %s is %s to the client", ([says, expected]) => {
    const told = colliding().eventForClient(B, received(says));

    expect(told.bytes.toString()).toBe(expected || says);
  });

  test.for<[string | undefined, string, string]>([
    ["tasks/get", '{"params":{"taskId":"1~b"}}', '{"params":{"taskId":"1"}}'],
    ["tools/call", '{"params":{"taskId":"1~b"}}', ""],
    [
      "tools/call",
      `{"params":{"_meta":{"${RELATED}":{"taskId":"1~b"}}}}`,
      `{"params":{"_meta":{"${RELATED}":{"taskId":"1"}}}}`,
    ],
    [
      undefined,
      `{"result":{"_meta":{"${RELATED}":{"taskId":"1~b"}}}}`,
      `{"result":{"_meta":{"${RELATED}":{"taskId":"1"}}}}`,
    ],
    [undefined, '{"result":{"task":{"taskId":"1~b"}}}', ""],
    [undefined, '{"error":{"code":1,"message":"no"}}', ""],
    ["tools/call", `{"params":{"_meta":{"${RELATED}":{"taskId":"1"}}}}`, ""],
  ])("what the client says in %s as %s is %s to the backend", ([method, says, expected]) => {
    const bytes = colliding().forBackend(B, Buffer.from(says), method);

    expect(bytes.toString()).toBe(expected || says);
  });

  test("another backend gets the client's words as they are", () => {
    const bytes = Buffer.from(`{"params":{"_meta":{"${RELATED}":{"taskId":"1~b"}}}}`);

    expect(colliding().forBackend(A, bytes, "tools/call")).toBe(bytes);
  });
});
