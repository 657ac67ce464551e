import type { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../../mcp/exchange.ts";
import { encodeNotification, type RequestId } from "../../mcp/json-rpc.ts";
import { closedByGatewayError, notExecuted } from "../failures.ts";
import { backendError } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import type { Channel, ConnectionListener } from "../ports.ts";
import type { SharedCall } from "../shared-call.ts";
import { SharedCalls, type SharedStream } from "../shared-calls.ts";
import { spawnError, type Command } from "./command.ts";
import { LineReader } from "./line-reader.ts";
import { LineWriter } from "./line-writer.ts";
import { describeExit, ProcessGroup, type ExitCause } from "./process-group.ts";
import { StderrTail } from "./stderr-tail.ts";

/** An answer written just before the exit may still be in the pipe when the exit is known. */
const LAST_WORDS_MS = 100;

/** The channel to one backend that is a child of ours: JSON-RPC lines on its stdin and stdout. */
export class StdioChannel implements Channel, SharedStream {
  readonly backendSessionId = undefined;
  readonly standalone = "stdio";
  readonly settings: BackendSettings;
  readonly #listener: ConnectionListener;
  readonly #command: Command;
  readonly #group: ProcessGroup;
  readonly #writer: LineWriter;
  readonly #reader: LineReader;
  readonly #stderr: StderrTail;
  readonly #calls: SharedCalls;
  #lastWords: Deadline | undefined;
  #pendingEnd: (() => VmcpError) | undefined;
  #hasExited = false;
  #end: VmcpError | undefined;
  #isClosed = false;

  constructor(settings: BackendSettings, command: Command, listener: ConnectionListener) {
    const { limits } = settings;
    this.settings = settings;
    this.#command = command;
    this.#listener = listener;
    this.#calls = new SharedCalls(this);
    this.#group = this.#spawn();
    this.#writer = new LineWriter(this.#group.stdin, limits.stdioQueueBytes);
    this.#reader = new LineReader(limits.stdioLineBytes, (line) => this.#calls.read(line));
    this.#stderr = new StderrTail(this.#group.stderr, settings);
    this.#listen();
  }

  get pid(): number | undefined {
    return this.#group.pid;
  }

  forward(request: OutboundRequest, sink: AnswerSink): Exchange {
    const refusal = this.#end ? notExecuted(this.#end) : this.#calls.refusal(request.id);
    if (refusal !== undefined) {
      queueMicrotask(() => sink.fail(refusal));
      return ENDED_EXCHANGE;
    }
    const call = this.#calls.add(request, sink);
    if (!this.#writer.write(call)) {
      queueMicrotask(() => call.fail(this.#busy()));
    }
    return call;
  }

  async send(message: Buffer): Promise<void> {
    if (this.#isClosed) throw closedByGatewayError(this.settings.name, false);
    if (this.#end !== undefined) throw notExecuted(this.#end);
    this.#calls.sent(message);
    await new Promise<void>((resolve, reject) => {
      const isTaken = this.#writer.write({
        bytes: message,
        onEnd: (error) => {
          if (error === undefined) resolve();
          else reject(this.#end ?? this.#broken(error));
        },
      });
      if (!isTaken) reject(this.#busy());
    });
  }

  /** Everything comes on stdout anyway. */
  openNotifications(): void {}

  agree(): void {}

  unsolicited(message: BackendMessage): void {
    this.#listener.unsolicited(message);
  }

  callEnded(call: SharedCall): void {
    this.#writer.withdraw(call);
  }

  tellCancelled(id: RequestId, reason: string): void {
    const params = { requestId: id, reason };
    this.#writer.write({ bytes: encodeNotification("notifications/cancelled", params) });
  }

  setFlowing(isFlowing: boolean): void {
    if (isFlowing) this.#group.stdout.resume();
    else this.#group.stdout.pause();
  }

  /** The channel ends by itself: nothing polite is left to be done to the child. */
  gaveUp(error: VmcpError): void {
    this.#ended(error);
    this.#group.kill();
  }

  /** Fails what is under way and ends the child and all it has started, politely first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#ended(closedByGatewayError(this.settings.name, true));
    await this.#group.stop();
  }

  /** Some failures to start are thrown and some are told later; both mean the same. */
  #spawn(): ProcessGroup {
    const toError = (thrown: unknown): VmcpError =>
      spawnError(this.settings.name, this.#command, thrown);
    try {
      return new ProcessGroup(this.#command, {
        failure: (thrown) => this.#ended(toError(thrown)),
        exit: (cause) => this.#exited(cause),
      });
    } catch (thrown) {
      throw toError(thrown);
    }
  }

  #listen(): void {
    const { stdin, stdout } = this.#group;
    stdout.on("data", (chunk: Buffer) => {
      if (this.#end === undefined && !this.#reader.push(chunk)) this.#tooLarge();
    });
    // The pipe closes when the child and all who inherited it are done: nothing more will come.
    stdout.on("close", () => {
      if (this.#hasExited) this.#lastWordsSpoken();
    });
    stdout.on("error", () => {});
    stdin.on("error", (error) => {
      // Usually the child is about to be reported as gone, which says more than a broken pipe does.
      if (!this.#hasExited) this.#speakLast(() => this.#broken(error));
    });
  }

  #exited(cause: ExitCause): void {
    this.#hasExited = true;
    if (this.#end !== undefined) return;
    const { name } = this.settings;
    const stderr = this.#stderr.lines.join("\n");
    this.#writer.stop();
    this.#lastWords?.cancel();
    this.#speakLast(() =>
      backendError(name, "backend_closed", describeExit(cause), {
        executionState: "unknown",
        exit: cause.signal === null ? { code: cause.code ?? 0 } : { signal: cause.signal },
        ...(stderr !== "" && { cause: new Error(`last lines on stderr:\n${stderr}`) }),
      }),
    );
    if (this.#group.stdout.closed) this.#lastWordsSpoken();
  }

  /** Ends with that error, once what may still be in the pipe has been read. */
  #speakLast(toError: () => VmcpError): void {
    this.#pendingEnd = toError;
    this.#lastWords = DEADLINES.add(LAST_WORDS_MS, () => this.#lastWordsSpoken());
  }

  #lastWordsSpoken(): void {
    this.#lastWords?.cancel();
    this.#lastWords = undefined;
    if (this.#pendingEnd === undefined || this.#end !== undefined) return;
    this.#reader.end();
    this.gaveUp(this.#pendingEnd());
  }

  #tooLarge(): void {
    const { name, limits } = this.settings;
    const sentence = `sent a line of more than ${limits.stdioLineBytes} bytes`;
    this.gaveUp(backendError(name, "backend_too_large", sentence, { executionState: "unknown" }));
  }

  #ended(error: VmcpError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.#lastWords?.cancel();
    this.#writer.fail(error);
    this.#calls.fail(error);
    if (!this.#isClosed) this.#listener.lost(error);
  }

  #busy(): VmcpError {
    const sentence = "does not read what it is sent; try again later";
    return backendError(this.settings.name, "backend_busy", sentence, {
      executionState: "not_executed",
    });
  }

  #broken(cause: Error): VmcpError {
    const sentence = "closed its input";
    return backendError(this.settings.name, "backend_closed", sentence, {
      executionState: "unknown",
      cause,
    });
  }
}
