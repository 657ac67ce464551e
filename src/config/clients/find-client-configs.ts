import { posix, win32 } from "node:path";
import type { Environment } from "../references.ts";

/** An MCP client whose configuration can be read. */
export type ClientHost =
  | "claude-desktop"
  | "claude-code"
  | "cursor"
  | "vscode"
  | "gemini-cli"
  | "opencode"
  | "codex"
  | "windsurf"
  | "zed";

export interface ClientConfigFile {
  readonly host: ClientHost;
  readonly path: string;
}

export interface FindOptions {
  readonly home: string;
  readonly cwd: string;
  /** As `process.platform`. */
  readonly platform: string;
  readonly env: Environment;
  readonly exists: (path: string) => boolean;
}

/** The known configuration files that exist, those of the project at `cwd` first. */
export function findClientConfigs(options: FindOptions): readonly ClientConfigFile[] {
  return knownPlaces(options).filter(({ path }) => options.exists(path));
}

function knownPlaces(options: FindOptions): readonly ClientConfigFile[] {
  const { home, cwd, platform } = options;
  const flavour = platform === "win32" ? win32 : posix;
  const join = (...parts: readonly string[]): string => flavour.join(...parts);
  const settings = settingsFolder(options);
  const places: readonly (readonly [ClientHost, string])[] = [
    ["claude-code", join(cwd, ".mcp.json")],
    ["cursor", join(cwd, ".cursor", "mcp.json")],
    ["vscode", join(cwd, ".vscode", "mcp.json")],
    ["gemini-cli", join(cwd, ".gemini", "settings.json")],
    ["opencode", join(cwd, "opencode.json")],
    ["opencode", join(cwd, "opencode.jsonc")],
    ["zed", join(cwd, ".zed", "settings.json")],
    ["claude-desktop", join(settings, "Claude", "claude_desktop_config.json")],
    ["claude-code", join(home, ".claude.json")],
    ["cursor", join(home, ".cursor", "mcp.json")],
    ["vscode", join(settings, "Code", "User", "mcp.json")],
    ["gemini-cli", join(home, ".gemini", "settings.json")],
    ["opencode", join(home, ".config", "opencode", "opencode.json")],
    ["opencode", join(home, ".config", "opencode", "opencode.jsonc")],
    ["codex", join(home, ".codex", "config.toml")],
    ["windsurf", join(home, ".codeium", "windsurf", "mcp_config.json")],
    ["zed", join(platform === "win32" ? settings : join(home, ".config"), "zed", "settings.json")],
  ];
  const paths = new Map(places.map(([host, path]) => [path, host]));
  return [...paths].map(([path, host]) => ({ host, path }));
}

/** Where desktop programs of this platform keep the settings of their user. */
function settingsFolder({ home, platform, env }: FindOptions): string {
  if (platform === "darwin") return posix.join(home, "Library", "Application Support");
  if (platform === "win32") return env["APPDATA"] ?? win32.join(home, "AppData", "Roaming");
  return env["XDG_CONFIG_HOME"] ?? posix.join(home, ".config");
}
