import { ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import { PNG } from "./fixture-media.mjs";

export const RESOURCES = [
  {
    uri: "test://static-text",
    name: "static-text",
    description: "A text that stays the same",
    mimeType: "text/plain",
  },
  {
    uri: "test://static-binary",
    name: "static-binary",
    description: "An image that stays the same",
    mimeType: "image/png",
  },
  {
    uri: "test://watched-resource",
    name: "watched-resource",
    description: "A text to subscribe to",
    mimeType: "text/plain",
  },
];

export const RESOURCE_TEMPLATES = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "One record for each id",
    mimeType: "application/json",
  },
];

const CONTENTS = new Map([
  [
    "test://static-text",
    { mimeType: "text/plain", text: "This is the content of the static text resource." },
  ],
  ["test://static-binary", { mimeType: "image/png", blob: PNG }],
  ["test://watched-resource", { mimeType: "text/plain", text: "Watched." }],
]);

const TEMPLATE = /^test:\/\/template\/(?<id>[^/]+)\/data$/;

export function readResource({ uri }) {
  const contents = CONTENTS.get(uri) ?? readTemplate(uri);
  if (contents === undefined) {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no resource ${uri}`, {
      uri,
    });
  }
  return { contents: [{ uri, ...contents }] };
}

function readTemplate(uri) {
  const id = TEMPLATE.exec(uri)?.groups.id;
  if (id === undefined) return undefined;
  const record = { id, templateTest: true, data: `Data for ID: ${id}` };
  return { mimeType: "application/json", text: JSON.stringify(record) };
}
