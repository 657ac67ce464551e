import type { LookupAddress, LookupOptions } from "node:dns";
import type { LookupFunction } from "node:net";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ADDRESS_REFUSED, createCheckedLookup } from "./checked-lookup.ts";

/** A name whose addresses change from one question to the next. */
function changingName(...answers: readonly (readonly string[])[]): LookupFunction {
  const left = [...answers];
  return (_host, _options, callback) => {
    const addresses = left.length > 1 ? left.shift() : left[0];
    callback(
      null,
      (addresses ?? []).map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  };
}

/** The addresses, or the code of the error. */
async function ask(lookup: LookupFunction, options: LookupOptions = { all: true }) {
  return new Promise<readonly string[] | string | undefined>((resolve) => {
    lookup("name.example", options, (error, found: string | LookupAddress[]) => {
      if (error !== null) resolve(error.code);
      else resolve(typeof found === "string" ? [found] : found.map(({ address }) => address));
    });
  });
}

const INSIDE = [
  "127.0.0.1",
  "127.9.9.9",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.1.1",
  "100.64.0.1",
  "0.0.0.0",
  "::1",
  "::",
  "fd00::1",
  "::ffff:127.0.0.1",
  "64:ff9b::7f00:1",
  "2002:7f00:1::",
];
const FORBIDDEN = [
  "169.254.169.254",
  "fe80::1",
  "fe80::1%eth0",
  "::ffff:169.254.169.254",
  "64:ff9b::a9fe:a9fe",
  "fd00:ec2::254",
  "100.100.100.200",
];
const OUTSIDE = ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822", "198.18.0.1"];

test.for(INSIDE)("a name that led outside never leads to %s", async (address) => {
  const lookup = createCheckedLookup(changingName(["93.184.216.34"], [address]));

  expect(await ask(lookup)).toEqual(["93.184.216.34"]);
  expect(await ask(lookup)).toBe(ADDRESS_REFUSED);
});

test.for(INSIDE)("a name that leads to %s from the start may go on doing so", async (address) => {
  const lookup = createCheckedLookup(changingName([address]));

  expect([await ask(lookup), await ask(lookup)]).toEqual([[address], [address]]);
});

test.for(FORBIDDEN)("no name leads to %s", async (address) => {
  const lookup = createCheckedLookup(changingName([address]));

  expect(await ask(lookup)).toBe(ADDRESS_REFUSED);
});

test.for(OUTSIDE)("a name may come to lead to %s", async (address) => {
  const lookup = createCheckedLookup(changingName(["1.1.1.1"], [address]));
  await ask(lookup);

  expect(await ask(lookup)).toEqual([address]);
});

test("of several addresses those outside are left", async () => {
  const lookup = createCheckedLookup(changingName(["127.0.0.1", "1.1.1.1", "fe80::1"]));

  expect(await ask(lookup)).toEqual(["1.1.1.1"]);
  expect(await ask(lookup, {})).toEqual(["1.1.1.1"]);
});

test("a resolver that gives one address is understood too", async () => {
  const lookup = createCheckedLookup((_host, _options, callback) => callback(null, "1.1.1.1", 4));

  expect(await ask(lookup, {})).toEqual(["1.1.1.1"]);
});

test("what the resolver fails with is passed on", async () => {
  const lookup = createCheckedLookup((_host, _options, callback) =>
    callback(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }), ""),
  );

  expect(await ask(lookup)).toBe("ENOTFOUND");
});

test("whatever a name leads to in whatever order, nothing inside follows what was outside", async () => {
  const addresses = fc.array(fc.constantFrom(...INSIDE, ...FORBIDDEN, ...OUTSIDE), {
    minLength: 1,
    maxLength: 3,
  });

  await fc.assert(
    fc.asyncProperty(fc.array(addresses, { minLength: 1, maxLength: 6 }), async (answers) => {
      const lookup = createCheckedLookup(changingName(...answers));
      let hasLedOutside = false;
      for (const answer of answers) {
        hasLedOutside ||= answer.some((address) => OUTSIDE.includes(address));
        // Each question comes after the one before.
        // oxlint-disable-next-line no-await-in-loop
        const given = await ask(lookup);
        const wanted = hasLedOutside ? OUTSIDE : INSIDE;
        const left = answer.filter((address) => wanted.includes(address));

        expect(given).toEqual(left.length > 0 ? left : ADDRESS_REFUSED);
      }
    }),
  );
});
