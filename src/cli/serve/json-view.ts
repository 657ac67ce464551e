import type { Output } from "../terminal.ts";
import type { BackendReport, ServeIntroduction, ServeView } from "./serve-view.ts";

/** One JSON object per line, told apart by `event`. */
export function createJsonView(output: Output, introduction: ServeIntroduction): ServeView {
  const transports = new Map(introduction.backends.map(({ name, transport }) => [name, transport]));
  const emit = (event: string, fields: object = {}): void => {
    output.write(`${JSON.stringify({ event, ...fields })}\n`);
  };
  for (const message of introduction.notes) emit("note", { message });
  return {
    listening: (url) => emit("listening", { url }),
    backendChanged: ({ name, state, toolCount, reason }: BackendReport) =>
      emit("backend", {
        name,
        transport: transports.get(name),
        state,
        ...(toolCount !== undefined && { tools: toolCount }),
        ...(reason !== undefined && { reason }),
      }),
    ready: () => emit("ready"),
    reloaded: ({ changes, generation, sessions, tools, backends, notes }) => {
      for (const { name, transport } of backends) transports.set(name, transport);
      for (const message of notes) emit("note", { message });
      for (const change of changes) emit("change", change);
      const [toolsAdded, toolsRemoved] = [tools.added, tools.removed];
      emit("reloaded", { generation, changes: changes.length, sessions, toolsAdded, toolsRemoved });
    },
    reloadRefused: (reasons) => emit("reload-refused", { problems: reasons }),
    draining: (sessions) => emit("draining", { sessions }),
    stopped: () => emit("stopped"),
  };
}
