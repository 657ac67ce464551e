import type { CapabilitySet } from "../domain/capabilities.ts";
import type { JsonObject } from "../domain/json.ts";

/** A day: what a backend says of the time after that says little. */
const MAX_TTL_MS = 86_400_000;

/**
 * For how long and for whom the lists of a backend are good, all pages of all lists taken together.
 *
 * Only the revision without sessions says anything of it. The shortest time counts, and what one page keeps to
 * one client is kept to one client; a page that says nothing among others that do is good for no time.
 */
export class ListCaching {
  #says = false;
  #ttlMs = MAX_TTL_MS;
  #isPublic = true;

  /** Takes what one page says. */
  note({ ttlMs, cacheScope }: JsonObject): void {
    if (ttlMs !== undefined || cacheScope !== undefined) this.#says = true;
    const isTime = typeof ttlMs === "number" && ttlMs >= 0;
    this.#ttlMs = Math.min(this.#ttlMs, isTime ? Math.floor(ttlMs) : 0);
    this.#isPublic &&= cacheScope === "public";
  }

  /** Nothing where no page says anything. */
  get outcome(): Pick<CapabilitySet, "ttlMs" | "cacheScope"> {
    if (!this.#says) return {};
    return { ttlMs: this.#ttlMs, cacheScope: this.#isPublic ? "public" : "private" };
  }
}
