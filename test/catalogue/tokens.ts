import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { JwtRecipe } from "./entry.ts";
import { expand } from "./generators.ts";
import { fill, type Values } from "./placeholders.ts";

/** The issuer and the audience of the tokens that are right. */
export const ISSUER = "https://idp.example";
export const AUDIENCE = "https://vmcp.example/mcp";

/** Claims whose texts are seconds from now. */
const TIME_CLAIMS: ReadonlySet<string> = new Set(["exp", "iat", "nbf"]);

/** Longer than a whole catalogue takes. */
const TOKEN_LIFETIME_SECONDS = 3_600;

const keys = new Map<string, KeyObject>();

/** Makes the token of a recipe: what a claim or the header says is taken as it is, right or wrong. */
export function makeToken(recipe: JwtRecipe, values: Values): string {
  const { header, claims } = {
    header: asObject(expand(fill(recipe.header, values))),
    claims: asObject(expand(fill(recipe.claims, values))),
  };
  const signed = `${encode(headerOf(header))}.${encode(withTimes(claims))}`;
  return `${signed}.${signatureOf(signed, recipe.key)}`;
}

/** A token that is right in all respects. */
export function tokenOf(subject: string, scope?: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: subject,
    iat: now,
    exp: now + TOKEN_LIFETIME_SECONDS,
    ...(scope !== undefined && { scope }),
  };
  const signed = `${encode({ alg: "RS256", kid: "k1" })}.${encode(claims)}`;
  return `${signed}.${signatureOf(signed, "idp1")}`;
}

/** The keys of the issuer, as it publishes them. */
export function publishedKeys(): object {
  const key = keyOf("idp1", "public").export({ format: "jwk" });
  return { keys: [{ ...key, kid: "k1", use: "sig", alg: "RS256" }] };
}

/** A header may embed the public key of whoever is named. */
function headerOf(header: Record<string, unknown>): Record<string, unknown> {
  const { jwk } = header;
  if (typeof jwk !== "string") return header;
  return { ...header, jwk: keyOf(jwk, "public").export({ format: "jwk" }) };
}

function withTimes(claims: Record<string, unknown>): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  const timed = Object.entries(claims).map(([name, value]) => [
    name,
    TIME_CLAIMS.has(name) && typeof value === "string" ? now + Number(value) : value,
  ]);
  return Object.fromEntries(timed);
}

function signatureOf(text: string, key: string): string {
  if (key === "none") return "";
  if (key === "rsaPublicAsHmac") {
    const secret = keyOf("idp1", "public").export({ type: "spki", format: "pem" });
    return createHmac("sha256", secret).update(text).digest("base64url");
  }
  return sign("sha256", Buffer.from(text), keyOf(key, "private")).toString("base64url");
}

/** The key pair of a name, made when it is first needed. */
function keyOf(name: string, part: "public" | "private"): KeyObject {
  if (!keys.has(`${name} private`)) {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    keys.set(`${name} public`, publicKey).set(`${name} private`, privateKey);
  }
  const key = keys.get(`${name} ${part}`);
  if (key === undefined) throw new Error(`no key "${name}"`);
  return key;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function asObject(value: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value ?? {}));
}
