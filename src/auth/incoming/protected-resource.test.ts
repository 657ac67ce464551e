import { expect, test } from "vitest";
import { metadataPathOf, metadataUrlOf } from "./protected-resource.ts";

test.for([
  ["https://mcp.example/mcp", "https://mcp.example/.well-known/oauth-protected-resource/mcp"],
  ["https://mcp.example/a/b", "https://mcp.example/.well-known/oauth-protected-resource/a/b"],
  ["https://mcp.example", "https://mcp.example/.well-known/oauth-protected-resource"],
  ["https://mcp.example/", "https://mcp.example/.well-known/oauth-protected-resource"],
  ["http://[::1]:4483/mcp", "http://[::1]:4483/.well-known/oauth-protected-resource/mcp"],
] as const)("the metadata of %s is at %s", ([resource, expected]) => {
  expect(metadataUrlOf(resource)).toBe(expected);
});

test("the path of the metadata is below the well-known one", () => {
  expect(metadataPathOf("/mcp")).toBe("/.well-known/oauth-protected-resource/mcp");
});
