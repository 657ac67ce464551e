import { describe, expect, test } from "vitest";
import { CredentialCache, type Expiring } from "./credential-cache.ts";

interface Token extends Expiring {
  readonly text: string;
}

/** A cache with a clock of its own, and a source whose answers the test gives. */
function setUp(maxKeys?: number) {
  const clock = { nowMs: 1_000_000 };
  const asked: { readonly give: (token: Token) => void; readonly fail: (error: Error) => void }[] =
    [];
  const fetch = async (): Promise<Token> =>
    new Promise((give, fail) => {
      asked.push({ give, fail });
    });
  const cache = new CredentialCache<Token>({
    now: () => clock.nowMs,
    ...(maxKeys !== undefined && { maxKeys }),
  });
  const tokenFor = (text: string, lifeMs: number): Token => ({
    text,
    expiresAtMs: clock.nowMs + lifeMs,
  });
  return { clock, asked, fetch, cache, tokenFor };
}

const HOUR_MS = 3_600_000;

describe("credentials that are remembered", () => {
  test("are fetched once for all who ask at the same time, and then given at once", async () => {
    const { asked, fetch, cache, tokenFor } = setUp();
    const token = tokenFor("a", HOUR_MS);

    const waiting = [1, 2, 3].map(async () => cache.get("k", fetch));
    asked[0]?.give(token);

    expect(await Promise.all(waiting)).toEqual([token, token, token]);
    expect(cache.get("k", fetch)).toBe(token);
    expect(asked).toHaveLength(1);
  });

  test("are told apart by their key", async () => {
    const { asked, fetch, cache, tokenFor } = setUp();

    const [one, two] = [cache.get("1", fetch), cache.get("2", fetch)];
    asked[0]?.give(tokenFor("a", HOUR_MS));
    asked[1]?.give(tokenFor("b", HOUR_MS));

    expect([await one, await two]).toMatchObject([{ text: "a" }, { text: "b" }]);
  });

  test("that could not be had are asked for again by the next one", async () => {
    const { asked, fetch, cache, tokenFor } = setUp();

    const [first, beside] = [cache.get("k", fetch), cache.get("k", fetch)];
    asked[0]?.fail(new Error("away"));
    await expect(first).rejects.toThrow("away");
    await expect(beside).rejects.toThrow("away");
    const second = cache.get("k", fetch);
    asked[1]?.give(tokenFor("a", HOUR_MS));

    expect(await second).toMatchObject({ text: "a" });
    expect(cache.size).toBe(1);
  });

  test("beyond as many as there may be push out those that were fetched longest ago", async () => {
    const { asked, fetch, cache, tokenFor } = setUp(2);

    for (const [index, key] of ["1", "2", "3"].entries()) {
      const got = cache.get(key, fetch);
      asked[index]?.give(tokenFor(key, HOUR_MS));
      await got;
    }

    expect(cache.size).toBe(2);
    expect(cache.get("1", fetch)).toBeInstanceOf(Promise);
  });

  test("are forgotten when the cache is closed, and so is what comes later", async () => {
    const { asked, fetch, cache, tokenFor } = setUp();
    const late = cache.get("k", fetch);

    cache[Symbol.dispose]();
    asked[0]?.give(tokenFor("a", HOUR_MS));
    await late;

    expect(cache.size).toBe(0);
  });
});

