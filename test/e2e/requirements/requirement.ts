/** Whom the gateway owes it to: its clients, its backends, or both. */
type Side = "client" | "backend" | "both";

/** One MUST or SHOULD, or the negative of one, in words of our own. */
export interface Requirement {
  readonly id: string;
  /** Revision, page and section. */
  readonly place: string;
  readonly level: "MUST" | "SHOULD";
  readonly side: Side;
  readonly sentence: string;
  /**
   * Why it does not hold as it stands: a `deviation` is a decision, and a test shows what holds instead; what is
   * `elsewhere` belongs to a part of its own that is still to come, and no test shows it.
   */
  readonly status?: "deviation" | "elsewhere";
  readonly reason?: string;
}

type Entry = readonly [id: string, section: string, side: Side, sentence: string];

/** The requirements of one page, each as `level` and an entry. */
export function page(
  name: string,
  ...requirements: readonly Requirement[]
): readonly Requirement[] {
  return requirements.map((found) => ({ ...found, place: `${name}${found.place}` }));
}

/** `section` is the anchor on the page, with its `#`, or empty. */
export function must(...[id, place, side, sentence]: Entry): Requirement {
  return { id, place, level: "MUST", side, sentence };
}

export function should(...[id, place, side, sentence]: Entry): Requirement {
  return { id, place, level: "SHOULD", side, sentence };
}

/** Not followed on purpose; `reason` says what holds instead and why. */
export function deviation(reason: string, requirement: Requirement): Requirement {
  return { ...requirement, status: "deviation", reason };
}

/** Belongs to a part that does not exist yet. */
export function elsewhere(reason: string, requirement: Requirement): Requirement {
  return { ...requirement, status: "elsewhere", reason };
}
