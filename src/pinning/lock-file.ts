import { VmcpError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { digestOf, isShallow, sortedByKey } from "./canonical.ts";
import {
  LOCKED_KINDS,
  type Lock,
  type LockedBackend,
  type LockedEntry,
  type LockedKind,
} from "./lock.ts";
import { seenJson } from "./shown-text.ts";

/** Of the format; a file of another version is refused. */
const LOCK_VERSION = 1;

/** Far more than any catalogue; what is larger was not written by `vmcp lock`. */
export const MAX_LOCK_BYTES = 256 * 1024 * 1024;

/** What a lock file calls the kinds. */
const SECTIONS = {
  tool: "tools",
  prompt: "prompts",
  resourceTemplate: "resourceTemplates",
} as const satisfies Record<LockedKind, string>;

/** The text of a lock file: the same for equal locks, and of equal lines where they are equal. */
export function renderLock(lock: Lock): string {
  const backends = [...lock].map(([name, backend]) => [name, toJson(backend)] as const);
  const file = { lockVersion: LOCK_VERSION, backends: sortedByKey(Object.fromEntries(backends)) };
  return seenJson(`${JSON.stringify(file, undefined, 2)}\n`);
}

/**
 * Reads the text of a lock file; `name` stands for it in messages. Throws `invalid_config` where it is none, is of
 * another version, or an entry does not fit its digest, which means that somebody edited it.
 */
export function parseLock(text: string, name: string): Lock {
  const { lockVersion, backends } = parseFile(text, name);
  if (lockVersion !== LOCK_VERSION || !isJsonObject(backends)) {
    throw refusal(name, `is no lock file of version ${String(LOCK_VERSION)}`);
  }
  return new Map(
    Object.entries(backends).map(([backend, value]) => [
      backend,
      readBackend(value, backend, name),
    ]),
  );
}

function toJson({ instructions, entries }: LockedBackend): JsonObject {
  const sections = LOCKED_KINDS.map((kind) => [SECTIONS[kind], toSection(entries[kind])] as const);
  return {
    ...(instructions !== undefined && { instructions }),
    ...Object.fromEntries(sections),
  };
}

function toSection(entries: ReadonlyMap<string, LockedEntry>): JsonObject {
  return Object.fromEntries(
    [...entries].map(([key, { digest, definition }]) => [key, { digest, definition }]),
  );
}

function parseFile(text: string, name: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refusal(name, "is not JSON", error);
  }
  if (!isJsonObject(value)) throw refusal(name, "is no lock file");
  return value;
}

function readBackend(value: JsonValue, backend: string, name: string): LockedBackend {
  if (!isJsonObject(value)) throw refusal(name, `says nothing usable of backend "${backend}"`);
  const { instructions } = value;
  const read = (kind: LockedKind): ReadonlyMap<string, LockedEntry> =>
    readSection(value[SECTIONS[kind]], `${SECTIONS[kind]} of backend "${backend}"`, name);
  return {
    instructions: typeof instructions === "string" ? instructions : undefined,
    entries: {
      tool: read("tool"),
      prompt: read("prompt"),
      resourceTemplate: read("resourceTemplate"),
    },
  };
}

function readSection(
  value: JsonValue | undefined,
  where: string,
  name: string,
): ReadonlyMap<string, LockedEntry> {
  if (value === undefined) return new Map();
  if (!isJsonObject(value)) throw refusal(name, `has no usable ${where}`);
  return new Map(
    Object.entries(value).map(([key, entry]) => {
      const locked = readEntry(entry);
      if (locked === undefined) {
        throw refusal(name, `has an entry among the ${where} that does not fit its digest`);
      }
      return [key, locked];
    }),
  );
}

function readEntry(value: JsonValue): LockedEntry | undefined {
  if (!isJsonObject(value)) return undefined;
  const { digest, definition } = value;
  if (definition === undefined || typeof digest !== "string") return undefined;
  if (typeof definition !== "string" && !isJsonObject(definition)) return undefined;
  if (!isShallow(definition)) return undefined;
  return digestOf(definition) === digest ? { digest, definition } : undefined;
}

function refusal(name: string, fault: string, cause?: unknown): VmcpError {
  return new VmcpError(
    "invalid_config",
    `The lock file ${name} ${fault}: write it anew with \`vmcp lock\``,
    { cause },
  );
}
