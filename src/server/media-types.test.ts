import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import {
  requireAcceptsAnswer,
  requireAcceptsBoth,
  requireAcceptsEvents,
  requireJsonBody,
} from "./media-types.ts";

function requestWith(headers: Readonly<Record<string, string>>): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  Object.assign(request.headers, headers);
  return request;
}

function outcome(
  check: (request: IncomingMessage) => void,
  headers: Readonly<Record<string, string>>,
): string {
  try {
    check(requestWith(headers));
    return "fine";
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

test.for<[string | undefined, string]>([
  ["application/json", "fine"],
  ["Application/JSON ; charset=UTF-8", "fine"],
  ['application/json; charset="utf-8"; profile=x', "fine"],
  ["application/json;charset=utf8", "fine"],
  ["application/json; charset=utf-16", "unsupported_media_type"],
  ["application/json; charset=", "unsupported_media_type"],
  ["application/json; charset=utf-8; charset=utf-16", "unsupported_media_type"],
  ["text/plain", "unsupported_media_type"],
  ["text/plain; application/json", "unsupported_media_type"],
  ["application/jsonp", "unsupported_media_type"],
  ["application/json, text/plain", "unsupported_media_type"],
  ["application/x-www-form-urlencoded", "unsupported_media_type"],
  ["", "unsupported_media_type"],
  [undefined, "unsupported_media_type"],
])("the content type %j is %s", ([type, expected]) => {
  expect(outcome(requireJsonBody, type === undefined ? {} : { "content-type": type })).toBe(
    expected,
  );
});

test.for([
  ["identity", "fine"],
  ["gzip", "unsupported_media_type"],
  ["identity, gzip", "unsupported_media_type"],
  ["", "unsupported_media_type"],
] as const)("a body encoded as %j is %s", ([encoding, expected]) => {
  const headers = { "content-type": "application/json", "content-encoding": encoding };

  expect(outcome(requireJsonBody, headers)).toBe(expected);
});

test.for<[string | undefined, string, string]>([
  ["application/json, text/event-stream", "fine", "fine"],
  ["text/event-stream,application/json;q=0.9", "fine", "fine"],
  ["TEXT/EVENT-STREAM, Application/Json", "fine", "fine"],
  ["*/*", "fine", "fine"],
  ["application/*, text/*", "fine", "fine"],
  ["application/json", "not_acceptable", "not_acceptable"],
  ["text/event-stream", "not_acceptable", "fine"],
  ["text/html", "not_acceptable", "not_acceptable"],
  ["", "not_acceptable", "not_acceptable"],
  [undefined, "not_acceptable", "not_acceptable"],
])("who accepts %j is %s for a batch and %s for a stream or a message", ([accept, batch, one]) => {
  const headers: Record<string, string> = accept === undefined ? {} : { accept };

  expect(outcome(requireAcceptsBoth, headers)).toBe(batch);
  expect(outcome(requireAcceptsEvents, headers)).toBe(one);
  expect(outcome(requireAcceptsAnswer, headers)).toBe(one);
});
