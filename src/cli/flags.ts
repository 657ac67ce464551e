import { CliError } from "./cli-error.ts";
import { EXIT } from "./exit-codes.ts";

/** The options that a command line gave, by their long names without the dashes. */
export class Flags {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  isSet(name: string): boolean {
    return this.#values.get(name) === true;
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === "string" ? value : undefined;
  }

  /** Every value of an option that may be repeated, in their order. */
  texts(name: string): readonly string[] {
    const value: unknown = this.#values.get(name);
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** A whole number between 0 and `max`; throws `CliError` for anything else. */
  wholeNumber(name: string, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value <= max) return value;
    const rule = `a whole number from 0 to ${String(max)}`;
    throw new CliError(EXIT.usage, `--${name} must be ${rule}, not ${JSON.stringify(text)}.`);
  }
}
