import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { rawAt } from "../support/raw-json.ts";
import type { Expected } from "./entry.ts";
import { eventsIn, type HttpAnswer } from "./http-reader.ts";
import type { Outcome } from "./perform.ts";
import { RESULT } from "./rig-tools.ts";
import { textOf } from "./text-of.ts";

/** What came and what should have come; empty where they are the same. */
export type Differences = readonly string[];

type Check = (outcome: Outcome, expected: Expected) => Differences | Promise<Differences>;

/** Compares an answer with what an entry expects of it. What the answer does not show is not looked at here. */
export async function compareAnswer(outcome: Outcome, expected: Expected): Promise<Differences> {
  const found = await Promise.all(CHECKS.map(async (check) => check(outcome, expected)));
  return found.flat();
}

const CHECKS: readonly Check[] = [
  compareStatus,
  compareCodes,
  compareId,
  compareErrorData,
  compareResult,
  compareHeaders,
  compareChallenge,
  compareConnection,
  compareEvents,
];

function compareStatus({ answers, isClosed }: Outcome, { http }: Expected): Differences {
  if (http === undefined) return [];
  const allowed = listOf(http);
  if (answers.length === 0)
    return isClosed && allowed.includes("closed") ? [] : [differ("http", "closed", http)];
  const wrong = answers.find(({ status }) => !allowed.includes(status));
  return wrong === undefined ? [] : [differ("http", `${wrong.status} ${excerpt(wrong)}`, http)];
}

/** Without a code, no JSON-RPC body is needed; where other codes are named, a body that is there has one of them. */
function compareCodes(outcome: Outcome, { code }: Expected): Differences {
  if (code === undefined || code === null) return [];
  const allowed = listOf(code);
  return outcome.answers
    .map((answer) => codeOf(answer))
    .filter((found) => !allowed.includes(found))
    .slice(0, 1)
    .map((found) => differ("code", `${String(found)} ${excerpt(outcome.answers.at(-1))}`, code));
}

/** The code of the error, `result`, `stream` where nothing has come on one, or null for no JSON-RPC answer. */
function codeOf(answer: HttpAnswer): number | "result" | "stream" | null {
  const message = lastAnswerIn(answer);
  if (message === undefined) return answer.status === 200 && !answer.isComplete ? "stream" : null;
  if ("result" in message) return "result";
  const { error } = message;
  return isJsonObject(error) && typeof error["code"] === "number" ? error["code"] : null;
}

function compareId({ answers, idJson }: Outcome, { id }: Expected): Differences {
  if (id === undefined) return [];
  const allowed = listOf(id);
  const last = answers.at(-1);
  const text = last === undefined ? undefined : lastAnswerText(last);
  const found = text === undefined ? undefined : rawAt(text, ["id"]);
  if (found === undefined) return allowed.includes("absent") ? [] : [differ("id", "absent", id)];
  const isEchoed = idJson !== undefined && JSON.stringify(JSON.parse(found)) === idJson;
  return isEchoed && allowed.includes("echo") ? [] : [differ("id", found, id)];
}

function compareErrorData({ answers }: Outcome, expected: Expected): Differences {
  const { errorData, dataHas, retryAfterMax } = expected;
  if (errorData === undefined && dataHas === undefined && retryAfterMax === undefined) return [];
  const data = dataOf(answers.at(-1));
  const wrong = Object.entries(errorData ?? {})
    .filter(([key, value]) => JSON.stringify(data[key]) !== JSON.stringify(value))
    .map(([key, value]) => differ(`error.data.${key}`, textOf(data[key]), value));
  const missing = (dataHas ?? [])
    .filter((key) => !(key in data))
    .map((key) => differ(`error.data.${key}`, "nothing", "something"));
  const { retryAfterSeconds } = data;
  const isTooLong =
    retryAfterMax !== undefined &&
    typeof retryAfterSeconds === "number" &&
    retryAfterSeconds > retryAfterMax;
  const late = isTooLong
    ? [differ("retryAfterSeconds", String(retryAfterSeconds), `at most ${retryAfterMax}`)]
    : [];
  return [...wrong, ...missing, ...late];
}

