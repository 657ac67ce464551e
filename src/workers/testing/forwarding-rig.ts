import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { Forwarder } from "../forwarding.ts";

export const SECRET = "s".repeat(43);

export type Answer = (...exchange: Parameters<RequestListener>) => void | Promise<void>;

/** A process that forwards everything to one owner, if there is one. */
export interface Rig {
  readonly url: string;
  /** What the forwarder said of each request, in their order. */
  readonly outcomes: unknown[];
  /** How many connections the owner was given. */
  readonly connections: () => number;
  /** Closes the owner and all its connections. */
  readonly stopOwner: () => Promise<void>;
  /** Starts another one in its place. */
  readonly startOwner: (answer: Answer) => Promise<void>;
}

export interface RigOptions {
  /** After how long the owner closes an idle connection. */
  readonly keepAliveTimeoutMs?: number;
}

/** `answer` is how the owner answers; without it there is none. What is not forwarded is answered with 404 and its body. */
export async function startRig(answer?: Answer, options: RigOptions = {}): Promise<Rig> {
  const { keepAliveTimeoutMs = 5_000 } = options;
  const folder = mkdtempSync(join(tmpdir(), "vmcp-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const pathOf = (owner: number): string => join(folder, `${owner}.sock`);
  let connections = 0;
  let owner: Server | undefined;
  const stopOwner = async (): Promise<void> => {
    if (owner === undefined) return;
    const closed = once(owner, "close");
    owner.close();
    owner.closeAllConnections();
    owner = undefined;
    await closed;
  };
  const startOwner = async (next: Answer): Promise<void> => {
    owner = createServer(
      { keepAliveTimeout: keepAliveTimeoutMs },
      (...asked) => void next(...asked),
    );
    owner.on("connection", () => {
      connections += 1;
    });
    owner.listen(pathOf(3));
    await once(owner, "listening");
  };
  onTestFinished(stopOwner);
  if (answer !== undefined) await startOwner(answer);
  const forwarder = new Forwarder({ secret: SECRET, pathOf, keepAliveTimeoutMs });
  const outcomes: unknown[] = [];
  const serve: Answer = async (request, response) => {
    const isForwarded = await forwarder.forward(3, request, response);
    outcomes.push(isForwarded);
    if (!isForwarded) response.writeHead(404).end(await readText(request));
  };
  const front = createServer((...asked) => void serve(...asked));
  // The go-ahead is the forwarder's to give.
  front.on("checkContinue", (...asked: Parameters<Answer>) => void serve(...asked));
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  onTestFinished(() => {
    forwarder[Symbol.dispose]();
    front.close();
    front.closeAllConnections();
  });
  // A listening TCP server has an address of this shape.
  const { port } = front.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/mcp`;
  return { url, outcomes, connections: () => connections, stopOwner, startOwner };
}
