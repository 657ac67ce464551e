import type { Writable } from "node:stream";

/** One message on its way. `onStart` comes before its first byte leaves, `onEnd` when the pipe has it all. */
export interface OutgoingLine {
  readonly bytes: Buffer;
  readonly onStart?: () => void;
  readonly onEnd?: (error: Error | undefined) => void;
}

/**
 * Writes messages as lines, one after the other.
 *
 * The next message is not given to the pipe before it has taken the last one, so that it is known of each
 * whether any of it may have left. Raw line breaks inside a message can only be JSON whitespace and become
 * spaces.
 */
export class LineWriter {
  readonly #stream: Writable;
  readonly #maxQueuedBytes: number;
  readonly #queue = new Set<OutgoingLine>();
  #queuedBytes = 0;
  #isWriting = false;
  #isStopped = false;

  constructor(stream: Writable, maxQueuedBytes: number) {
    this.#stream = stream;
    this.#maxQueuedBytes = maxQueuedBytes;
  }

  /** False if the reader has left too much unread for another message. */
  write(line: OutgoingLine): boolean {
    const isFull = this.#queuedBytes + line.bytes.length > this.#maxQueuedBytes;
    if (isFull && this.#queuedBytes > 0) return false;
    this.#queue.add(line);
    this.#queuedBytes += line.bytes.length;
    this.#pump();
    return true;
  }

  /** Takes back a message of which nothing has left yet. */
  withdraw(line: OutgoingLine): void {
    if (this.#queue.delete(line)) this.#queuedBytes -= line.bytes.length;
  }

  /** Gives nothing more to the pipe: nobody reads there any longer. What waits goes on waiting for `fail`. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Tells every message that is not on its way that it never will be. */
  fail(error: Error): void {
    const waiting = [...this.#queue];
    this.#queue.clear();
    this.#queuedBytes = 0;
    for (const { onEnd } of waiting) onEnd?.(error);
  }

  #pump(): void {
    if (this.#isWriting || this.#isStopped) return;
    const [line] = this.#queue;
    if (line === undefined) return;
    this.#queue.delete(line);
    this.#isWriting = true;
    line.onStart?.();
    this.#stream.write(toFrame(line.bytes), (error) => {
      this.#isWriting = false;
      this.#queuedBytes = Math.max(0, this.#queuedBytes - line.bytes.length);
      line.onEnd?.(error ?? undefined);
      if (!error) this.#pump();
    });
  }
}

function toFrame(bytes: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(bytes.length + 1);
  bytes.copy(frame);
  for (const lineBreak of [LINE_FEED, CARRIAGE_RETURN]) {
    let at = bytes.indexOf(lineBreak);
    while (at !== -1) {
      frame[at] = SPACE;
      at = bytes.indexOf(lineBreak, at + 1);
    }
  }
  frame[bytes.length] = LINE_FEED;
  return frame;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
