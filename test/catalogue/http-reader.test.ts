import { expect, test } from "vitest";
import { eventIdsIn, eventsIn, HttpReader } from "./http-reader.ts";

const ANSWERS = [
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: 1\r\nX: 2\r\n\r\nhi",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nto the end",
].join("");

test.for([1, 2, 7, 1000])("answers are the same in pieces of %i bytes", (size) => {
  const reader = new HttpReader(() => {});
  const bytes = Buffer.from(ANSWERS);

  for (let at = 0; at < bytes.length; at += size) reader.take(bytes.subarray(at, at + size));
  reader.end();

  expect(reader.answers.map(({ status, body, isComplete }) => [status, body, isComplete])).toEqual([
    [200, "hi", true],
    [200, "abcde", true],
    [204, "", true],
    [400, "to the end", true],
  ]);
  expect(reader.answers[0]?.headers.get("x")).toBe("1, 2");
});

test("an answer that is cut is told as incomplete, and an event of it is told as it comes", () => {
  const told: string[] = [];
  const reader = new HttpReader((text) => told.push(text));

  reader.take(Buffer.from("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
  reader.take(Buffer.from("Content-Length: 100\r\n\r\ndata: a\n\n"));

  expect(reader.answers).toMatchObject([{ status: 200, body: "data: a\n\n", isComplete: false }]);
  expect(told.join("")).toBe("data: a\n\n");
});

test("events are read as a client reads them", () => {
  const text =
    "id: 1-0\nretry: 5\ndata: \n\n: beat\n\nid: 1-1\r\ndata: a\r\ndata: b\r\n\r\ndata: cut";

  expect(eventsIn(text)).toEqual(["a\nb"]);
  expect(eventIdsIn(text.replaceAll("\r\n", "\n"))).toEqual(["1-0", "1-1"]);
});
