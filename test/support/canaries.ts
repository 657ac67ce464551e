import { randomBytes } from "node:crypto";

/** Secrets that are made for one test, each by where it was put, and found wherever they come out. */
export class Canaries {
  readonly #secrets = new Map<string, string>();

  /** A new secret for this place. It holds nothing that URLs or headers would have to escape. */
  at(place: string): string {
    const secret = `CANARY-${place}-${randomBytes(9).toString("hex")}`;
    this.#secrets.set(place, secret);
    return secret;
  }

  /** Another secret that came about by itself, such as the id of a session. */
  add(place: string, secret: string): void {
    this.#secrets.set(place, secret);
  }

  get places(): readonly string[] {
    return [...this.#secrets.keys()];
  }

  /** Where a secret came out: `place → output`, for every output in which it stands in one of its forms. */
  escapedIn(outputs: ReadonlyMap<string, string>): readonly string[] {
    return [...this.#secrets].flatMap(([place, secret]) =>
      [...outputs].flatMap(([output, text]) =>
        formsOf(secret).some((form) => text.includes(form)) ? [`${place} → ${output}`] : [],
      ),
    );
  }
}

/** As it is, and as headers, dumps and URLs write it. Base64 has three forms, by where in the text it begins. */
function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].flatMap((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
    // The characters at both ends depend on what stands beside the secret.
    const inner = (text: string): string => text.slice(offset === 0 ? 0 : 4, -4);
    return [inner(shifted.toString("base64")), inner(shifted.toString("base64url"))];
  });
  return [
    secret,
    ...base64,
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
  ];
}
