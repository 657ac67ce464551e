import { describe, expect, test } from "vitest";
import { digestsOf, hasLiterals, LITERAL } from "./comparable.ts";
import { compareConfigs } from "./reload-plan.ts";
import { typeAt } from "./schema/schema-type.ts";
import { parse } from "./testing/parse.ts";
import type { ComparableConfig } from "./vmcp-config.ts";

const ENV = { TOKEN: "CANARY-env", OTHER: "CANARY-other", URL: "http://127.0.0.1:9/mcp" };

describe("what is compared across processes", () => {
  test.for([
    [
      "a header from a reference",
      "url: http://127.0.0.1:1/mcp, headers: { x: 'Bearer ${env:TOKEN}' }",
    ],
    ["a header in the file", "url: http://127.0.0.1:1/mcp, headers: { x: CANARY-file }"],
    ["a variable in the file", "command: run, env: { X: CANARY-file }"],
    ["a variable of the nested form", "stdio: { command: run, env: { X: CANARY-file } }"],
    ["an argument from a reference", "command: run, args: [--key, '${env:TOKEN}']"],
    ["an argument that looks like a secret", "command: run, args: [--token, CANARY-file]"],
    ["a query that looks like a secret", "url: 'https://example.com/mcp?token=CANARY-file'"],
  ])("holds no value of %s", ([, fields]) => {
    const comparable = comparableOf(`backends: [{ name: a, ${fields} }]`);

    expect(JSON.stringify([...(comparable.backends.get("a") ?? [])])).not.toContain("CANARY");
  });

  test.for([
    ["header_injection: { headerName: x, headerValue: CANARY-file }", LITERAL],
    ["header_injection: { headerName: x, headerValueEnv: TOKEN }", "${env:TOKEN}"],
  ])("holds no value of a strategy: %s", ([strategy, shown]) => {
    const [type = "", fields = ""] = (strategy ?? "").split(/: (.*)/s);
    const comparable = comparableOf(
      `backends: [{ name: a, url: http://127.0.0.1:1/mcp }]\noutgoingAuth: { source: inline, backends: { a: { type: ${type}, headerInjection: ${fields} } } }`,
    );

    expect(comparable.backends.get("a")?.get("headers")).toEqual({ x: shown });
  });

  test("holds no key for states: what is in the file is hidden, and references stay", () => {
    const { settings } = comparableOf(
      "backends: [{ name: a, url: http://127.0.0.1:1/mcp }]\nserver: { stateKeys: ['${env:TOKEN}', CANARY-file] }",
    );

    expect(settings.get("server.stateKeys")).toEqual(["${env:TOKEN}", LITERAL]);
  });

  test("keeps references as they are written, where a value would not do too", () => {
    const comparable = comparableOf(
      "backends: [{ name: a, url: '${env:URL}', headers: { x: '${TOKEN}' } }]",
    );

    const fields = comparable.backends.get("a");
    expect(fields?.get("url")).toBe("${env:URL}");
    expect(fields?.get("headers")).toEqual({ x: "${TOKEN}" });
  });

  test("names everything as the file does, so that whoever reads a plan finds it there", () => {
    const { backends, settings } = comparableOf(
      "backends: [{ name: a, url: http://127.0.0.1:1/mcp }, { name: s, command: run }]",
    );
    const paths = [
      ...[...settings.keys()].map((path) => path.split(".")),
      ...[...backends.values()].flatMap((fields) =>
        [...fields.keys()].map((field) =>
          // Strategies stand in a block of their own, and are part of the backend that they are for.
          field === "outgoingAuth" ? [field] : ["backends", 0, ...field.split(".")],
        ),
      ),
    ];

    expect(paths.filter((path) => typeAt(path) === undefined)).toEqual([]);
  });

  test("says whether something in it cannot be compared", () => {
    const http = "name: a, url: http://127.0.0.1:1/mcp";

    expect(hasLiterals(comparableOf(`backends: [{ ${http}, headers: { x: b } }]`))).toBe(true);
    expect(
      hasLiterals(comparableOf(`backends: [{ ${http}, headers: { x: '\${env:TOKEN}' } }]`)),
    ).toBe(false);
  });

  test("leaves out what the command line said in place of the file", () => {
    const text = "backends: [{ name: a, url: http://127.0.0.1:1/mcp }]";

    const comparable = parse(text, { overrides: { port: 7 } }).config.comparable;

    expect(comparable.settings.has("server.port")).toBe(false);
    expect(compareConfigs(comparable, comparableOf(`${text}\nserver: { port: 8 }`))).toEqual([]);
  });
});

describe("digests", () => {
  const text = "backends: [{ name: a, url: http://127.0.0.1:1/mcp }]";

  test("are equal exactly for equal values under the same salt", () => {
    const one = digestsOf(comparableOf(text), "salt");
    const same = digestsOf(comparableOf(text), "salt");
    const moved = digestsOf(comparableOf(text.replace(":1/", ":2/")), "salt");

    expect(same).toEqual(one);
    expect(moved.backends["a"]?.["url"]).not.toBe(one.backends["a"]?.["url"]);
    expect(moved.backends["a"]?.["headers"]).toBe(one.backends["a"]?.["headers"]);
  });

  test("differ everywhere under another salt", () => {
    const one = digestsOf(comparableOf(text), "salt");
    const other = digestsOf(comparableOf(text), "pepper");

    const shared = Object.entries(one.settings).filter(
      ([key, digest]) => other.settings[key] === digest,
    );
    expect(shared).toEqual([]);
  });

  test("do not depend on the order of keys", () => {
    const named = (keys: string): string =>
      text.replace("name: a,", `name: a, headers: { ${keys} },`).replaceAll("=", ": ");

    const one = digestsOf(comparableOf(named("x='${TOKEN}', y='${OTHER}'")), "salt");
    const other = digestsOf(comparableOf(named("y='${OTHER}', x='${TOKEN}'")), "salt");

    expect(other).toEqual(one);
  });
});

function comparableOf(text: string): ComparableConfig {
  return parse(text, { env: ENV }).config.comparable;
}
