import type { OverviewEntry } from "../../app/overview.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import { readCallArguments } from "../call-arguments.ts";
import { CliError } from "../cli-error.ts";
import type { CommandAction } from "../commands.ts";
import { useConfig } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import { openLocalSession, type FailedBackend, type LocalSession } from "../local-session.ts";
import type { Output } from "../terminal.ts";
import { harmless, oneLine } from "../text.ts";
import { nearest } from "../nearest.ts";

type ToolCallResult = Awaited<ReturnType<LocalSession["callTool"]>>;
type ContentBlock = ToolCallResult["content"][number];

const MAX_SUGGESTIONS = 3;

/** Calls one tool and prints what it answers. */
export const call: CommandAction = async ({ args, flags, terminal }) => {
  const [name = "", ...words] = args;
  const source = { file: flags.text("config"), backends: flags.texts("backend") };
  const { config } = useConfig(source, terminal);
  await using session = await openLocalSession(config);
  const tool = findTool(name, session.overview.tools, session.failed);
  const schema = tool.value["inputSchema"];
  const given = await readCallArguments(
    words,
    isJsonObject(schema) ? schema : undefined,
    async () => terminal.readStdin(),
  );
  const result = await session.callTool(name, given);
  const { out } = terminal;
  if (flags.isSet("json")) out.write(`${JSON.stringify(result.raw, undefined, 2)}\n`);
  else printContent(result, out);
  return result.isError ? EXIT.toolError : EXIT.ok;
};

function findTool(
  name: string,
  tools: readonly OverviewEntry[],
  failed: readonly FailedBackend[],
): OverviewEntry {
  const tool = tools.find((entry) => entry.name === name);
  if (tool !== undefined) return tool;
  const [reason] = failed.map((backend) => backend.reason);
  if (tools.length === 0 && reason !== undefined)
    throw new CliError(EXIT.unavailable, `${reason}.`);
  const names = nearest(
    name,
    tools.map((entry) => entry.name),
    MAX_SUGGESTIONS,
  );
  const advice =
    names.length === 0 ? "`vmcp list tools` shows all." : `Did you mean ${names.join(" or ")}?`;
  const missing =
    failed.length === 0 ? "" : ` (${failed.map((backend) => backend.name).join(", ")} failed)`;
  const shown = oneLine(JSON.stringify(name));
  throw new CliError(EXIT.usage, `There is no tool ${shown}${missing}. ${advice}`);
}

function printContent({ content, structuredContent }: ToolCallResult, out: Output): void {
  for (const block of content) {
    const text = describeBlock(block);
    // A program that reads the output gets what the tool said; a terminal must not obey it.
    out.write(`${out.isInteractive ? harmless(text) : text}\n`);
  }
  if (content.length === 0 && structuredContent !== undefined) {
    out.write(`${JSON.stringify(structuredContent, undefined, 2)}\n`);
  }
}

function describeBlock(block: ContentBlock): string {
  switch (block.type) {
    case "text":
      return block.text;
    case "image":
    case "audio":
      return `[${block.type} ${block.mimeType}, ${String(base64Bytes(block.data))} bytes: see --json]`;
    case "resource":
      return block.text ?? `[resource ${block.uri}]`;
    case "unknown":
      return describeUnknown(block.raw);
    default:
      return block satisfies never;
  }
}

function describeUnknown(raw: JsonObject = {}): string {
  const { type, uri } = raw;
  return typeof type === "string" && typeof uri === "string"
    ? `[${type} ${uri}]`
    : JSON.stringify(raw);
}

function base64Bytes(text: string): number {
  return Buffer.byteLength(text, "base64");
}
