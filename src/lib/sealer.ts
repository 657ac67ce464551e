import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Texts that others keep for us and can neither read nor change.
 *
 * Each is encrypted and authenticated (AES-256-GCM) together with the context it belongs to, so that it opens in that
 * very context only. The first key seals and every key opens, so that keys can be replaced one after the other.
 */
export class Sealer {
  readonly #keys: readonly Buffer[];

  /** Any texts make keys, and the same texts the same keys. Without any, the key is random and dies with the process. */
  constructor(secrets: readonly string[] = []) {
    this.#keys = secrets.length === 0 ? [randomBytes(KEY_BYTES)] : secrets.map(toKey);
  }

  /** The text as URL-safe characters; no two seals are alike. */
  seal(text: string, context: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const [key = randomBytes(KEY_BYTES)] = this.#keys;
    const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(context));
    const body = [cipher.update(text, "utf8"), cipher.final()];
    return Buffer.concat([nonce, cipher.getAuthTag(), ...body]).toString("base64url");
  }

  /** Undefined for anything that was not sealed with one of the keys in this context. */
  open(sealed: string, context: string): string | undefined {
    const bytes = Buffer.from(sealed, "base64url");
    // What decodes to the same bytes must be the same text, or one seal could be shown twice in two spellings.
    if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString("base64url") !== sealed) {
      return undefined;
    }
    for (const key of this.#keys) {
      const text = openWith(key, bytes, context);
      if (text !== undefined) return text;
    }
    return undefined;
  }
}

function openWith(key: Buffer, bytes: Buffer, context: string): string | undefined {
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    const body = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
    return Buffer.concat([body, decipher.final()]).toString();
  } catch {
    return undefined;
  }
}

function toKey(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
