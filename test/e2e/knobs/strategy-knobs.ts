import { resolveConfig, type VmcpConfigInput } from "../../../src/config/load-config.ts";
import { ConfigError } from "../../../src/config/problems.ts";
import { BearerToken } from "../../../src/domain/bearer-token.ts";
import type { Identity } from "../../../src/domain/identity.ts";
import { isJsonObject } from "../../../src/domain/json.ts";
import { AuthorizationServer } from "../../support/authorization-server.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { ScriptedTokenEndpoint } from "../../support/token-endpoint.ts";
import { startKnobs } from "./knob-gateway.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** Title, the fields before and after, and what is seen after and was not before. */
export type StrategyRow = readonly [
  title: string,
  before: Fields,
  after: Fields,
  seen: Readonly<Record<string, unknown>>,
];

/** For all backends, or for the one that is named. */
type Place = "default" | "backends";

/** How the fields of one strategy are looked at: what each place makes of them, and how they can be written. */
export interface StrategyKnobs {
  /** What is seen of a gateway whose strategy has these fields, beside `type`. */
  readonly seen: (place: Place, fields: Fields) => Promise<Seen>;
  /** What the configuration comes to with these fields beside `type`, or in their own block; else what is wrong. */
  readonly resolved: (place: Place, form: string, fields: Fields) => unknown;
}

export function knobsOf(type: string, block: string, base: Fields): StrategyKnobs {
  const strategyOf = (form: string, fields: Fields): object =>
    form === block ? { type, [block]: { ...base, ...fields } } : { type, ...base, ...fields };
  const placed = (place: Place, strategy: object): object =>
    place === "default" ? { default: strategy } : { backends: { b1: strategy } };
  return {
    seen: async (place, fields) => seenWith(placed(place, strategyOf("flat", fields))),
    resolved: (place, form, fields) => resolvedWith(placed(place, strategyOf(form, fields))),
  };
}

function resolvedWith(outgoingAuth: object): unknown {
  const url = "http://127.0.0.1:1/mcp";
  const address = "http://127.0.0.1:2/token";
  const env = { ...SECRETS, TOKENS: address, TARGET: address, ISSUER: "http://127.0.0.1:3" };
  try {
    const { backends } = resolveConfig(configWith(outgoingAuth, [url, url, url]), { env });
    return backends.map((backend) => "outgoingAuth" in backend && backend.outgoingAuth);
  } catch (thrown) {
    // The place of a problem depends on how the strategy is written; what is wrong does not.
    if (thrown instanceof ConfigError) return thrown.problems.map(({ message }) => message);
    throw thrown;
  }
}

/** A backend that the strategy is for, and two that users sign in to. */
function configWith(outgoingAuth: object, urls: readonly string[]): VmcpConfigInput {
  // Strategies are placed for all backends or by name.
  const { backends = {} } = outgoingAuth as { backends?: object };
  const [b1 = "", p1 = "", p2 = ""] = urls;
  return {
    backends: [
      { name: "b1", url: b1 },
      { name: "p1", url: p1 },
      { name: "p2", url: p2 },
    ],
    outgoingAuth: {
      ...outgoingAuth,
      backends: { p1: { type: "oauth" }, p2: { type: "oauth" }, ...backends },
    },
  };
}

const USER: Identity = {
  kind: "verified",
  issuer: "https://issuer.example",
  subject: "alice",
  claims: { groups: ["staff"], roles: ["chief"], email: "a@example.com" },
  token: new BearerToken("CLIENT-TOKEN"),
};

/** What the references in a strategy stand for, besides the addresses that are made up anew each time. */
const SECRETS = { SECRET: "from the environment" };

type Seen = Readonly<Record<string, unknown>>;

const known = new Map<string, Promise<Seen>>();

/**
 * Everything that can be seen of one strategy: what is asked for where, by whom, and what the backend gets. The
 * variables `TOKENS`, `TARGET` and `ISSUER` hold the addresses of two token endpoints and of a sign-in. Looked at
 * once, however many tests begin with it.
 */
