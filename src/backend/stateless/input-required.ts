import { isJsonObject } from "../../domain/json.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { scanMembers } from "../../mcp/json-spans.ts";
import type { Question } from "./input-desk.ts";
import { isObjectAt, lastMember, topOf } from "./member-edits.ts";

/** What a backend wants before it goes on with a call. */
export interface InputRequired {
  /** By the names that the backend gave them. */
  readonly questions: ReadonlyMap<string, Question>;
  /** To be handed back as it is. */
  readonly requestStateJson: string | undefined;
}

/** The calls that may be answered so. */
const ASKING_METHODS: ReadonlySet<string> = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

const QUESTION_METHODS: ReadonlySet<string> = new Set([
  "elicitation/create",
  "sampling/createMessage",
  "roots/list",
]);

/** More than that nobody asks a person for at once; the names and questions of each are kept. */
const MAX_QUESTIONS = 64;

/** Reads an `input_required` answer to a call of that method; a sentence about the backend where it is none. */
export function readInputRequired(
  { bytes, message }: BackendMessage,
  method: string,
): InputRequired | { readonly fault: string } {
  if (!ASKING_METHODS.has(method)) return { fault: `asked for input in answer to ${method}` };
  const { inputRequests, requestState } = message.result ?? {};
  const result = lastMember(bytes, topOf(bytes), "result")?.valueStart ?? 0;
  const hasState = requestState !== undefined;
  if (inputRequests === undefined && !hasState)
    return { fault: "asked for input without a question" };
  if (hasState && typeof requestState !== "string") {
    return { fault: "asked for input with a state that is no text" };
  }
  const requestStateJson = hasState ? textAt(bytes, result, "requestState") : undefined;
  if (inputRequests === undefined) return { questions: new Map(), requestStateJson };
  const start = lastMember(bytes, result, "inputRequests")?.valueStart ?? 0;
  const questions = isObjectAt(bytes, start) ? readQuestions(bytes, start) : undefined;
  if (questions === undefined) return { fault: "asked for input in a way that is not understood" };
  return { questions, requestStateJson };
}

function readQuestions(bytes: Buffer, start: number): Map<string, Question> | undefined {
  const questions = new Map<string, Question>();
  for (const { key, valueStart, valueEnd } of scanMembers(bytes, start)) {
    const value: unknown = JSON.parse(bytes.toString("utf8", valueStart, valueEnd));
    if (!isJsonObject(value)) return undefined;
    const { method, params } = value;
    if (typeof method !== "string" || !QUESTION_METHODS.has(method)) return undefined;
    if (params !== undefined && !isJsonObject(params)) return undefined;
    questions.set(key, { method, paramsJson: textAt(bytes, valueStart, "params") });
  }
  return questions.size > MAX_QUESTIONS ? undefined : questions;
}

function textAt(bytes: Buffer, start: number, key: string): string | undefined {
  const member = lastMember(bytes, start, key);
  return member && bytes.toString("utf8", member.valueStart, member.valueEnd);
}
