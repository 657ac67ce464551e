import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Where the peers are installed: apart from the project's dependencies, none of which they may satisfy or replace. */
export const PACKAGES_FOLDER = fileURLToPath(new URL(".packages", import.meta.url));

/** The absolute path of a file in an installed peer, such as `mcp-remote/dist/proxy.js`. */
export function peerFile(path: string): string {
  return join(PACKAGES_FOLDER, "node_modules", path);
}

/** Imports a module of an installed peer. What it exports is for the caller to say. */
export async function importPeer(path: string): Promise<unknown> {
  return import(pathToFileURL(peerFile(path)).href);
}
