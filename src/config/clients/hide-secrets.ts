import type { RawObject } from "../raw-values.ts";
import { objectOf } from "../raw-values.ts";

/** A variable that stands for a secret which was taken out of a configuration. */
export interface SecretVariable {
  readonly name: string;
  /** Whose secret it is, for example `github: header Authorization`. */
  readonly usedBy: string;
}

const SECRET_WORD =
  /(?:^|[^a-z])(?:token|secret|passwd|password|pwd|credentials?|authorization|auth|cookie|apikey|key|pat|jwt|bearer|dsn)(?:$|[^a-z])/i;
const CAMEL_HUMP = /(?<=[a-z0-9])(?=[A-Z])/g;
const SCHEME = /^(?<scheme>(?:Bearer|Basic|Token|ApiKey)\s+)?(?<secret>.+)$/is;
const OPTION = /^(?<option>--?[A-Za-z][\w-]*)(?:=(?<value>.+))?$/s;
/** Values that begin with this are chosen so by well-known services for their keys. */
const KEY_SHAPE = /^(?:gh[opsur]_|github_pat_|sk-|xox[abp]-|glpat-|AKIA|eyJ)[\w.-]{8,}$/;

/** Replaces what looks like a secret in backends by references to variables, and remembers which. */
export class SecretHider {
  readonly #nameBySecret = new Map<string, string>();
  readonly #variables: SecretVariable[] = [];

  /** The variables that must be set for the result to work, in the order in which they were found. */
  get variables(): readonly SecretVariable[] {
    return this.#variables;
  }

  /** A copy of one entry of `backends` without secrets in `env`, `headers`, `args` and the query of `url`. */
  hide(backend: RawObject): RawObject {
    const owner = String(backend["name"]);
    const { env, headers, args, url } = backend;
    return {
      ...backend,
      ...(env === undefined ? {} : { env: this.#hideEnv(objectOf(env), owner) }),
      ...(headers === undefined ? {} : { headers: this.#hideHeaders(objectOf(headers), owner) }),
      ...(Array.isArray(args) ? { args: this.#hideArgs(args, owner) } : {}),
      ...(typeof url === "string" ? { url: this.#hideQuery(url, owner) } : {}),
    };
  }

  #hideEnv(env: RawObject, owner: string): RawObject {
    return mapTexts(env, (name, value) =>
      isSecret(name, value) ? this.#reference(value, name, `${owner}: env ${name}`) : value,
    );
  }

  #hideHeaders(headers: RawObject, owner: string): RawObject {
    return mapTexts(headers, (name, value) => {
      if (!isSecret(name, value)) return value;
      const { scheme = "", secret = value } = SCHEME.exec(value)?.groups ?? {};
      const variable = `${owner}_${name}`;
      return scheme + this.#reference(secret, variable, `${owner}: header ${name}`);
    });
  }

  /** Reads `--token VALUE` and `--token=VALUE`. */
  #hideArgs(args: readonly unknown[], owner: string): readonly unknown[] {
    let before = "";
    return args.map((arg) => {
      if (typeof arg !== "string") return arg;
      const { option = "", value } = OPTION.exec(arg)?.groups ?? {};
      const name = value === undefined ? before : option;
      const secret = value ?? arg;
      before = option;
      if (isReference(secret) || (value === undefined && option !== "")) return arg;
      if (!isSecretName(name) && !KEY_SHAPE.test(secret)) return arg;
      const variable = `${owner}_${name === "" ? "key" : name}`;
      const reference = this.#reference(secret, variable, `${owner}: argument ${name}`.trimEnd());
      return value === undefined ? reference : `${option}=${reference}`;
    });
  }

  #hideQuery(url: string, owner: string): string {
    return url.replaceAll(
      /(?<lead>[?&](?<name>[^=&#]+)=)(?<value>[^&#]+)/g,
      (whole: string, lead: string, name: string, value: string) => {
        if (!isSecret(name, value)) return whole;
        return lead + this.#reference(value, `${owner}_${name}`, `${owner}: ${name} in the url`);
      },
    );
  }

  #reference(secret: string, wanted: string, usedBy: string): string {
    const known = this.#nameBySecret.get(secret);
    if (known !== undefined) return `\${env:${known}}`;
    const name = this.#freeName(wanted);
    this.#nameBySecret.set(secret, name);
    this.#variables.push({ name, usedBy });
    return `\${env:${name}}`;
  }

  #freeName(wanted: string): string {
    const base = wanted
      .replace(/_-+/, "_")
      .replaceAll(/[^A-Za-z0-9]+/g, "_")
      .replace(/^(?=\d)/, "_")
      .toUpperCase();
    const taken = new Set(this.#nameBySecret.values());
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? base : `${base}_${String(number)}`;
      if (!taken.has(name)) return name;
    }
  }
}

function mapTexts(object: RawObject, map: (key: string, text: string) => string): RawObject {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      key,
      typeof value === "string" ? map(key, value) : value,
    ]),
  );
}

function isSecret(name: string, value: string): boolean {
  if (value === "" || isReference(value)) return false;
  return isSecretName(name) || KEY_SHAPE.test(value);
}

function isSecretName(name: string): boolean {
  return SECRET_WORD.test(name.replaceAll(CAMEL_HUMP, "_"));
}

function isReference(value: string): boolean {
  return value.includes("${");
}
