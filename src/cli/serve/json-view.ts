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
    draining: (sessions) => emit("draining", { sessions }),
    stopped: () => emit("stopped"),
  };
}