async function seenWith(outgoingAuth: object): Promise<Seen> {
  const key = JSON.stringify(outgoingAuth);
  const seen = known.get(key) ?? look(outgoingAuth);
  known.set(key, seen);
  return seen;
}

async function look(outgoingAuth: object): Promise<Seen> {
  await using tokens = await ScriptedTokenEndpoint.start();
  await using target = await ScriptedTokenEndpoint.start();
  await using server = await AuthorizationServer.start();
  await using b1 = await startHttpLedger();
  await using p1 = await startHttpLedger();
  await using p2 = await startHttpLedger();
  server.protect(b1);
  server.good.set("token-1", "alice");
  tokens.answer = ({ form }) => ({ body: answerTo(form, tokens) });
  const env = { ...SECRETS, TOKENS: tokens.url, TARGET: target.url, ISSUER: server.issuer };
  try {
    const config = configWith(outgoingAuth, [b1.url, p1.url, p2.url]);
    await using gateway = await startKnobs(config, env);
    const session = await gateway.vmcp.openSession(USER);
    const [standing] = session.backends();
    const link = linkIn(standing?.failure?.data);
    if (link?.startsWith("http://127.0.0.1:") === true) await signIn(link);
    const [asked, askedTarget] = [tokens.asked[0], target.asked[0]];
    const carried = b1.requests.find(({ headers }) => headers.authorization !== undefined);
    return {
      ...asked?.form,
      path: asked?.path,
      client: clientIn(asked?.headers.authorization),
      targetPath: askedTarget?.path,
      targetClient: clientIn(askedTarget?.headers.authorization),
      backend: scopeOfSignature(carried?.headers.authorization),
      link: link && new URL(link).origin,
      ...Object.fromEntries(
        [...(server.authorizations[0] ?? [])].map(([n, v]) => [`asks ${n}`, v]),
      ),
      redeems: clientIn(server.tokenHeaders[0]?.authorization),
      failure: standing?.failure?.message,
    };
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return { problem: thrown.problems[0]?.message };
  }
}

/** What each of the three kinds of endpoint says. */
function answerTo(form: Readonly<Record<string, string>>, tokens: ScriptedTokenEndpoint) {
  if (form["Action"] !== undefined) return AWS_KEYS;
  const isAssertion = form["requested_token_type"]?.endsWith("id-jag") === true;
  const more = { issued_token_type: form["requested_token_type"], token_type: "N_A" };
  return tokens.nextToken(isAssertion ? more : {});
}

const AWS_KEYS = `<A><AccessKeyId>AKID</AccessKeyId><SecretAccessKey>S</SecretAccessKey>
  <SessionToken>T</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></A>`;

function linkIn(data: unknown): string | undefined {
  const elicitations = isJsonObject(data) ? data["elicitations"] : undefined;
  const [first] = Array.isArray(elicitations) ? elicitations : [];
  return isJsonObject(first) && typeof first["url"] === "string" ? first["url"] : undefined;
}

/** Opens the link as a browser does. */
async function signIn(link: string): Promise<void> {
  const begun = await fetch(link, { redirect: "manual" });
  const cookie = begun.headers.getSetCookie()[0]?.split(";", 1)[0] ?? "";
  const back = await fetch(begun.headers.get("location") ?? "", { redirect: "manual" });
  const url = back.headers.get("location");
  if (url !== null) await fetch(url, { headers: { cookie } });
}

function clientIn(authorization: string | undefined): string | undefined {
  if (authorization?.startsWith("Basic ") !== true) return undefined;
  return decodeURIComponent(atob(authorization.slice("Basic ".length)).replaceAll("+", "%20"));
}

/** `20260101/eu-central-1/aws-mcp/aws4_request` is what matters of a signature here, without its day. */
function scopeOfSignature(authorization: string | undefined): string | undefined {
  return /Credential=[^/]+\/\d+\/([^,]+),/.exec(authorization ?? "")?.[1] ?? authorization;
}
