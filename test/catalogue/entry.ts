import { z } from "zod";

/**
 * The format of a catalogue of bad inputs. Strict throughout: a member that is not known here may not be skipped in
 * silence, for it may be the very thing that an entry is about. Values that may hold generators (`$gen`) or
 * placeholders (`${NAME}`) are `generated`; `generators.ts` and `placeholders.ts` know what they mean.
 */
const generated = z.unknown();

const jwtRecipe = z.strictObject({
  header: z.record(z.string(), generated),
  claims: z.record(z.string(), generated),
  key: z.string(),
});

const auth = z.union([
  z.string(),
  z.strictObject({ jwt: jwtRecipe }),
  z.strictObject({ literal: generated }),
]);

const session = z.union([z.string(), z.strictObject({ literal: generated })]);

const headers = z.record(z.string(), generated);

/** What any HTTP request may carry besides its body. */
const sending = {
  session: session.optional(),
  auth: auth.optional(),
  headers: headers.optional(),
  rawHeaders: z.array(z.tuple([z.string(), z.string()])).optional(),
  accept: z.string().optional(),
  bodyText: generated.optional(),
  chunked: z.boolean().optional(),
};

const httpStep = z.strictObject({
  method: z.string(),
  path: z.string().optional(),
  headers: headers.optional(),
  body: generated.optional(),
});

const step = z.strictObject({
  ...sending,
  http: httpStep.optional(),
  rpc: generated.optional(),
  get: z.string().optional(),
  openElicitation: z.string().optional(),
  reload: z.literal("invalid").optional(),
  repeat: z.int().positive().optional(),
  noWait: z.boolean().optional(),
});

const request = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("rpc"),
    era: z.enum(["legacy", "modern"]),
    message: generated,
    ...sending,
  }),
  z.strictObject({
    kind: z.literal("http"),
    method: z.string(),
    path: z.string(),
    body: generated.optional(),
    ...sending,
  }),
  z.strictObject({ kind: z.literal("raw"), bytes: generated }),
  z.strictObject({ kind: z.literal("sequence"), steps: z.array(step).min(1) }),
  z.strictObject({
    kind: z.literal("signal"),
    signal: z.enum(["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"]),
    to: z.literal("gateway"),
  }),
]);

const config = z.union([
  z.strictObject({ yaml: generated }),
  z.strictObject({ file: z.string() }),
  z.strictObject({ compositeTool: z.record(z.string(), generated) }),
  z.looseObject({ $gen: z.string() }),
]);

const backendBehaviour = z.strictObject({
  transport: z.enum(["http", "sse", "stdio"]),
  on: z.string(),
  do: z.array(z.record(z.string(), generated)),
});

const INVARIANT_IDS = [
  "I1",
  "I2",
  "I3",
  "I4",
  "I5",
  "I6",
  "I9",
  "I10",
  "I11",
  "I12",
  "I14",
] as const;

const status = z.union([z.int(), z.literal("closed")]);
const code = z.union([z.int(), z.literal(["result", "stream"]), z.null()]);
const idRule = z.literal(["echo", "absent"]);
const exit = z.union([z.int(), z.literal("running")]);

function oneOrMore<T extends z.ZodType>(type: T): z.ZodUnion<[T, z.ZodArray<T>]> {
  return z.union([type, z.array(type)]);
}

const expected = z.strictObject({
  http: oneOrMore(status).optional(),
  code: oneOrMore(code).optional(),
  id: oneOrMore(idRule).optional(),
  backendExecutions: z.union([z.int(), z.string().regex(/^<=\d+$/)]).optional(),
  backendCancelled: z.boolean().optional(),
  errorData: z.record(z.string(), z.unknown()).optional(),
  dataHas: z.array(z.string()).optional(),
  resultIsError: z.boolean().optional(),
  resultMetaHas: z.array(z.string()).optional(),
  resultEquals: z.literal("exact bytes").optional(),
  forwardedRaw: z.boolean().optional(),
  retryAfterMax: z.number().optional(),
  sseEvents: z.int().optional(),
  headersPresent: z.array(z.string()).optional(),
  headersAbsent: z.array(z.string()).optional(),
  wwwAuthenticate: z
    .strictObject({
      error: z.string().optional(),
      resource_metadata: z.boolean().optional(),
      scope: z.boolean().optional(),
    })
    .optional(),
  connection: z.enum(["keep", "close"]).optional(),
  maxMs: z.union([z.number(), z.string().regex(/^[A-Za-z]+\+\d+$/)]).optional(),
  maxBytesRead: z.int().optional(),
  maxRssDeltaMb: z.number().optional(),
  exit: oneOrMore(exit).optional(),
  errorPath: z.string().optional(),
  stderrHas: z.array(z.string()).optional(),
  listens: z.boolean().optional(),
  invariants: z.array(z.enum(INVARIANT_IDS)).optional(),
  check: z.string().optional(),
  note: z.string().optional(),
});

const entry = z.strictObject({
  id: z.string(),
  area: z.string(),
  description: z.string(),
  request: request.optional(),
  config: config.optional(),
  backendBehaviour: backendBehaviour.optional(),
  expected,
  // What the authors of the entry tried it on; nothing to check.
  verifiedOnNode20: z.unknown().optional(),
  verifiedWithJose: z.unknown().optional(),
  verifiedWithYaml: z.unknown().optional(),
  verifiedWithAjv: z.unknown().optional(),
});

/** One bad input and the answer that it should get. */
export type Entry = z.output<typeof entry>;
export type EntryRequest = z.output<typeof request>;
export type SequenceStep = z.output<typeof step>;
export type SessionRef = z.output<typeof session>;
export type AuthRef = z.output<typeof auth>;
export type JwtRecipe = z.output<typeof jwtRecipe>;
export type Behaviour = z.output<typeof backendBehaviour>;
export type Expected = z.output<typeof expected>;
export type InvariantId = (typeof INVARIANT_IDS)[number];

/** An entry as far as it could be read; without `entry`, `problem` says what is not known in it. */
export interface ReadEntry {
  readonly id: string;
  readonly description: string;
  readonly entry?: Entry;
  readonly problem?: string;
}

/** Reads the text of a catalogue. One entry that cannot be read does not hide the others; a file that is no list throws. */
export function readCatalogue(text: string): readonly ReadEntry[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new TypeError("a catalogue is a JSON array of entries");
  return list.map((raw: unknown, index) => readEntry(raw, index));
}

function readEntry(raw: unknown, index: number): ReadEntry {
  const named = z.looseObject({ id: z.string(), description: z.string() }).safeParse(raw);
  const { id, description } = named.data ?? { id: `entry ${index + 1}`, description: "?" };
  const parsed = entry.safeParse(raw);
  if (parsed.success) return { id, description, entry: parsed.data };
  return { id, description, problem: oneLine(z.prettifyError(parsed.error)) };
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
