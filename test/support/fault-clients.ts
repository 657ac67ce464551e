import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { connectV1, textOf } from "./clients.ts";
import type { History } from "./history.ts";
import { lastMessage, openRawSession, type RawAnswer, startRaw } from "./raw-client.ts";

/** One call that a client makes while things break. */
export interface RunCall {
  readonly tool: string;
  readonly nonce: string;
  readonly args: JsonObject;
  /** Cancels the call after this long. */
  readonly cancelAfterMs: number | undefined;
}

/** A session of a client that writes down everything it does and sees. */
export interface RunSession {
  readonly id: string;
  /** Never rejects: how the call ended stands in the history. */
  call(call: RunCall): Promise<void>;
  /** Ends the session by DELETE, or by being gone. */
  end(how: "delete" | "vanish"): Promise<void>;
}

export interface RunClientOptions {
  readonly url: string;
  readonly history: History;
  /** How long the client waits for an answer before it gives up. */
  readonly patienceMs: number;
}

/** Opens a session. Rejects where the gateway does not let it in. */
export type OpenRunSession = (options: RunClientOptions) => Promise<RunSession>;

/** A session by hand: it counts every answer, the second one to a call too. */
export const openRawRunSession: OpenRunSession = async ({ url, history, patienceMs }) => {
  const session = await openRawSession(url);
  const stream = await session.openStream();
  let lastId = 0;
  return {
    id: session.id,
    async call({ tool, nonce, args, cancelAfterMs }) {
      lastId += 1;
      const id = lastId;
      const about = { session: session.id, nonce };
      history.write({ kind: "invoke", ...about });
      const params = { name: tool, arguments: { ...args, nonce }, _meta: { progressToken: nonce } };
      const request = startRaw(url, {
        method: "POST",
        headers: {
          ...session.headers,
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
        },
        body: JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params }),
      });
      const cancelling =
        cancelAfterMs === undefined
          ? undefined
          : setTimeout(() => {
              const cancelled = { requestId: id, reason: "enough" };
              const message = {
                jsonrpc: "2.0",
                method: "notifications/cancelled",
                params: cancelled,
              };
              session.post(message).catch(() => {});
            }, cancelAfterMs);
      try {
        const answer = await withPatience(request, patienceMs);
        writeAnswer(history, session.id, nonce, id, answer);
      } catch {
        history.write({ kind: "unknown", ...about });
      } finally {
        clearTimeout(cancelling);
      }
    },
    async end(how) {
      stream.destroy();
      if (how === "delete") await session.delete().catch(() => {});
    },
  };
};

/** A session of the official SDK's client. */
export const openSdkRunSession: OpenRunSession = async ({ url, history, patienceMs }) => {
  const connected = await connectV1(url);
  const session = connected.sessionId ?? "";
  return {
    id: session,
    async call({ tool, nonce, args, cancelAfterMs }) {
      const about = { session, nonce };
      history.write({ kind: "invoke", ...about });
      const cancel = new AbortController();
      const cancelling =
        cancelAfterMs === undefined ? undefined : setTimeout(() => cancel.abort(), cancelAfterMs);
      try {
        const result = await connected.client.callTool(
          { name: tool, arguments: { ...args, nonce } },
          undefined,
          {
            timeout: patienceMs,
            signal: cancel.signal,
            onprogress: () => history.write({ kind: "heard", ...about }),
          },
        );
        history.write({ kind: "ok", ...about, answered: textOf(result) });
      } catch (error) {
        const executionState = error instanceof McpError ? stateIn(error.data) : undefined;
        if (executionState === undefined) history.write({ kind: "unknown", ...about });
        else history.write({ kind: "fail", ...about, executionState, message: String(error) });
      } finally {
        clearTimeout(cancelling);
      }
    },
    async end(how) {
      await (how === "delete" ? connected.close() : connected.vanish());
    },
  };
};

/** The whole answer, or a rejection when it was cut or took too long. */
async function withPatience(request: Promise<RawAnswer>, patienceMs: number): Promise<RawAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("the client waited long enough")), patienceMs);
  });
  const whole = async (): Promise<RawAnswer> => {
    const answer = await request;
    await answer.ended;
    return answer;
  };
  const answering = whole();
  try {
    return await Promise.race([answering, patience]);
  } catch (error) {
    answering.catch(() => {});
    request.then(
      (answer) => answer.destroy(),
      () => {},
    );
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function writeAnswer(
  history: History,
  session: string,
  nonce: string,
  id: number,
  answer: RawAnswer,
): void {
  const messages = messagesOf(answer);
  for (const { params } of messages) {
    const token = isJsonObject(params) ? params["progressToken"] : undefined;
    if (typeof token === "string") history.write({ kind: "heard", session, nonce: token });
  }
  const answers = messages.filter((message) => message["method"] === undefined);
  // A call that was cancelled ends without an answer.
  if (answers.length === 0) history.write({ kind: "unknown", session, nonce });
  for (const message of answers) {
    const { error, result } = message;
    if (isJsonObject(error)) {
      // What HTTP refuses was refused before it had any effect.
      const executionState = answer.status >= 400 ? "not_executed" : stateIn(error["data"]);
      history.write({
        kind: "fail",
        session,
        nonce,
        executionState,
        message: JSON.stringify(error),
      });
    } else {
      const answered = message["id"] === id ? textOf(result) : JSON.stringify(message["id"]);
      history.write({ kind: "ok", session, nonce, answered });
    }
  }
}

function messagesOf(answer: RawAnswer): readonly JsonObject[] {
  if (answer.events.length > 0) return answer.events.map((event) => JSON.parse(event));
  if (answer.text === "" || answer.headers["content-type"] === "text/event-stream") return [];
  const message = lastMessage(answer);
  return isJsonObject(message) ? [message] : [];
}

function stateIn(data: unknown): string | undefined {
  const state = isJsonObject(data) ? data["executionState"] : undefined;
  return typeof state === "string" ? state : undefined;
}
