import type { ErrorObject } from "ajv/dist/ajv.js";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { clip } from "../mcp/inbound-message.ts";

/** Faults in one sentence; of more, the outermost and the most specific are told. */
const MAX_FAULTS = 3;
/** Alternatives inside of alternatives can fail in hundreds of thousands of ways. */
const MAX_FAULTS_READ = 100;
/** Values that are named where one of them would be right. */
const MAX_CHOICES = 8;
const MAX_TEXT_CHARS = 300;
const MAX_PART_CHARS = 100;
const MAX_VALUE_CHARS = 32;

/**
 * Says what is wrong with the arguments of a call so that a model can correct them: which argument, what came, what
 * would be right. At most 300 characters; texts of the client itself never stand in it at length.
 */
export function describeFaults(tool: string, faults: readonly ErrorObject[]): string {
  const told = mostTelling(faults).map(describeFault);
  const intro = `The arguments of "${clip(tool, MAX_PART_CHARS)}" do not fit its schema: `;
  return clip(intro + [...new Set(told)].join("; "), MAX_TEXT_CHARS - 1);
}

/** The last fault is the one that failed the whole; before it stand those of the alternatives that were tried. */
function mostTelling(faults: readonly ErrorObject[]): readonly ErrorObject[] {
  const whole = faults.slice(-1);
  const parts = faults
    .slice(0, -1)
    .slice(-MAX_FAULTS_READ)
    .filter(({ keyword }) => !COMBINING.has(keyword))
    .toSorted((a, b) => depthOf(b) - depthOf(a));
  return [...whole, ...parts].slice(0, MAX_FAULTS);
}

const COMBINING: ReadonlySet<string> = new Set(["allOf", "anyOf", "oneOf", "not", "if"]);

function depthOf({ instancePath }: ErrorObject): number {
  return instancePath.split("/").length;
}

function describeFault(fault: ErrorObject): string {
  const { keyword, instancePath, parentSchema } = fault;
  // Parameters are plain values, whatever the keyword.
  const params = fault.params as JsonObject;
  const properties = parentSchema?.["properties"];
  switch (keyword) {
    case "required": {
      const name = textOf(params["missingProperty"]);
      const schema: unknown = isJsonObject(properties) ? properties[name] : undefined;
      const type = isJsonObject(schema) ? typesIn(schema["type"]) : "";
      return `${pathOf(instancePath, name)} is missing${type && `, it must be ${type}`}`;
    }
    case "additionalProperties":
    case "unevaluatedProperties": {
      const extra = params["additionalProperty"] ?? params["unevaluatedProperty"];
      const known = isJsonObject(properties) ? choices(Object.keys(properties)) : "";
      const others = known === "" ? "" : `; known here: ${known}`;
      return `${pathOf(instancePath, textOf(extra))} is not a known argument${others}`;
    }
    case "false schema":
      return `${pathOf(instancePath)} is not allowed`;
    default:
      return `${pathOf(instancePath)} ${ruleOf(fault, params)}, not ${kindOf(fault.data)}`;
  }
}

/** What would be right, by the keyword that was broken. */
function ruleOf({ keyword, message, schema }: ErrorObject, params: JsonObject): string {
  switch (keyword) {
    case "type":
      return `must be ${typesIn(params["type"])}`;
    case "enum":
      return `must be one of ${choices(Array.isArray(schema) ? schema : [])}`;
    case "const":
      return `must be ${brief(schema)}`;
    case "pattern":
      return `must match the pattern ${clip(textOf(params["pattern"]), MAX_PART_CHARS)}`;
    case "anyOf":
    case "oneOf":
      return `must fit ${keyword === "anyOf" ? "one" : "exactly one"} of ${alternatives(schema)}`;
    default:
      // The compiler's own words are short for every other keyword: "must be >= 3".
      return clip((message ?? "is not right").replace("NOT", "not"), MAX_PART_CHARS);
  }
}

function alternatives(schema: unknown): string {
  return `${Array.isArray(schema) ? schema.length : 0} alternatives`;
}

/** A JSON pointer; the arguments as a whole have none. */
function pathOf(instancePath: string, name?: string): string {
  const last = name === undefined ? "" : `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  const path = instancePath + last;
  return path === "" ? "the arguments" : clip(path, MAX_PART_CHARS);
}

function typesIn(types: unknown): string {
  const names: readonly unknown[] = Array.isArray(types) ? types : [types];
  return names.flatMap((name) => ARTICLES.get(textOf(name)) ?? []).join(" or ");
}

const ARTICLES: ReadonlyMap<string, string> = new Map([
  ["array", "an array"],
  ["boolean", "a boolean"],
  ["integer", "an integer"],
  ["null", "null"],
  ["number", "a number"],
  ["object", "an object"],
  ["string", "a string"],
]);

/** What came, told without its content. */
function kindOf(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "string") return `a string of length ${value.length}`;
  return Array.isArray(value) ? `an array of length ${value.length}` : "an object";
}

function choices(values: readonly unknown[]): string {
  const named = values.slice(0, MAX_CHOICES).map(brief).join(", ");
  const more = values.length - MAX_CHOICES;
  return more > 0 ? `${named} and ${more} more` : named;
}

function brief(value: unknown): string {
  if (typeof value !== "object" || value === null)
    return clip(JSON.stringify(value) ?? "", MAX_VALUE_CHARS);
  return Array.isArray(value) ? "an array of the schema" : "an object of the schema";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
