import type { Server, ServerOptions } from "@modelcontextprotocol/server";

export interface StatelessState {
  calls: number;
  cancelled: number;
  tools: string[];
}

export function createState(): StatelessState;

export function createStatelessServer(
  state: StatelessState,
  cacheHints?: ServerOptions["cacheHints"],
): Server;
