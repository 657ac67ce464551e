import { createServer, type Socket } from "node:net";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ConnectionPool } from "./connection-pool.ts";
import type { RequestControl } from "./request-sender.ts";
import { listen, readRequests } from "./testing/pool-rig.ts";

/** What a server does with one request. */
const REPLIES = [
  "answers",
  "answers in pieces",
  "answers later",
  "answers and says that it closes",
  "answers and closes without a word",
  "answers until it closes",
  "answers with chunks",
  "answers more than was asked for",
  "breaks off in the head",
  "breaks off in the body",
  "closes",
  "resets",
  "speaks no HTTP",
] as const;

/** What whoever asks does meanwhile. */
const MANNERS = [
  "waits",
  "pauses",
  "aborts before it leaves",
  "aborts at once",
  "aborts at the head",
  "aborts in the body",
  "aborts later",
  "aborts at the end",
  "throws before it leaves",
  "aborts and throws before it leaves",
  "throws at the head",
  "throws in the body",
  "throws at the end",
] as const;

interface Step {
  readonly reply: (typeof REPLIES)[number];
  readonly manner: (typeof MANNERS)[number];
  readonly bodyBytes: number | undefined;
  /** In turns of the event loop: when it is asked, and when what is done "later" is done. */
  readonly after: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  reply: fc.constantFrom(...REPLIES),
  manner: fc.oneof(fc.constant("waits" as const), fc.constantFrom(...MANNERS)),
  bodyBytes: fc.constantFrom(undefined, 10, 100_000),
  after: fc.nat(4),
});
const run = fc.record({
  maxConnections: fc.integer({ min: 1, max: 3 }),
  steps: fc.array(step, { minLength: 1, maxLength: 14 }),
  /** Which connections the server ends before anything was said on them. */
  unwelcome: fc.array(fc.nat(8), { maxLength: 3 }),
  /** After how many turns the pool is closed; none: once all have ended. */
  closesAfter: fc.option(fc.nat(30), { nil: undefined, freq: 5 }),
});

test("whatever servers and handlers do, each request ends once, with its own answer or an error, and nothing is left", async () => {
  const server = new ScriptedServer();
  const origin = await server.listen();
  let answered = 0;

  await fc.assert(
    fc.asyncProperty(run, async ({ maxConnections, steps, unwelcome, closesAfter }) => {
      server.begin(steps, unwelcome);
      const pool = new ConnectionPool(origin, { maxConnections, connectMs: 5_000 });
      const asked: Asked[] = [];
      const asking = askAll(pool, steps, asked);
      if (closesAfter !== undefined) {
        await turns(closesAfter);
        pool[Symbol.dispose]();
      }
      await asking;
      await expect.poll(() => asked.filter(({ isOver }) => !isOver), POLL).toEqual([]);
      pool[Symbol.dispose]();
      await expect.poll(() => server.open, POLL).toBe(0);

      for (const each of asked) expect(each.faults).toEqual([]);
      answered += asked.filter(({ isAnswered }) => isAnswered).length;
    }),
    { numRuns: 60 },
  );

  expect(answered).toBeGreaterThan(20);
}, 60_000);

const POLL = { timeout: 10_000, interval: 5 };

async function askAll(pool: ConnectionPool, steps: readonly Step[], asked: Asked[]): Promise<void> {
  for (const [index, each] of steps.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- they come one after the other
    await turns(each.after);
    asked.push(new Asked(pool, each, index));
  }
}

/** One request: does what its step says and writes down what must not be. */
class Asked {
  readonly faults: string[] = [];
  isOver = false;
  isAnswered = false;
  #control: RequestControl | undefined;
  #said = "";
  #hasLeft = false;
  #hasHead = false;

