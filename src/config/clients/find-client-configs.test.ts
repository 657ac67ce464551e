import { expect, test } from "vitest";
import { findClientConfigs } from "./find-client-configs.ts";

function find(platform: string, home: string, env = {}): ReturnType<typeof findClientConfigs> {
  return findClientConfigs({ home, cwd: "/project/p", platform, env, exists: () => true });
}

test("only files that exist are found, each with its client", () => {
  const existing = new Set(["/home/me/.codex/config.toml", "/project/p/.mcp.json"]);

  const found = findClientConfigs({
    home: "/home/me",
    cwd: "/project/p",
    platform: "linux",
    env: {},
    exists: (path) => existing.has(path),
  });

  expect(found).toEqual([
    { host: "claude-code", path: "/project/p/.mcp.json" },
    { host: "codex", path: "/home/me/.codex/config.toml" },
  ]);
});

test.for([
  ["linux", "/home/me", {}, "/home/me/.config/Claude/claude_desktop_config.json"],
  ["linux", "/home/me", { XDG_CONFIG_HOME: "/x" }, "/x/Claude/claude_desktop_config.json"],
  [
    "darwin",
    "/Users/me",
    {},
    "/Users/me/Library/Application Support/Claude/claude_desktop_config.json",
  ],
  [
    "win32",
    String.raw`C:\Users\me`,
    { APPDATA: String.raw`D:\Roaming` },
    String.raw`D:\Roaming\Claude\claude_desktop_config.json`,
  ],
] as const)("on %s desktop settings of %s with %j are at %s", ([platform, home, env, path]) => {
  expect(find(platform, home, env)).toContainEqual({ host: "claude-desktop", path });
});

test("every known client has a place on every platform, and no place comes twice", () => {
  for (const platform of ["linux", "darwin", "win32"]) {
    const found = find(platform, "/home/me");

    expect(new Set(found.map(({ host }) => host)).size).toBe(9);
    expect(new Set(found.map(({ path }) => path)).size).toBe(found.length);
  }
});

test("a file that is both the project's and the user's is found once", () => {
  const found = findClientConfigs({
    home: "/home/me",
    cwd: "/home/me",
    platform: "linux",
    env: {},
    exists: (path) => path === "/home/me/.cursor/mcp.json",
  });

  expect(found).toEqual([{ host: "cursor", path: "/home/me/.cursor/mcp.json" }]);
});