function compareResult({ answers }: Outcome, expected: Expected): Differences {
  const { resultIsError, resultMetaHas = [], resultEquals } = expected;
  const text = answers.at(-1) === undefined ? undefined : lastAnswerText(answers.at(-1));
  const resultText = text === undefined ? undefined : rawAt(text, ["result"]);
  const result: unknown = resultText === undefined ? undefined : JSON.parse(resultText);
  const { isError = false, _meta: meta } = isJsonObject(result) ? result : {};
  const keys = isJsonObject(meta) ? Object.keys(meta) : [];
  const isRight = result === undefined || resultIsError === undefined || isError === resultIsError;
  return [
    ...(isRight ? [] : [differ("result.isError", textOf(isError), resultIsError)]),
    ...resultMetaHas
      .filter((name) => !keys.some((key) => key === name || key.endsWith(`/${name}`)))
      .map((name) => differ(`result._meta.${name}`, JSON.stringify(keys), "present")),
    ...(resultEquals === undefined || resultText === RESULT
      ? []
      : [differ("result", String(resultText), RESULT)]),
  ];
}

function compareHeaders({ answers }: Outcome, expected: Expected): Differences {
  const { headersPresent = [], headersAbsent = [] } = expected;
  const headers = answers.at(-1)?.headers ?? new Map<string, string>();
  return [
    ...headersPresent
      .filter((name) => !headers.has(name.toLowerCase()))
      .map((name) => differ(`header ${name}`, "absent", "present")),
    ...headersAbsent
      .filter((name) => headers.has(name.toLowerCase()))
      .map((name) => differ(`header ${name}`, "present", "absent")),
  ];
}

/** RFC 6750 section 3: the parameters of the challenge. */
function compareChallenge({ answers }: Outcome, { wwwAuthenticate }: Expected): Differences {
  if (wwwAuthenticate === undefined) return [];
  const challenge = answers.at(-1)?.headers.get("www-authenticate") ?? "";
  const found = new Map(
    [...challenge.matchAll(/([a-z_]+)="?([^",]*)"?/g)].map(([, name, value]) => [name, value]),
  );
  return Object.entries(wwwAuthenticate)
    .filter(([name, wanted]) => {
      const value = found.get(name);
      if (wanted === "absent") return value !== undefined;
      return typeof wanted === "boolean" ? (value !== undefined) !== wanted : value !== wanted;
    })
    .map(([name, wanted]) =>
      differ(`WWW-Authenticate ${name}`, found.get(name) ?? "absent", wanted),
    );
}

async function compareConnection(outcome: Outcome, { connection }: Expected): Promise<Differences> {
  const { answers, isClosed } = outcome;
  if (connection === undefined) return [];
  if (connection === "close")
    return (await outcome.closes()) ? [] : [differ("connection", "open", "closed")];
  const isEnding = isClosed || answers.at(-1)?.headers.get("connection") === "close";
  return isEnding ? [differ("connection", "closed", "kept")] : [];
}

function compareEvents({ answers }: Outcome, { sseEvents }: Expected): Differences {
  if (sseEvents === undefined) return [];
  const events = eventsIn(answers.at(-1)?.body ?? "");
  return events.length === sseEvents ? [] : [differ("events", String(events.length), sseEvents)];
}

/** The last message of an answer that answers something, as text. */
function lastAnswerText(answer: HttpAnswer | undefined): string | undefined {
  if (answer === undefined) return undefined;
  const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const texts = isStream ? eventsIn(answer.body) : [answer.body];
  return texts.findLast((text) => {
    const message = parsed(text);
    return message !== undefined && ("result" in message || "error" in message);
  });
}

function lastAnswerIn(answer: HttpAnswer): JsonObject | undefined {
  const text = lastAnswerText(answer);
  return text === undefined ? undefined : parsed(text);
}

function parsed(text: string): JsonObject | undefined {
  try {
    const message: unknown = JSON.parse(text);
    return isJsonObject(message) ? message : undefined;
  } catch {
    return undefined;
  }
}

function dataOf(answer: HttpAnswer | undefined): JsonObject {
  const error = answer === undefined ? undefined : lastAnswerIn(answer)?.["error"];
  const data = isJsonObject(error) ? error["data"] : undefined;
  return isJsonObject(data) ? data : {};
}

/** The error messages of all answers. */
export function errorMessagesIn({ answers }: Outcome): readonly string[] {
  return answers.flatMap((answer) => {
    const error = lastAnswerIn(answer)?.["error"];
    return isJsonObject(error) && typeof error["message"] === "string" ? [error["message"]] : [];
  });
}

export function listOf<T>(value: T | readonly T[]): readonly T[] {
  // A list of lists does not occur.
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

/** One difference as a sentence: what it is about, what came, what should have come. */
export function differ(what: string, came: string, wanted: unknown): string {
  return `${what}: came ${came.slice(0, 240)}, expected ${JSON.stringify(wanted)}`;
}

function excerpt(answer: HttpAnswer | undefined): string {
  return answer === undefined ? "" : JSON.stringify(answer.body.slice(0, 160));
}
