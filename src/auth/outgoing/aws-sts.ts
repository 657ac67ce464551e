import aws4 from "aws4";
import { VmcpError } from "../../domain/errors.ts";
import type { Identity } from "../../domain/identity.ts";
import type { JsonValue } from "../../domain/json.ts";
import type { CredentialSource } from "./cached-credentials.ts";
import type { Expiring } from "./credential-cache.ts";
import { credentialsError } from "./credentials-error.ts";
import { askPatiently, type CredentialEndpoint } from "./endpoint-attempts.ts";
import type { HeaderList, RequestToProve } from "./outgoing-credentials.ts";
import type { AwsStsOptions } from "./strategy-options.ts";
import { userKey, type SubjectTokens } from "./subject-tokens.ts";

/** What a role that was taken on signs with, until it ends. */
export interface AwsCredentials extends Expiring {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

export interface AwsStsParts {
  readonly endpoint: CredentialEndpoint;
  readonly subjects: SubjectTokens;
}

/**
 * The user's token is exchanged for a role in AWS, whose keys sign each request over its very bytes (SigV4). The
 * role goes by the user's claims.
 */
export function awsSts(
  options: AwsStsOptions,
  parts: AwsStsParts,
): CredentialSource<AwsCredentials> {
  const { backend } = parts.endpoint;
  return {
    isPerUser: true,
    // With the role, so that a user whose claims change gets what goes with the new ones.
    keyOf: (identity) => `${roleOf(identity, options, backend)} ${userKey(backend, identity)}`,
    fetch: async (identity) => assumeRole(identity, options, parts),
    headersOf: (credentials, request) => sign(credentials, request, options),
    // AWS says 403 of a signature whose keys have ended.
    isAboutCredentials: () => true,
  };
}

function roleOf(identity: Identity, options: AwsStsOptions, backend: string): string {
  const values = new Set(claimValues(identity, options.roleClaim));
  const mapping = options.roleMappings.find(({ claim }) => values.has(claim));
  const roleArn = mapping?.roleArn ?? options.fallbackRoleArn;
  if (roleArn !== undefined) return roleArn;
  throw credentialsError(backend, "has no role in AWS for this user");
}

function claimValues(identity: Identity, claim: string): readonly JsonValue[] {
  const value = claimOf(identity, claim);
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function claimOf(identity: Identity, claim: string): JsonValue | undefined {
  if (identity.kind === "anonymous") return undefined;
  const { claims = {}, subject } = identity;
  if (claim === "sub") return subject;
  return Object.hasOwn(claims, claim) ? claims[claim] : undefined;
}

/** What AWS accepts as the name of a role's session; everything else becomes a hyphen. */
const NOT_IN_SESSION_NAME = /[^\w+=,.@-]/g;
const MAX_SESSION_NAME_LENGTH = 64;
const MIN_SESSION_NAME_LENGTH = 2;

function sessionNameOf(identity: Identity, claim: string): string {
  const value = claimOf(identity, claim);
  const name = typeof value === "string" ? value.replaceAll(NOT_IN_SESSION_NAME, "-") : "";
  return name.length < MIN_SESSION_NAME_LENGTH
    ? "vmcp-user"
    : name.slice(0, MAX_SESSION_NAME_LENGTH);
}

async function assumeRole(
  identity: Identity,
  options: AwsStsOptions,
  { endpoint, subjects }: AwsStsParts,
): Promise<AwsCredentials> {
  const { backend, url } = endpoint;
  const form = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: roleOf(identity, options, backend),
    RoleSessionName: sessionNameOf(identity, options.sessionNameClaim),
    DurationSeconds: String(options.sessionDurationSeconds),
    WebIdentityToken: await subjects(identity, "jwt"),
  });
  try {
    return await askPatiently(endpoint, async (fetch) => {
      const answer = await fetch(url, { method: "POST", body: form });
      const text = await answer.text();
      const credentials = answer.status === 200 ? readCredentials(text) : undefined;
      if (credentials === undefined) throw refusal(backend, text);
      return credentials;
    });
  } catch (thrown) {
    if (thrown instanceof VmcpError) throw thrown;
    throw credentialsError(backend, "cannot be given credentials: AWS STS may not be asked", {
      cause: thrown,
    });
  }
}

function refusal(backend: string, answer: string): VmcpError {
  const name = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(answer)?.[1];
  const sentence =
    name === undefined ? "gave an answer that is not understood" : `refused (${name})`;
  return credentialsError(backend, `cannot be given credentials: AWS STS ${sentence}`);
}

function readCredentials(xml: string): AwsCredentials | undefined {
  const accessKeyId = textIn(xml, "AccessKeyId");
  const secretAccessKey = textIn(xml, "SecretAccessKey");
  const sessionToken = textIn(xml, "SessionToken");
  const expiresAtMs = Date.parse(textIn(xml, "Expiration") ?? "");
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  if (sessionToken === undefined || Number.isNaN(expiresAtMs)) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs };
}

/** These elements hold text without entities: keys are base64 and times are digits. */
function textIn(xml: string, element: string): string | undefined {
  const found = new RegExp(`<${element}>\\s*([A-Za-z0-9+/=:.-]{1,8192})\\s*</${element}>`).exec(
    xml,
  );
  return found?.[1];
}

/** Headers whose value may change on the way are left out of the signature. */
function sign(
  { accessKeyId, secretAccessKey, sessionToken }: AwsCredentials,
  { method, host, path, body }: RequestToProve,
  { region, service }: AwsStsOptions,
): HeaderList {
  const signed = aws4.sign(
    {
      method,
      path,
      region,
      service,
      headers: { host, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body }),
    },
    { accessKeyId, secretAccessKey, sessionToken },
  );
  return Object.entries(signed.headers ?? {}).flatMap(([name, value]) =>
    ADDED_HEADERS.has(name.toLowerCase()) ? [name.toLowerCase(), String(value)] : [],
  );
}

/** What a signature adds to a request. */
const ADDED_HEADERS: ReadonlySet<string> = new Set([
  "authorization",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-security-token",
]);
