import { expect, test } from "vitest";
import { envelopeOf, toEnvelopeJson } from "./envelope.ts";

test("a client of a session is shown with what it can be asked for in an answer, and no more", () => {
  const capabilities = {
    elicitation: { form: {}, url: {}, other: {} },
    sampling: { tools: {}, context: {}, other: {} },
    roots: { listChanged: true },
    tasks: { list: {} },
    extensions: { "io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": { a: 1 } },
    experimental: { x: {} },
    unheardOf: {},
  };

  const envelope = envelopeOf(
    { capabilities, info: { name: "n", version: "1", icons: [] } },
    "info",
  );

  expect(JSON.parse(`{${toEnvelopeJson(envelope)}}`)).toEqual({
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {
      elicitation: { form: {}, url: {} },
      sampling: { tools: {}, context: {} },
      roots: {},
      extensions: { "io.modelcontextprotocol/ui": { a: 1 } },
      experimental: { x: {} },
    },
    "io.modelcontextprotocol/clientInfo": { name: "n", version: "1", icons: [] },
    "io.modelcontextprotocol/logLevel": "info",
  });
});

test.for([{}, { name: "n" }, { name: 1, version: "1" }])(
  "a client that calls itself %j is not named, as backends would refuse its requests",
  (info) => {
    const json = toEnvelopeJson(envelopeOf({ capabilities: {}, info }, undefined));

    expect(JSON.parse(`{${json}}`)).toEqual({
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {},
    });
  },
);
