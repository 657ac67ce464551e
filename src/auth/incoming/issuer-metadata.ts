import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import type { EgressFetch } from "../egress/egress.ts";
import { EgressError } from "../egress/egress-error.ts";

/** A document that was read is asked for again after this. Milliseconds. */
const MAX_AGE_MS = 3_600_000;

/** What an issuer says of itself. */
export interface IssuerMetadata {
  readonly jwksUri: string | undefined;
  readonly introspectionEndpoint: string | undefined;
}

/**
 * Finds out where an issuer keeps its keys (RFC 8414 and OpenID Connect discovery), once for all who ask at a time.
 *
 * The document must name the very issuer it was asked for. One that was read is used until another can be had.
 */
export class IssuerDiscovery {
  readonly #issuer: string;
  readonly #fetch: EgressFetch;
  readonly #now: () => number;
  #known: { readonly metadata: IssuerMetadata; readonly readAtMs: number } | undefined;
  #reading: Promise<IssuerMetadata> | undefined;

  constructor(issuer: string, fetch: EgressFetch, now: () => number = () => performance.now()) {
    this.#issuer = issuer;
    this.#fetch = fetch;
    this.#now = now;
  }

  /** Rejects with `EgressError` where no document can be had and none was ever read. */
  async metadata(): Promise<IssuerMetadata> {
    if (this.#known !== undefined && this.#now() - this.#known.readAtMs < MAX_AGE_MS) {
      return this.#known.metadata;
    }
    this.#reading ??= this.#read();
    try {
      return await this.#reading;
    } catch (error) {
      if (this.#known === undefined) throw error;
      return this.#known.metadata;
    } finally {
      this.#reading = undefined;
    }
  }

  async #read(): Promise<IssuerMetadata> {
    let failure: unknown;
    for (const url of discoveryUrls(this.#issuer)) {
      try {
        // The first one that answers decides.
        // oxlint-disable-next-line no-await-in-loop
        const metadata = toMetadata(await this.#ask(url), this.#issuer);
        this.#known = { metadata, readAtMs: this.#now() };
        return metadata;
      } catch (error) {
        // Whoever does not answer at one place does not answer at the others, and each wait is long.
        if (error instanceof EgressError && error.failure !== "protocol") throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  async #ask(url: string): Promise<unknown> {
    const answer = await this.#fetch(url, { headers: { accept: "application/json" } });
    if (answer.status !== 200) {
      throw new EgressError("protocol", `the issuer's metadata is answered ${answer.status}`);
    }
    try {
      return await answer.json();
    } catch (error) {
      throw new EgressError("protocol", "the issuer's metadata is not JSON", error);
    }
  }
}

/** The places where issuers publish what they are, likeliest first. */
export function discoveryUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  const urls = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
  ];
  return [...new Set(urls)];
}

function toMetadata(document: unknown, issuer: string): IssuerMetadata {
  // RFC 8414 section 3.3: compared to the byte, or one tenant of a host could speak for another.
  if (!isJsonObject(document) || document["issuer"] !== issuer) {
    throw new EgressError("protocol", "the issuer's metadata is about another issuer");
  }
  return {
    jwksUri: textOf(document, "jwks_uri"),
    introspectionEndpoint: textOf(document, "introspection_endpoint"),
  };
}

function textOf(document: JsonObject, member: string): string | undefined {
  const value = document[member];
  return typeof value === "string" && URL.canParse(value) ? value : undefined;
}
