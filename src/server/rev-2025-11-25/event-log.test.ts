import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { OpenStreams } from "../open-streams.ts";
import { EventLog, type EventLogLimits, type StreamListener } from "./event-log.ts";

const SILENT: StreamListener = { drained() {}, cut() {}, resumed() {} };

function logWith(limits: Partial<EventLogLimits> = {}): EventLog {
  const streams = new OpenStreams(60_000);
  onTestFinished(() => streams[Symbol.dispose]());
  return new EventLog({
    streams,
    streamBufferBytes: 65_536,
    isPriming: true,
    limits: { events: 256, bytes: 1_000_000, ageMs: 60_000, ...limits },
  });
}

/** What a client reads of a response on which the test wrote what it likes. */
async function read(write: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_request, response) => write(response)).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  // A server that listens on TCP has an address of this shape.
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: "close" } });
  return answer.text();
}

function numbersIn(text: string): readonly string[] {
  return [...text.matchAll(/^id: (\S+)$/gm)].map(([, id = ""]) => id);
}

test("what is written in one moment leaves in one piece, behind the event that begins the stream", async () => {
  const log = logWith();
  const writes: { readonly mock: { readonly calls: readonly unknown[] } }[] = [];

  const text = await read((response) => {
    writes.push(vi.spyOn(response, "write"));
    const stream = log.open(response, SILENT);
    for (const number of [1, 2, 3]) stream.write(Buffer.from(`{"n":${number}}`));
    setImmediate(() => stream.end());
  });

  expect(numbersIn(text)).toEqual(["1-0", "1-1", "1-2", "1-3"]);
  expect(writes[0]?.mock.calls).toHaveLength(1);
});

test("a stream goes on from any event of a piece, and from none that had to give way", async () => {
  const log = logWith({ events: 3 });
  await read((response) => {
    const stream = log.open(response, SILENT);
    for (const number of [1, 2, 3, 4, 5]) stream.write(Buffer.from(`{"n":${number}}`));
    stream.end();
  });

  const resumed = await Promise.all(
    ["1-2", "1-4", "1-5"].map(async (id) => read((response) => log.resume(id, response))),
  );

  expect(resumed.map(numbersIn)).toEqual([["1-3", "1-4", "1-5"], ["1-5"], []]);
  for (const id of ["1-0", "1-1"]) {
    // Refused before it is looked at.
    expect(() => log.resume(id, {} as ServerResponse)).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  }
});

test("pieces that have to give way whole leave the events behind them to be asked for", async () => {
  const log = logWith({ events: 4 });
  await read((response) => {
    const stream = log.open(response, SILENT);
    for (const number of [1, 2, 3, 4, 5, 6, 7]) {
      stream.write(Buffer.from(`{"n":${number}}`));
      if (number % 3 === 0) stream.flush();
    }
    stream.end();
  });

  const resumed = await Promise.all(
    ["1-3", "1-5"].map(async (id) => read((response) => log.resume(id, response))),
  );

  expect(resumed.map(numbersIn)).toEqual([
    ["1-4", "1-5", "1-6", "1-7"],
    ["1-6", "1-7"],
  ]);
  expect(() => log.resume("1-2", {} as ServerResponse)).toThrow(
    expect.objectContaining({ code: "invalid_request" }),
  );
});

test("a stream that has ended tells its maker nothing more, so that it need not keep the call alive", async () => {
  const log = logWith();
  const told: string[] = [];
  const listener: StreamListener = {
    drained: () => void told.push("drained"),
    cut: () => void told.push("cut"),
    resumed: () => void told.push("resumed"),
  };

  await read((response) => {
    const stream = log.open(response, listener);
    stream.write(Buffer.from("{}"));
    response.emit("drain");
    stream.end();
    response.emit("drain");
  });

  expect(told).toEqual(["drained"]);
});
