import type { Output } from "../terminal.ts";
import { addCommand } from "./connect-hints.ts";
import { count, oneLine } from "../text.ts";
import { planLine, summaryLine, toolLines } from "../reload/plan-lines.ts";
import type { BackendReport, ServeIntroduction, ServeView } from "./serve-view.ts";
import { shortReason } from "./serve-view.ts";

/** Plain lines as things happen, for files, pipes and containers. */
export function createPlainView(output: Output, introduction: ServeIntroduction): ServeView {
  const say = (line: string): void => output.write(`${oneLine(line)}\n`);
  const { name: gatewayName, version, origin, backends, notes } = introduction;
  const transports = new Map(backends.map(({ name, transport }) => [name, transport]));
  let noted = new Set(notes);
  let endpoint: string | undefined;
  say(`vmcp ${version}: ${count(backends.length, "backend")} from ${origin}`);
  for (const note of notes) say(`note: ${note}`);
  return {
    listening: (url) => {
      endpoint = url;
      say(`listening on ${url}`);
    },
    backendChanged: (report: BackendReport) => {
      const { name, state, toolCount = 0 } = report;
      const what = state === "healthy" ? count(toolCount, "tool") : shortReason(report);
      say(`backend ${name} (${transports.get(name) ?? "?"}) is ${state}: ${what}`);
    },
    ready: () => {
      say("ready");
      if (endpoint !== undefined) say(`next: ${addCommand(gatewayName, endpoint)}`);
    },
    reloaded: (news) => {
      for (const change of news.changes) say(planLine(change));
      for (const line of toolLines(news.tools)) say(line);
      for (const note of news.notes.filter((text) => !noted.has(text))) say(`note: ${note}`);
      noted = new Set(news.notes);
      for (const { name, transport } of news.backends) transports.set(name, transport);
      say(summaryLine(news));
    },
    reloadRefused: (reasons) => {
      for (const reason of reasons) say(`problem: ${reason}`);
      say("configuration not reloaded: the one before stays in force");
    },
    draining: (sessions) => say(`draining… (${count(sessions, "session")})`),
    stopped: () => say("stopped"),
  };
}
