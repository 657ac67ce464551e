import pc from "picocolors";
import type { Overview, OverviewEntry } from "../../app/overview.ts";
import { CliError } from "../cli-error.ts";
import type { CommandAction } from "../commands.ts";
import { describeProblems } from "../config-problems.ts";
import { useConfig } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import { openLocalSession, type FailedBackend, type LocalSession } from "../local-session.ts";
import { table, type Cell } from "../table.ts";
import type { Output } from "../terminal.ts";
import { count, oneLine, wrap } from "../text.ts";

const KINDS = ["tools", "prompts", "resources"] as const;
type Kind = (typeof KINDS)[number];

const INDENT = "  ";

/** Shows what clients will see: fails only if no backend answered. */
export const list: CommandAction = async ({ args, flags, terminal }) => {
  const { file, kinds } = readArguments(args);
  const used = useConfig({ file, backends: flags.texts("backend") }, terminal);
  for (const line of describeProblems(used.warnings)) terminal.err.write(`warning ${line}\n`);
  await using session = await openLocalSession(used.config);
  if (flags.isSet("json")) terminal.out.write(toJson(session, kinds));
  else print(session, kinds, terminal.out);
  return session.failed.length < used.config.backends.length ? EXIT.ok : EXIT.unavailable;
};

/** The two arguments cannot be taken for each other, so they may come in any order. */
function readArguments(args: readonly string[]): {
  readonly file: string | undefined;
  readonly kinds: readonly Kind[];
} {
  const kinds = KINDS.filter((kind) => args.includes(kind));
  const [file, ...others] = args.filter((arg) => !KINDS.some((kind) => kind === arg));
  if (others.length > 0 || kinds.length > 1) {
    throw new CliError(
      EXIT.usage,
      `Name at most one file and one of ${KINDS.join(", ")}: "${args.join(" ")}" is more.`,
    );
  }
  return { file, kinds: kinds.length === 0 ? KINDS : kinds };
}

function toJson({ overview, failed }: LocalSession, kinds: readonly Kind[]): string {
  const lists = Object.fromEntries(
    kinds.flatMap((kind) => [
      [kind, overview[kind].map(toJsonEntry)],
      ...(kind === "resources"
        ? [["resourceTemplates", overview.resourceTemplates.map(toJsonEntry)]]
        : []),
    ]),
  );
  return `${JSON.stringify({ ...lists, findings: overview.findings, failed }, undefined, 2)}\n`;
}

function toJsonEntry({ name, backend, originalName, value }: OverviewEntry): object {
  return { ...value, name, backend, originalName };
}

function print({ overview, failed }: LocalSession, kinds: readonly Kind[], out: Output): void {
  const shown = kinds.filter((kind) => kinds.length === 1 || entriesOf(kind, overview).length > 0);
  for (const kind of shown) printKind(kind, overview, out);
  printFindings(overview, out);
  printFailed(failed, out);
}

function printKind(kind: Kind, overview: Overview, out: Output): void {
  const { bold } = pc.createColors(out.hasColour);
  const entries = entriesOf(kind, overview);
  out.write(`${bold(count(entries.length, kind.slice(0, -1)))}\n`);
  const rows = entries.map((entry) => toRow(entry, out));
  for (const line of table(rows, { columns: out.columns, indent: INDENT })) out.write(`${line}\n`);
  out.write("\n");
}

function entriesOf(kind: Kind, overview: Overview): readonly OverviewEntry[] {
  const templates = kind === "resources" ? overview.resourceTemplates : [];
  return [...overview[kind], ...templates];
}

function toRow(
  { name, backend, originalName, value }: OverviewEntry,
  out: Output,
): readonly Cell[] {
  const { dim, cyan } = pc.createColors(out.hasColour);
  const { title, description } = value;
  const says = [description, title, value["name"]].find((text) => typeof text === "string");
  // With a prefix the original name stands in the advertised one already.
  const origin = name.endsWith(originalName) ? backend : `${backend}: ${originalName}`;
  return [
    { text: oneLine(name), paint: cyan },
    { text: oneLine(origin) },
    { text: typeof says === "string" && says !== name ? oneLine(says) : "", paint: dim },
  ];
}

function printFindings({ findings }: Overview, out: Output): void {
  // A filter that hides what it was written to hide is no news.
  const news = findings.filter(({ kind }) => kind !== "filtered");
  if (news.length === 0) return;
  const { yellow } = pc.createColors(out.hasColour);
  out.write(`${yellow(count(news.length, "finding"))}\n`);
  for (const { message } of news) writeWrapped(message, out);
  out.write("\n");
}

function printFailed(failed: readonly FailedBackend[], out: Output): void {
  if (failed.length === 0) return;
  const { red } = pc.createColors(out.hasColour);
  out.write(`${red(`${count(failed.length, "backend")} failed`)}\n`);
  for (const { reason } of failed) writeWrapped(reason, out);
}

function writeWrapped(text: string, out: Output): void {
  const lines = wrap(oneLine(text), out.columns - INDENT.length);
  for (const line of lines) out.write(`${INDENT}${line}\n`);
}
