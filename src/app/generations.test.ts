import { expect, test } from "vitest";
import { HttpPools } from "../backend/streamable-http/http-pools.ts";
import { resolveConfig } from "../config/load-config.ts";
import type { BackendConfig, VmcpConfig } from "../config/vmcp-config.ts";
import { VmcpError } from "../domain/errors.ts";
import type { AssembledBackend } from "./backends.ts";
import type { Generation, MakeBackend } from "./generation.ts";
import { Generations } from "./generations.ts";

const nothing = async (): Promise<void> => {};

test("a backend that did not change is the same object in the next generation", async () => {
  const { generations } = await start(configOf("a", "b"));
  const [a] = generations.current.backends;

  await generations.change(configOf("a", "c"), nothing);

  const names = generations.current.backends.map(({ config }) => String(config.name));
  expect(generations.current.number).toBe(2);
  expect(names).toEqual(["a", "c"]);
  expect(generations.current.backends[0]?.assembled).toBe(a?.assembled);
});

test("the new generation is in force when it is installed, and nothing of it before", async () => {
  const { generations } = await start(configOf("a"));
  const seen: Generation[] = [];

  const changing = generations.change(configOf("b"), async (next, _plan, before) => {
    seen.push(before, next, generations.current);
  });
  const meanwhile = generations.current.number;
  await changing;

  expect(meanwhile).toBe(1);
  expect(seen.map(({ number }) => number)).toEqual([1, 2, 2]);
});

test("changes that come at once are made one after the other", async () => {
  const { generations } = await start(configOf("a"));
  const installed: number[] = [];
  const install = async ({ number }: Generation): Promise<void> => void installed.push(number);

  const plans = await Promise.all([
    generations.change(configOf("b"), install),
    generations.change(configOf("b"), install),
    generations.change(configOf("c"), install),
  ]);

  expect(installed).toEqual([2, 3]);
  expect(plans.map(({ changes }) => changes.length)).toEqual([2, 0, 2]);
});

test("a generation that cannot be made leaves the one before, and the next change works", async () => {
  const { generations } = await start(configOf("a"));

  await expect(generations.change(configOf("bad"), nothing)).rejects.toThrow("cannot be made");
  await generations.change(configOf("b"), nothing);

  expect(generations.current.number).toBe(2);
});

test("what was made for a generation that cannot be made is closed again", async () => {
  const { generations, closed } = await start(configOf("a"));

  await expect(generations.change(configOf("a", "b", "bad", "c"), nothing)).rejects.toThrow(
    "cannot be made",
  );

  expect(closed.toSorted()).toEqual(["b", "c"]);
});

test("the sockets of a backend that is gone are closed once nobody uses it, and others are not", async () => {
  const { generations, closed } = await start(configOf("a", "b"));
  let leave = (): void => {};
  const unused = new Promise<void>((resolve) => {
    leave = resolve;
  });

  await generations.change(configOf("a"), async () => unused);
  const before = [...closed];
  leave();
  await expect.poll(() => closed).toEqual(["b"]);

  expect(before).toEqual([]);
});

test("a change that is under way when the end comes is not installed", async () => {
  const { generations } = await start(configOf("a"));

  const changing = generations.change(configOf("b"), nothing);
  generations.close();

  await expect(changing).rejects.toMatchObject({ code: "shutting_down" });
  expect(generations.current.number).toBe(1);
});

test("closing closes what is left, and waits for what is leaving", async () => {
  const { generations, closed } = await start(configOf("a", "b"));
  await generations.change(configOf("a"), nothing);

  await generations[Symbol.asyncDispose]();

  expect(closed.toSorted()).toEqual(["a", "b"]);
  await expect(generations.change(configOf("c"), nothing)).rejects.toMatchObject({
    code: "shutting_down",
  });
});

async function start(config: VmcpConfig) {
  const closed: string[] = [];
  const make: MakeBackend = async ({ name }: BackendConfig) => {
    if (name === "bad") throw new VmcpError("invalid_config", "it cannot be made");
    const http = new HttpPools();
    const destroy = http[Symbol.asyncDispose].bind(http);
    http[Symbol.asyncDispose] = async () => {
      closed.push(name);
      await destroy();
    };
    // Only its identity matters here.
    return { http, assembled: { name } as unknown as AssembledBackend };
  };
  return { generations: await Generations.create(config, make), closed };
}

function configOf(...names: readonly string[]): VmcpConfig {
  return resolveConfig({
    backends: names.map((name) => ({ name, url: `http://127.0.0.1:1/${name}` })),
  });
}
