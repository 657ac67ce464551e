import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { ClientStream } from "./edge-session.ts";
import { Outbox } from "./outbox.ts";

const BOUND = 64;
const TOOLS_CHANGED = "notifications/tools/list_changed";
const PROMPTS_CHANGED = "notifications/prompts/list_changed";

interface RecordedStream extends ClientStream {
  readonly taken: string[];
  /** How many messages it takes before it says no. */
  room: number;
  isEnded: boolean;
}

function stream(room = Number.POSITIVE_INFINITY): RecordedStream {
  const recorded: RecordedStream = {
    taken: [],
    room,
    isEnded: false,
    send(message) {
      if (recorded.room <= 0) return false;
      recorded.room -= 1;
      recorded.taken.push(message.toString());
      return true;
    },
    end() {
      recorded.isEnded = true;
    },
  };
  return recorded;
}

function initializedOutbox(): Outbox {
  const outbox = new Outbox();
  outbox.markInitialized();
  return outbox;
}

function methodsOf(taken: readonly string[]): readonly unknown[] {
  return taken.map((text) => JSON.parse(text).method);
}

test("nothing leaves before the client says that it is initialized, and then in order", () => {
  const outbox = new Outbox();
  const client = stream();
  outbox.attach(client);
  outbox.send(Buffer.from("1"));
  outbox.send(Buffer.from("2"));
  const before = [...client.taken];

  outbox.markInitialized();

  expect(before).toEqual([]);
  expect(client.taken).toEqual(["1", "2"]);
});

test("a list that changed many times is told of once, each list by itself", () => {
  const outbox = initializedOutbox();
  for (let change = 0; change < 100; change += 1) outbox.listChanged(TOOLS_CHANGED);
  outbox.listChanged(PROMPTS_CHANGED);
  const client = stream();

  outbox.attach(client);
  outbox.listChanged(TOOLS_CHANGED);

  expect(methodsOf(client.taken)).toEqual([TOOLS_CHANGED, PROMPTS_CHANGED, TOOLS_CHANGED]);
});

test("a change that the stream did not take is told of when there is room", () => {
  const outbox = initializedOutbox();
  const client = stream(0);
  const attached = outbox.attach(client);
  outbox.listChanged(TOOLS_CHANGED);
  outbox.send(Buffer.from('{"method":"later"}'));

  client.room = 2;
  attached.flush();

  expect(methodsOf(client.taken)).toEqual([TOOLS_CHANGED, "later"]);
});

test("a second stream is refused and leaves the first one open", () => {
  const outbox = initializedOutbox();
  const first = stream();
  outbox.attach(first);

  expect(() => outbox.attach(stream())).toThrow(
    expect.objectContaining({ code: "stream_conflict" }),
  );

  outbox.send(Buffer.from("1"));
  expect(first.taken).toEqual(["1"]);
  expect(outbox.isOpen).toBe(true);
});

test("a stream that was detached takes nothing, and the next one gets what came meanwhile", () => {
  const outbox = initializedOutbox();
  const first = stream();
  const attached = outbox.attach(first);
  attached[Symbol.dispose]();
  outbox.send(Buffer.from("1"));
  const second = stream();

  outbox.attach(second);
  // The first one's owner may dispose again, late: that is none of the second one's business.
  attached[Symbol.dispose]();
  outbox.send(Buffer.from("2"));

  expect(first.taken).toEqual([]);
  expect(second.taken).toEqual(["1", "2"]);
});

test("closing ends the stream, and forgets what was kept", () => {
  const outbox = initializedOutbox();
  const client = stream(0);
  outbox.attach(client);
  outbox.send(Buffer.from("1"));

  outbox.close();
  outbox.close();

  expect(client.isEnded).toBe(true);
  expect(outbox.isOpen).toBe(false);
});

test("past its bound the oldest message gives way", () => {
  const outbox = initializedOutbox();
  for (let message = 0; message <= BOUND; message += 1) outbox.send(Buffer.from(String(message)));
  const client = stream();

  outbox.attach(client);

  expect(client.taken).toHaveLength(BOUND);
  expect(client.taken[0]).toBe("1");
});

test("below its bound nothing is lost and the order is kept, however streams come, go and stall", () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constant("send" as const) },
      fc.constantFrom("attach" as const, "detach" as const, "stall" as const, "flow" as const),
    ),
    { maxLength: BOUND },
  );

  fc.assert(
    fc.property(steps, (sequence) => {
      const outbox = initializedOutbox();
      const client = stream();
      let attached: ReturnType<Outbox["attach"]> | undefined;
      let sent = 0;
      for (const step of [...sequence, "flow", "attach"] as const) {
        if (step === "send") outbox.send(Buffer.from(String((sent += 1))));
        if (step === "attach") attached ??= outbox.attach(client);
        if (step === "stall") client.room = 0;
        if (step === "flow") {
          client.room = Number.POSITIVE_INFINITY;
          attached?.flush();
        }
        if (step === "detach") {
          attached?.[Symbol.dispose]();
          attached = undefined;
        }
      }

      expect(client.taken).toEqual(Array.from({ length: sent }, (_value, index) => `${index + 1}`));
    }),
  );
});

test("what is kept for a client that does not read is bounded in bytes, and the newest message stays", () => {
  const outbox = initializedOutbox();
  const client = stream();
  const MEBIBYTE = 1_048_576;
  for (let sent = 1; sent <= 8; sent += 1) outbox.send(Buffer.alloc(MEBIBYTE / 4, `${sent}`));
  outbox.attach(client)[Symbol.dispose]();
  const kept = client.taken.map((text) => text[0]);

  outbox.send(Buffer.alloc(2 * MEBIBYTE, "9"));
  client.taken.length = 0;
  outbox.attach(client);

  expect(kept).toEqual(["5", "6", "7", "8"]);
  expect(client.taken.map((text) => text.length)).toEqual([2 * MEBIBYTE]);
});