  constructor(pool: ConnectionPool, { manner, bodyBytes, after }: Step, index: number) {
    const body = bodyBytes === undefined ? undefined : Buffer.alloc(bodyBytes, "b");
    const act = (at: string): void => {
      if (manner === `aborts ${at}` || manner === `aborts and throws ${at}`) this.#control?.abort();
      if (manner === `throws ${at}` || manner === `aborts and throws ${at}`) throw new Error("act");
    };
    pool.dispatch(
      { method: body === undefined ? "GET" : "POST", path: `/${index}`, headers: [], body },
      {
        onConnect: (control) => {
          this.#expect(!this.#hasLeft && !this.isOver, "left twice");
          this.#hasLeft = true;
          this.#control = control;
          if (manner === "aborts at once") queueMicrotask(() => control.abort());
          if (manner === "aborts later") void turns(after).then(() => control.abort());
          act("before it leaves");
        },
        onHeaders: (status) => {
          this.#expect(this.#hasLeft && !this.#hasHead && !this.isOver, "a head too many");
          this.#expect(status === 200, `the status ${status}`);
          this.#hasHead = true;
          act("at the head");
        },
        onData: (chunk) => {
          this.#expect(this.#hasHead && !this.isOver, "a body before its head or after the end");
          this.#said += chunk.toString();
          act("in the body");
          if (manner !== "pauses") return true;
          setImmediate(() => this.#control?.resume());
          return false;
        },
        onComplete: () => {
          this.#expect(this.#hasHead && !this.isOver, "a second end");
          this.#expect(this.#said === bodyOf(`/${index}`), "the body of another one");
          this.isOver = true;
          this.isAnswered = true;
          this.#control?.abort();
          this.#control?.resume();
          if (manner === "throws at the end") {
            this.isOver = false;
            throw new Error("act");
          }
        },
        onError: () => {
          this.#expect(!this.isOver, "a second end");
          this.isOver = true;
          this.#control?.abort();
          this.#control?.resume();
        },
      },
    );
    this.#expect(!this.#hasLeft && !this.isOver, "heard of before it was asked for");
  }

  #expect(holds: boolean, otherwise: string): void {
    if (!holds) this.faults.push(otherwise);
  }
}

/** Knows what to do with a request by the number that is its path. */
class ScriptedServer {
  open = 0;
  #steps: readonly Step[] = [];
  #unwelcome = new Set<number>();
  #connections = 0;
  readonly #server = createServer((socket) => this.#take(socket));

  async listen(): Promise<string> {
    return `http://127.0.0.1:${await listen(this.#server)}`;
  }

  begin(steps: readonly Step[], unwelcome: readonly number[]): void {
    this.#steps = steps;
    this.#unwelcome = new Set(unwelcome);
    this.#connections = 0;
  }

  #take(socket: Socket): void {
    this.open += 1;
    this.#connections += 1;
    socket.on("close", () => {
      this.open -= 1;
    });
    if (this.#unwelcome.has(this.#connections)) socket.destroy();
    readRequests(socket, (its, path) => void this.#reply(its, path));
  }

  async #reply(socket: Socket, path: string): Promise<void> {
    const body = bodyOf(path);
    const start = "HTTP/1.1 200 OK\r\n";
    const sized = `content-length: ${body.length}\r\n\r\n`;
    const whole = start + sized + body;
    switch (this.#steps[Number(path.slice(1))]?.reply) {
      case undefined:
      case "answers":
        socket.write(whole);
        break;
      case "answers in pieces":
        for (const piece of whole.match(/.{1,9}/gs) ?? []) {
          socket.write(piece);
          // oxlint-disable-next-line no-await-in-loop -- each piece is to come by itself
          await turns(1);
        }
        break;
      case "answers later":
        await turns(8);
        socket.write(whole);
        break;
      case "answers and says that it closes":
        socket.end(`${start}connection: close\r\n${sized}${body}`);
        break;
      case "answers and closes without a word":
        socket.end(whole);
        break;
      case "answers until it closes":
        socket.end(`${start}\r\n${body}`);
        break;
      case "answers with chunks": {
        const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
        socket.write(`${start}transfer-encoding: chunked\r\n\r\n${chunk}`);
        await turns(2);
        socket.write("0\r\n\r\n");
        break;
      }
      case "answers more than was asked for":
        socket.write(`${whole}${start}content-length: 6\r\n\r\npoison`);
        break;
      case "breaks off in the head":
        socket.end(whole.slice(0, 20));
        break;
      case "breaks off in the body":
        socket.end(whole.slice(0, -2));
        break;
      case "closes":
        socket.end();
        break;
      case "resets":
        socket.resetAndDestroy();
        break;
      case "speaks no HTTP":
        socket.write("SSH-2.0-x\r\n\r\n");
        break;
    }
  }
}

function bodyOf(path: string): string {
  return `the body of ${path}`;
}

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) {
    // oxlint-disable-next-line no-await-in-loop -- one turn after the other
    await new Promise((resolve) => setImmediate(resolve));
  }
}
