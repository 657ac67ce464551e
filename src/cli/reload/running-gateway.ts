import type { ComparableConfig } from "../../config/vmcp-config.ts";
import { lookUp, type Environment } from "../../config/references.ts";
import { messageOf } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import { CliError } from "../cli-error.ts";
import { EXIT } from "../exit-codes.ts";

/** What a gateway says of the configuration that it runs, in digests. */
export interface RunningConfig {
  readonly sessions: number;
  readonly salt: string;
  readonly digests: ComparableConfig;
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 4 * 1_048_576;

/** Holds the token or key by which a gateway that asks for one knows whoever asks. */
const PROOF_VARIABLE = "VMCP_TOKEN";

/**
 * Asks the gateway at this address, of which any path will do, what it runs. Throws `CliError` where nothing answers
 * there, where it is no gateway, or where it does not say. Proves itself by `VMCP_TOKEN` where that is set.
 */
export async function askRunningGateway(address: string, env: Environment): Promise<RunningConfig> {
  const url = statusUrl(address);
  const { name, config, sessions } = await readStatus(url, lookUp(env, PROOF_VARIABLE));
  if (typeof name !== "string" || typeof sessions !== "number") throw notAGateway(url);
  const digests = isJsonObject(config) ? config["digests"] : undefined;
  if (!isJsonObject(digests) || typeof digests["salt"] !== "string") throw withoutDigests(url);
  const { salt, backends, settings } = digests;
  return {
    sessions,
    salt,
    digests: { backends: toFields(backends), settings: toTexts(settings) },
  };
}

function statusUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL("/status?config", address) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new CliError(
    EXIT.usage,
    `--against ${address} is not a URL such as http://127.0.0.1:4483.`,
  );
}

async function readStatus(url: URL, proof: string | undefined): Promise<JsonObject> {
  const text = await readText(url, proof);
  try {
    const status: unknown = JSON.parse(text);
    if (isJsonObject(status)) return status;
  } catch {
    // Said below, as for any other answer that is none of a gateway.
  }
  throw notAGateway(url);
}

async function readText(url: URL, proof: string | undefined): Promise<string> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    const response = await fetch(url, {
      redirect: "manual",
      ...(proof !== undefined && { headers: { authorization: `Bearer ${proof}` } }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status === 401) throw notKnown(url, proof);
    for await (const chunk of response.body ?? []) {
      total += chunk.byteLength;
      if (total > MAX_BYTES) throw notAGateway(url);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(
      EXIT.unavailable,
      `Nothing can be reached at ${url.origin}: ${reasonOf(error)}.`,
      { cause: error },
    );
  }
  return Buffer.concat(chunks).toString();
}

/** `fetch` itself only says that it failed; why is in the cause, which for TLS is a dump with a reason of its own. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error && "reason" in cause ? cause.reason : undefined;
  return typeof reason === "string" ? reason : messageOf(cause);
}

function notKnown({ origin }: URL, proof: string | undefined): CliError {
  return new CliError(
    EXIT.refused,
    proof === undefined
      ? `The gateway at ${origin} asks who you are: set ${PROOF_VARIABLE} to a token or key of it.`
      : `The gateway at ${origin} does not take the proof in ${PROOF_VARIABLE}.`,
  );
}

function notAGateway({ origin }: URL): CliError {
  return new CliError(
    EXIT.unavailable,
    `What answers at ${origin} is no vmcp: name the address that \`vmcp serve\` printed.`,
  );
}

function withoutDigests({ origin }: URL): CliError {
  return new CliError(
    EXIT.unavailable,
    `The gateway at ${origin} does not say what it runs: it is an older version, or it was not asked from its own machine.`,
  );
}

function toFields(value: unknown): ComparableConfig["backends"] {
  const entries = Object.entries(isJsonObject(value) ? value : {});
  return new Map(entries.map(([name, fields]) => [name, toTexts(fields)]));
}

function toTexts(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(isJsonObject(value) ? value : {}));
}
