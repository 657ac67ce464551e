import { messageOf } from "../domain/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { CliError } from "./cli-error.ts";
import { EXIT } from "./exit-codes.ts";

const STDIN = "-";
const PAIR = /^(?<key>[^=]+)=(?<value>.*)$/s;

/**
 * Reads the arguments of a tool as a command line gives them: nothing, one JSON object, `-` for standard input,
 * or `key=value` pairs. A value of a pair is JSON unless the schema says that the property is a string, or it is
 * none. Throws `CliError`.
 */
export async function readCallArguments(
  words: readonly string[],
  inputSchema: JsonObject | undefined,
  readStdin: () => Promise<string>,
): Promise<JsonObject> {
  const [first, ...others] = words;
  if (first === undefined) return {};
  if (others.length === 0 && first === STDIN) return parseObject(await readStdin());
  if (others.length === 0 && !PAIR.test(first)) return parseObject(first);
  if (others.length === 0 && first.trimStart().startsWith("{")) return parseObject(first);
  return parsePairs(words, inputSchema);
}

function parseObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CliError(
      EXIT.badData,
      `The arguments are not JSON (${messageOf(error)}): give an object such as '{"key": "value"}', or key=value.`,
    );
  }
  if (isJsonObject(value)) return value;
  throw new CliError(
    EXIT.badData,
    `The arguments must be a JSON object such as '{"key": "value"}'.`,
  );
}

function parsePairs(words: readonly string[], inputSchema: JsonObject | undefined): JsonObject {
  const entries = words.map((word): [string, JsonValue] => {
    const { key, value } = PAIR.exec(word)?.groups ?? {};
    if (key === undefined || value === undefined) {
      throw new CliError(EXIT.usage, `${JSON.stringify(word)} is not key=value.`);
    }
    return [key, toValue(value, propertyType(inputSchema, key))];
  });
  return Object.fromEntries(entries);
}

function toValue(text: string, type: JsonValue | undefined): JsonValue {
  if (type === "string") return text;
  try {
    // What JSON.parse returns is this type.
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

function propertyType(schema: JsonObject | undefined, key: string): JsonValue | undefined {
  const properties = schema?.["properties"];
  if (!isJsonObject(properties) || !Object.hasOwn(properties, key)) return undefined;
  const property = properties[key];
  return isJsonObject(property) ? property["type"] : undefined;
}
