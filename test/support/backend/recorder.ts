import type { VmcpError } from "../../../src/domain/errors.ts";
import type { AnswerSink, BackendMessage } from "../../../src/mcp/exchange.ts";

export type Ending = { readonly answer: BackendMessage } | { readonly error: VmcpError };

/** A sink that writes everything down. `wantsMore` is what it answers to each event. */
export interface Recorder extends AnswerSink {
  readonly events: BackendMessage[];
  /** Everything that ended the exchange: a sound one has exactly one entry. */
  readonly endings: Ending[];
  readonly ended: Promise<Ending>;
  /** The answer's bytes; rejects with the error. */
  readonly answered: Promise<BackendMessage>;
  wantsMore: boolean;
}

export function createRecorder(): Recorder {
  let end: ((ending: Ending) => void) | undefined;
  const ended = new Promise<Ending>((resolve) => {
    end = resolve;
  });
  const answered = (async () => {
    const ending = await ended;
    if ("error" in ending) throw ending.error;
    return ending.answer;
  })();
  // Whoever looks at `ended` alone has seen the error too.
  answered.catch(() => {});
  const recorder: Recorder = {
    events: [],
    endings: [],
    ended,
    answered,
    wantsMore: true,
    event(message) {
      recorder.events.push(message);
      return recorder.wantsMore;
    },
    answer(message) {
      recorder.endings.push({ answer: message });
      end?.({ answer: message });
    },
    fail(error) {
      recorder.endings.push({ error });
      end?.({ error });
    },
  };
  return recorder;
}
