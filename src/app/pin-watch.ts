import type { BackendCapabilities } from "../aggregation/aggregate.ts";
import type { Withheld } from "../aggregation/withheld.ts";
import type { BackendGreeting } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { Mismatch, Pins } from "../pinning/pins.ts";
import { shownText } from "../pinning/shown-text.ts";
import type { IntroducedAs } from "../session/introduced.ts";
import type { WithheldOf } from "../session/view.ts";

/** Differences that were told of; with more than these some are told of again. */
const MAX_TOLD = 10_000;

/** Names of strangers may be long, and what is wrong with them is in the output of `vmcp check`. */
const MAX_NAME_LENGTH = 128;
const MAX_LOGGED_CHANGES = 10;
const MAX_SHOWN_MISMATCHES = 50;

/** What a lock does to what clients see of backends; what is absent does nothing. */
export interface PinnedViews {
  readonly withheldOf?: WithheldOf;
  readonly introducedAs?: IntroducedAs;
}

const NO_PINS: PinnedViews = {};

/** Holds what backends list against the lock that is in force, and tells of each difference once. */
export class PinWatch {
  readonly #logger: Logger;
  readonly #onMismatch: (mismatch: Mismatch) => void;
  readonly #told = new Set<string>();
  readonly #views = new WeakMap<Pins, PinnedViews>();

  /** `onMismatch` is called once for each definition that is not as it was locked. */
  constructor(logger: Logger, onMismatch: (mismatch: Mismatch) => void) {
    this.#logger = logger;
    this.#onMismatch = onMismatch;
  }

  /** What these pins do to what clients see: the same functions as long as the pins are the same. */
  by(pins: Pins | undefined): PinnedViews {
    if (pins === undefined) return NO_PINS;
    const known = this.#views.get(pins);
    if (known !== undefined) return known;
    const made: PinnedViews = {
      withheldOf: (source) => this.#judge(pins, source),
      introducedAs: this.#introducedBy(pins),
    };
    this.#views.set(pins, made);
    return made;
  }

  /** Looks at lists that nobody may ever be shown, so that the operator hears of them. */
  noteListed(pins: Pins | undefined, source: BackendCapabilities): void {
    if (pins !== undefined) this.#judge(pins, source);
  }

  /** Without instructions that are withheld. */
  #introducedBy(pins: Pins): IntroducedAs {
    const known = new WeakMap<BackendGreeting, BackendGreeting>();
    return (backend, greeting) => {
      const judged = known.get(greeting) ?? this.#judgeGreeting(pins, backend, greeting);
      known.set(greeting, judged);
      return judged;
    };
  }

  #judgeGreeting(pins: Pins, backend: BackendName, greeting: BackendGreeting): BackendGreeting {
    const mismatch = pins.judgeInstructions(backend, greeting.instructions);
    if (mismatch === undefined) return greeting;
    this.#tell(mismatch);
    return mismatch.isWithheld ? { ...greeting, instructions: undefined } : greeting;
  }

  #judge(pins: Pins, { backend, capabilities }: BackendCapabilities): Withheld | undefined {
    const { mismatches, withheld } = pins.judge(backend, capabilities);
    for (const mismatch of mismatches) this.#tell(mismatch);
    return withheld;
  }

  #tell(mismatch: Mismatch): void {
    const { backend, kind, name, digest, is, isWithheld, changes } = mismatch;
    const key = JSON.stringify([backend, kind, name, digest, is, isWithheld]);
    if (this.#told.has(key)) return;
    const [oldest] = this.#told;
    if (this.#told.size >= MAX_TOLD && oldest !== undefined) this.#told.delete(oldest);
    this.#told.add(key);
    this.#logger.warn(
      is === "changed"
        ? "a definition differs from the lock file"
        : "a definition is not in the lock file",
      {
        backend,
        kind,
        name: shownText(name, MAX_NAME_LENGTH),
        isWithheld,
        changes: changesOf(changes),
      },
    );
    this.#onMismatch(mismatch);
  }
}

/** What changed, without the words: they are for whoever reviews them, and not for a log. Undefined for nothing. */
export function changesOf(changes: Mismatch["changes"]): string | undefined {
  const first = changes.slice(0, MAX_LOGGED_CHANGES);
  const said = first.map(({ path, effect }) => `${effect} ${path}`.trim()).join(", ");
  return said === "" ? undefined : said;
}

/** For the status page: which definitions are not as they were locked, as far as backends were ever listed. */
export function pinStatus(
  pins: Pins | undefined,
  sources: readonly BackendCapabilities[],
): JsonObject {
  if (pins === undefined) return {};
  const mismatches = sources.flatMap(
    ({ backend, capabilities }) => pins.judge(backend, capabilities).mismatches,
  );
  return {
    pinning: {
      mismatches: mismatches.length,
      withheld: mismatches.filter(({ isWithheld }) => isWithheld).length,
      first: mismatches.slice(0, MAX_SHOWN_MISMATCHES).map(({ backend, kind, name, is }) => ({
        backend,
        kind,
        name: shownText(name, MAX_NAME_LENGTH),
        is,
      })),
    },
  };
}
