import { createHash } from "node:crypto";
import type { BackendConfig } from "../config/vmcp-config.ts";

/**
 * Stands for the server that a configured backend is: its name and where it is, or how it is started. Everything
 * else about it may change and it is the same one. A digest, because addresses and arguments may hold secrets.
 */
export function serverIdOf(backend: BackendConfig): string {
  const place = backend.transport === "stdio" ? [backend.command, ...backend.args] : [backend.url];
  const text = JSON.stringify([backend.name, backend.transport === "stdio", ...place]);
  return createHash("sha256").update(text).digest("base64url");
}
