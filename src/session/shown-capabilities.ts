import type { Aggregate } from "../aggregation/aggregate.ts";
import type { Identity } from "../domain/identity.ts";
import type { Advertised } from "../domain/routing-table.ts";
import { toListPages, type ListPages } from "./list-pages.ts";
import type { AccessPolicy } from "./policy.ts";
import { LIST_NAMES, type ListName, type View } from "./view.ts";

/** What one identity sees of a view. */
export interface Shown {
  readonly aggregate: Readonly<Record<ListName, readonly Advertised[]>>;
  /** Each list's results as JSON bytes, prepared once for all who see the same. */
  readonly lists: Readonly<Record<ListName, ListPages>>;
}

/** Different excerpts of one view that are kept; who sees others has them made anew. */
const MAX_EXCERPTS_PER_VIEW = 64;

/**
 * Shows each identity what a policy lets it use and nothing else. Shared by all sessions; who may use the same sees the
 * same bytes.
 */
export class ShownCapabilities {
  readonly #policy: AccessPolicy;
  readonly #excerpts = new WeakMap<View, Excerpts>();

  constructor(policy: AccessPolicy) {
    this.#policy = policy;
  }

  of(view: View, identity: Identity): Shown {
    if (this.#policy.admitsAll) return view;
    const excerpts = this.#excerpts.get(view) ?? new Excerpts(view, this.#policy);
    this.#excerpts.set(view, excerpts);
    return excerpts.of(identity);
  }
}

/** What is shown of one view. */
class Excerpts {
  readonly #view: View;
  readonly #policy: AccessPolicy;
  readonly #byIdentity = new WeakMap<Identity, Shown>();
  /** By what is admitted: a digit for each item of each list. */
  readonly #byAdmitted = new Map<string, Shown>();

  constructor(view: View, policy: AccessPolicy) {
    this.#view = view;
    this.#policy = policy;
  }

  of(identity: Identity): Shown {
    const known = this.#byIdentity.get(identity);
    if (known !== undefined) return known;
    const shown = this.#excerptFor(identity);
    this.#byIdentity.set(identity, shown);
    return shown;
  }

  #excerptFor(identity: Identity): Shown {
    const { aggregate } = this.#view;
    const admitted = LIST_NAMES.map((name) =>
      aggregate[name]
        .map(({ route }) => (this.#policy.judge(identity, route).kind === "denied" ? "0" : "1"))
        .join(""),
    ).join(" ");
    if (!admitted.includes("0")) return this.#view;
    const same = this.#byAdmitted.get(admitted);
    if (same !== undefined) return same;
    const shown = excerptOf(this.#view, admitted.split(" "));
    this.#byAdmitted.set(admitted, shown);
    const [oldest] = this.#byAdmitted.keys();
    const isFull = this.#byAdmitted.size > MAX_EXCERPTS_PER_VIEW;
    if (isFull && oldest !== undefined) this.#byAdmitted.delete(oldest);
    return shown;
  }
}

/** `admitted` has the digits of each list, in the order of `LIST_NAMES`. */
function excerptOf(view: View, admitted: readonly string[]): Shown {
  const kept = (name: ListName): readonly Advertised[] => {
    const digits = admitted[LIST_NAMES.indexOf(name)];
    return view.aggregate[name].filter((_item, index) => digits?.[index] === "1");
  };
  const aggregate: Pick<Aggregate, ListName> = {
    tools: kept("tools"),
    prompts: kept("prompts"),
    resources: kept("resources"),
    resourceTemplates: kept("resourceTemplates"),
  };
  return {
    aggregate,
    lists: {
      tools: pagesOf("tools", aggregate, view),
      prompts: pagesOf("prompts", aggregate, view),
      resources: pagesOf("resources", aggregate, view),
      resourceTemplates: pagesOf("resourceTemplates", aggregate, view),
    },
  };
}

function pagesOf(name: ListName, aggregate: Pick<Aggregate, ListName>, view: View): ListPages {
  const kept = aggregate[name];
  if (kept.length === view.aggregate[name].length) return view.lists[name];
  return toListPages(
    name,
    kept.map(({ json }) => json),
  );
}
