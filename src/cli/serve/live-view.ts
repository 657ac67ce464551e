import pc from "picocolors";
import type { PlanChange } from "../../config/reload-plan.ts";
import { LiveBlock } from "../live-block.ts";
import { table, type Cell } from "../table.ts";
import type { Output } from "../terminal.ts";
import { planLine, summaryLine, toolLines } from "../reload/plan-lines.ts";
import { count, oneLine, paragraph, wrap } from "../text.ts";
import { connectHints } from "./connect-hints.ts";
import type { BackendReport, ReloadNews, ServeIntroduction, ServeView } from "./serve-view.ts";
import { shortReason } from "./serve-view.ts";

const INDENT = "  ";
/** In front of each change of a reload. */
const MARKS: Readonly<Record<PlanChange["kind"], string>> = {
  backend_added: "+",
  backend_removed: "-",
  backend_changed: "~",
  setting_changed: "~",
  needs_restart: "!",
};

/** Under the text of an item, past its mark. */
const ITEM_INDENT = "    ";
const REASON_INDENT = "      ";

/** For a person: a block that lives while backends start, then what to paste into a client, then news. */
export class LiveView implements ServeView {
  readonly #output: Output;
  readonly #introduction: ServeIntroduction;
  readonly #colours: ReturnType<typeof pc.createColors>;
  readonly #reports = new Map<string, BackendReport>();
  #notes: readonly string[];
  #url = "";
  #block: LiveBlock | undefined;

  constructor(output: Output, introduction: ServeIntroduction) {
    this.#output = output;
    this.#introduction = introduction;
    this.#notes = introduction.notes;
    this.#colours = pc.createColors(output.hasColour);
    const { version, origin, backends, notes } = introduction;
    const head = `${this.#colours.bold("vmcp")} ${version}`;
    this.#say(`${head}, ${count(backends.length, "backend")} from ${oneLine(origin)}`);
    for (const note of notes) this.#paragraph(note, this.#colours.yellow);
  }

  listening(url: string): void {
    this.#url = url;
    this.#say(`\n${INDENT}${this.#colours.bold(this.#colours.cyan(url))}\n`);
    this.#block = new LiveBlock(this.#output, (spinner) => this.#backendLines(spinner));
  }

  backendChanged(report: BackendReport): void {
    const before = this.#reports.get(report.name);
    this.#reports.set(report.name, report);
    // The block shows it while it lives.
    if (this.#block !== undefined || before?.state === report.state) return;
    const { name, state, toolCount = 0 } = report;
    const { green, red, yellow } = this.#colours;
    const isGood = state === "healthy";
    const badMark = state === "degraded" ? yellow("!") : red("✖");
    const mark = isGood ? green("✔") : badMark;
    const what = isGood ? count(toolCount, "tool") : shortReason(report);
    this.#say(`${INDENT}${mark} ${name} is ${state}: ${oneLine(what)}`);
  }

  ready(): void {
    this.#block?.stop();
    this.#block = undefined;
    this.#say(`\n${this.#summary()}\n`);
    for (const line of connectHints(this.#introduction.name, this.#url)) this.#say(line);
    this.#say(`\n${this.#colours.dim("Ctrl-C stops it.")}`);
  }

  reloaded(news: ReloadNews): void {
    const { bold, yellow } = this.#colours;
    this.#say("");
    this.#paragraph(summaryLine(news), bold);
    for (const change of news.changes) {
      const paint = change.kind === "needs_restart" ? yellow : String;
      this.#item(MARKS[change.kind], planLine(change), paint);
    }
    for (const line of toolLines(news.tools)) this.#paragraph(line);
    this.#forgetFormerServers(news.changes);
    for (const note of news.notes.filter((text) => !this.#notes.includes(text))) {
      this.#paragraph(note, yellow);
    }
    this.#notes = news.notes;
  }

  /** What answers under such a name from now on is another server: its first report is news. */
  #forgetFormerServers(changes: readonly PlanChange[]): void {
    for (const change of changes) {
      const isKept = change.kind === "backend_changed" && change.connections !== "replace";
      if ("backend" in change && !isKept) this.#reports.delete(change.backend);
    }
  }

  reloadRefused(reasons: readonly string[]): void {
    const { red } = this.#colours;
    for (const reason of reasons) this.#item(red("✖"), reason);
    this.#say(`${INDENT}configuration not reloaded: the one before stays in force`);
  }

  draining(sessions: number): void {
    this.#block?.stop();
    this.#block = undefined;
    const hint = "Ctrl-C again ends at once";
    this.#say(`\ndraining… (${count(sessions, "session")}; ${hint})`);
  }

  stopped(): void {
    this.#say("stopped");
  }

  #backendLines(spinner: string): readonly string[] {
    const { green, red, yellow, dim, cyan } = this.#colours;
    const columns = this.#output.columns - 1;
    const rows = this.#introduction.backends.map(({ name, transport }): readonly Cell[] => {
      const { state = "unknown", toolCount } = this.#reports.get(name) ?? {};
      const tools = toolCount === undefined ? "" : count(toolCount, "tool");
      const rest = [{ text: name }, { text: transport, paint: dim }];
      switch (state) {
        case "healthy":
          return [{ text: "✔", paint: green }, ...rest, { text: "healthy" }, { text: tools }];
        case "degraded":
          return [{ text: "!", paint: yellow }, ...rest, { text: state }, { text: tools }];
        case "unhealthy":
          return [{ text: "✖", paint: red }, ...rest, { text: state, paint: red }, { text: tools }];
        case "unknown":
          return [{ text: spinner, paint: cyan }, ...rest, { text: "starting" }, { text: "" }];
        default:
          return state satisfies never;
      }
    });
    const lines = table(rows, { columns, indent: INDENT });
    return lines.flatMap((line, index) => [line, ...this.#reasonLines(index, columns)]);
  }

  #reasonLines(index: number, columns: number): readonly string[] {
    const name = this.#introduction.backends[index]?.name ?? "";
    const report = this.#reports.get(name);
    if (report?.reason === undefined) return [];
    const text = oneLine(shortReason(report));
    const lines = wrap(text, columns - REASON_INDENT.length);
    return lines.map((line) => this.#colours.dim(`${REASON_INDENT}${line}`));
  }

  #summary(): string {
    const all = this.#introduction.backends.length;
    // What a degraded backend offers is offered all the same.
    const serving = [...this.#reports.values()].filter(
      ({ state }) => state === "healthy" || state === "degraded",
    );
    const tools = serving.reduce((sum, { toolCount = 0 }) => sum + toolCount, 0);
    if (serving.length === 0) return "No backend has answered yet; each joins when it does.";
    const part = serving.length === all ? "" : `${String(serving.length)} of `;
    return `${count(tools, "tool")} from ${part}${count(all, "backend")}.`;
  }

  #paragraph(text: string, paint: (line: string) => string = String): void {
    const lines = paragraph(oneLine(text), this.#output.columns - INDENT.length);
    for (const line of lines) this.#say(paint(`${INDENT}${line}`));
  }

  /** The mark is one cell wide, and stands in front of the first line only. */
  #item(mark: string, text: string, paint: (line: string) => string = String): void {
    const lines = wrap(oneLine(text), this.#output.columns - ITEM_INDENT.length);
    const [first = "", ...rest] = lines.map(paint);
    this.#say(`${INDENT}${mark} ${first}`);
    for (const line of rest) this.#say(`${ITEM_INDENT}${line}`);
  }

  #say(text: string): void {
    this.#output.write(`${text}\n`);
  }
}