describe("credentials near their end", () => {
  test.for([
    ["a minute before the end of an hour", HOUR_MS, HOUR_MS - 60_000],
    ["in the last fifth of a short life", 10_000, 8_000],
  ] as const)("are renewed %s, while the old ones are still given", async (row) => {
    const [, lifeMs, refreshAfterMs] = row;
    const { clock, asked, fetch, cache, tokenFor } = setUp();
    const first = cache.get("k", fetch);
    const old = tokenFor("old", lifeMs);
    asked[0]?.give(old);
    await first;

    clock.nowMs += refreshAfterMs - 1;
    const before = [cache.get("k", fetch), asked.length];
    clock.nowMs += 1;
    const during = [cache.get("k", fetch), cache.get("k", fetch), asked.length];
    asked[1]?.give(tokenFor("new", HOUR_MS));
    await new Promise(setImmediate);

    expect(before).toEqual([old, 1]);
    expect(during).toEqual([old, old, 2]);
    expect(cache.get("k", fetch)).toMatchObject({ text: "new" });
  });

  test("are given on where renewing them fails, and asked for again a while later", async () => {
    const { clock, asked, fetch, cache, tokenFor } = setUp();
    const first = cache.get("k", fetch);
    const old = tokenFor("old", HOUR_MS);
    asked[0]?.give(old);
    await first;
    clock.nowMs += HOUR_MS - 50_000;

    const given = cache.get("k", fetch);
    asked[1]?.fail(new Error("away"));
    await new Promise(setImmediate);
    const soon = [cache.get("k", fetch), asked.length];
    clock.nowMs += 5_000;
    const later = [cache.get("k", fetch), asked.length];

    expect(given).toBe(old);
    expect(soon).toEqual([old, 2]);
    expect(later).toEqual([old, 3]);
  });

  test.for([
    ["five seconds before the end of an hour", HOUR_MS, HOUR_MS - 5_000],
    ["in the last twentieth of a short life", 10_000, 9_500],
    ["from the start, where they come with no life left", 0, 0],
  ] as const)("are given no more %s", async ([, lifeMs, endsAfterMs]) => {
    const { clock, asked, fetch, cache, tokenFor } = setUp();
    const first = cache.get("k", fetch);
    asked[0]?.give(tokenFor("old", lifeMs));
    await first;

    clock.nowMs += endsAfterMs;

    expect(cache.get("k", fetch)).toBeInstanceOf(Promise);
  });
});

describe("credentials that are refused", () => {
  test("are given no more, and others are fetched once for all", async () => {
    const { asked, fetch, cache, tokenFor } = setUp();
    const old = tokenFor("old", HOUR_MS);
    const first = cache.get("k", fetch);
    asked[0]?.give(old);
    await first;

    const mayAskAgain = [cache.refuse("k", old), cache.refuse("k", old)];
    const waiting = [1, 2].map(async () => cache.get("k", fetch));
    asked[1]?.give(tokenFor("new", HOUR_MS));

    expect(mayAskAgain).toEqual([true, true]);
    expect(await Promise.all(waiting)).toMatchObject([{ text: "new" }, { text: "new" }]);
    expect(asked).toHaveLength(2);
  });

  test("late, when others have come, do those no harm", async () => {
    const { asked, fetch, cache, tokenFor } = setUp();
    const old = tokenFor("old", HOUR_MS);
    const first = cache.get("k", fetch);
    asked[0]?.give(old);
    await first;
    cache.refuse("k", old);
    const second = cache.get("k", fetch);
    const replacement = tokenFor("new", HOUR_MS);
    asked[1]?.give(replacement);
    await second;

    const mayAskAgain = cache.refuse("k", old);

    expect(mayAskAgain).toBe(true);
    expect(cache.get("k", fetch)).toBe(replacement);
  });

  test("right after they replaced others are kept for half a minute, instead of asking on and on", async () => {
    const { clock, asked, fetch, cache, tokenFor } = setUp();
    const old = tokenFor("old", HOUR_MS);
    const first = cache.get("k", fetch);
    asked[0]?.give(old);
    await first;
    cache.refuse("k", old);
    const second = cache.get("k", fetch);
    const replacement = tokenFor("new", HOUR_MS);
    asked[1]?.give(replacement);
    await second;

    const atOnce = cache.refuse("k", replacement);
    const kept = cache.get("k", fetch);
    clock.nowMs += 30_000;
    const later = cache.refuse("k", replacement);

    expect([atOnce, kept, later]).toEqual([false, replacement, true]);
  });
});
