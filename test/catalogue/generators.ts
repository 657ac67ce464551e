import { gzipSync } from "node:zlib";
import { stringify } from "yaml";
import { z } from "zod";

/** What a generator makes: text (which goes out as UTF-8, or as latin1 where bytes are meant), bytes, or a value. */
type Make = (args: unknown) => unknown;

const count = z.int().nonnegative();

/** The size of what is generated goes by several names. */
const sized = z
  .strictObject({ count: count.optional(), depth: count.optional(), levels: count.optional() })
  .transform((given) => given.count ?? given.depth ?? given.levels ?? 0);

function generator<T>(args: z.ZodType<T>, make: (args: T) => unknown): Make {
  return (given) => make(args.parse(given));
}

/** A gzip file may have several members one after the other; few of them make a file that inflates to a gigabyte. */
const GZIP_MEMBER_BYTES = 32 * 1024 * 1024;

const GENERATORS: ReadonlyMap<string, Make> = new Map([
  [
    "repeat",
    generator(z.strictObject({ unit: z.string(), count }), ({ unit, count: times }) =>
      unit.repeat(times),
    ),
  ],
  [
    "concat",
    generator(z.strictObject({ parts: z.array(z.unknown()) }), ({ parts }) =>
      join(parts.map(expand)),
    ),
  ],
  [
    "nest",
    generator(
      z.strictObject({
        open: z.string(),
        close: z.string(),
        depth: count,
        inner: z.string().default(""),
      }),
      ({ open, close, depth, inner }) => open.repeat(depth) + inner + close.repeat(depth),
    ),
  ],
  [
    "base64",
    generator(z.strictObject({ data: z.string() }), ({ data }) => Buffer.from(data, "base64")),
  ],
  ["hex", generator(z.strictObject({ data: z.string() }), ({ data }) => Buffer.from(data, "hex"))],
  [
    "bytes",
    generator(
      z.union([
        z.strictObject({ data: z.array(z.int().min(0).max(255)) }),
        z.strictObject({ value: z.int().min(0).max(255).default(0), count }),
      ]),
      (args) =>
        "data" in args ? Buffer.from(args.data) : Buffer.alloc(args.count, args.value ?? 0),
    ),
  ],
  ["gzip", generator(z.strictObject({ of: z.unknown() }), ({ of }) => gzipOf(of))],
  [
    "utf16le",
    generator(z.strictObject({ of: z.unknown() }), ({ of }) =>
      Buffer.from(String(expand(of)), "utf16le"),
    ),
  ],
  ["objectKeys", generator(sized, (keys) => objectOf(keys, (n) => [`k${n}`, {}]))],
  ["hashDosKeys", generator(sized, (keys) => objectOf(keys, (n) => [String(n * 2 ** 16), 0]))],
  ["array", generator(sized, (items) => Array.from({ length: items }, (_item, index) => index))],
  [
    "uris",
    generator(sized, (uris) => Array.from({ length: uris }, (_uri, index) => `res://x/${index}`)),
  ],
  [
    "anyOf",
    generator(sized, (branches) => ({
      anyOf: Array.from({ length: branches }, (_branch, index) => ({ const: index })),
    })),
  ],
  ["deepSchema", generator(sized, deepSchema)],
  [
    "yamlKeys",
    generator(sized, (keys) =>
      Array.from({ length: keys }, (_key, index) => `k${index}: 1\n`).join(""),
    ),
  ],
  [
    "yamlAliasBomb",
    generator(z.strictObject({ levels: count, width: count }), ({ levels, width }) =>
      yamlAliasBomb(levels, width),
    ),
  ],
  [
    "steps",
    generator(sized, (steps) =>
      stringify({
        compositeTools: [
          {
            name: "w",
            description: "d",
            steps: Array.from({ length: steps }, (_step, n) => ({ id: `s${n}`, tool: "b1_echo" })),
          },
        ],
      }),
    ),
  ],
]);

/** Puts what each `$gen` within a value makes in its place. Throws for a generator, or a member of one, it does not know. */
export function expand(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if ("$gen" in value) return generate(value);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, expand(member)]));
}

/** A generated text or value as bytes; a value becomes JSON. */
export function toBytes(value: unknown, encoding: "utf8" | "latin1" = "utf8"): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value), encoding);
}

function generate({ $gen, ...args }: { readonly $gen: unknown }): unknown {
  const make = GENERATORS.get(String($gen));
  if (make === undefined) throw new TypeError(`the generator "${String($gen)}" is not known`);
  return make(args);
}

function join(parts: readonly unknown[]): string | Buffer {
  if (parts.every((part) => typeof part === "string")) return parts.join("");
  return Buffer.concat(parts.map((part) => toBytes(part)));
}

function objectOf(
  size: number,
  member: (n: number) => readonly [string, unknown],
): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: size }, (_member, index) => member(index)));
}

function gzipOf(value: unknown): Buffer {
  const repeated = z
    .strictObject({ $gen: z.literal("repeat"), unit: z.string().length(1), count })
    .safeParse(value);
  if (!repeated.success) return gzipSync(toBytes(expand(value)));
  const { unit, count: size } = repeated.data;
  const member = gzipSync(Buffer.alloc(GZIP_MEMBER_BYTES, unit));
  const whole = Array.from({ length: Math.floor(size / GZIP_MEMBER_BYTES) }, () => member);
  return Buffer.concat([...whole, gzipSync(Buffer.alloc(size % GZIP_MEMBER_BYTES, unit))]);
}

function deepSchema(depth: number): object {
  let schema: object = { type: "string" };
  for (let level = 0; level < depth; level += 1)
    schema = { type: "object", properties: { a: schema } };
  return schema;
}

function yamlAliasBomb(levels: number, width: number): string {
  const lines = Array.from({ length: levels }, (_line, level) => {
    const item = level === 0 ? "x" : `*a${level - 1}`;
    return `a${level}: &a${level} [${Array.from({ length: width }, () => item).join(",")}]\n`;
  });
  return lines.join("");
}
