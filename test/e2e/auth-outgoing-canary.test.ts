import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { resolveConfig, type VmcpConfigInput } from "../../src/config/load-config.ts";
import { Vmcp } from "../../src/app/vmcp.ts";
import { BearerToken } from "../../src/domain/bearer-token.ts";
import type { Identity } from "../../src/domain/identity.ts";
import type { LogFields, Logger } from "../../src/domain/logger.ts";
import { toJsonRpcError } from "../../src/mcp/wire-errors.ts";
import { auditFile } from "../support/audit-records.ts";
import { AuthorizationServer } from "../support/authorization-server.ts";
import { Canaries } from "../support/canaries.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { sendRaw } from "../support/raw-client.ts";
import { ScriptedTokenEndpoint } from "../support/token-endpoint.ts";

/** Everything that is logged, at every level, as whoever reads logs could come to see it. */
function recordingLogger(lines: string[]): Logger {
  const write = (message: string, fields?: LogFields): void => {
    lines.push(`${message} ${JSON.stringify(fields)} ${inspect(fields, { depth: 20 })}`);
  };
  return { debug: write, info: write, warn: write, error: write };
}

test("no credential comes out of anything but the requests that it is for [I9]", async () => {
  const canaries = new Canaries();
  const logs: string[] = [];
  const outputs = new Map<string, string>();
  const logFile = auditFile();
  await using tokens = await ScriptedTokenEndpoint.start();
  await using sts = await ScriptedTokenEndpoint.start();
  await using server = await AuthorizationServer.start();
  const names = ["exchange", "own", "assertion", "aws", "signin", "injected", "other"] as const;
  const opened = await Promise.all(
    names.map(async (name) => [name, await startHttpLedger({ name })] as const),
  );
  const backends: ReadonlyMap<string, HttpLedger> = new Map(opened);
  server.protect(backends.get("signin") ?? (await startHttpLedger()));
  const secret = canaries.at("client-secret");
  const env = { SECRET: canaries.at("secret-by-reference") };
  tokens.answer = ({ form }) => ({
    body: tokens.nextToken({
      access_token: canaries.at(`token-${String(tokens.asked.length)}`),
      issued_token_type: form["requested_token_type"],
    }),
  });
  const awsSecret = canaries.at("aws-secret").replaceAll("-", "/");
  canaries.add("aws-secret-key", awsSecret);
  sts.answer = () => ({
    body: `<A><AccessKeyId>AKID</AccessKeyId><SecretAccessKey>${awsSecret}</SecretAccessKey>
      <SessionToken>${canaries.at("aws-session").replaceAll("-", "/")}</SessionToken>
      <Expiration>2999-01-01T00:00:00Z</Expiration></A>`,
  });
  const client = { clientId: "gateway", clientSecret: secret };
  const config: VmcpConfigInput = {
    backends: opened.map(([name, { url }]) => ({ name, url })),
    aggregation: { conflictResolution: "prefix" },
    server: { port: 0, stateKeys: [canaries.at("state-key")] },
    operational: { sessionManagementV2: true, sessions: { drainDeadline: "50ms" } },
    audit: { enabled: true, logFile, includeRequestData: true, includeResponseData: true },
    outgoingAuth: {
      backends: {
        exchange: { type: "token_exchange", tokenUrl: tokens.url, ...client },
        own: {
          type: "client_credentials",
          tokenUrl: tokens.url,
          clientId: "gateway",
          clientSecretEnv: "SECRET",
        },
        assertion: {
          type: "xaa",
          idpTokenUrl: tokens.url,
          idpClientId: "gateway",
          idpClientSecret: canaries.at("provider-secret"),
          targetTokenUrl: tokens.url,
          targetClientId: "gateway",
          targetClientSecret: canaries.at("target-secret"),
          targetAudience: "https://target.example",
        },
        aws: { type: "aws_sts", region: "x", stsUrl: sts.url, fallbackRoleArn: "arn:role" },
        signin: { type: "oauth" },
        injected: {
          type: "header_injection",
          headerName: "x-key",
          headerValue: canaries.at("injected-header"),
        },
      },
    },
  };
  const user: Identity = {
    kind: "verified",
    issuer: "https://issuer.example",
    subject: "alice",
    token: new BearerToken(canaries.at("client-token")),
  };
  {
    await using vmcp = await Vmcp.create(resolveConfig(config, { env }), {
      logger: recordingLogger(logs),
      resolveConfig: (input) => resolveConfig(input, { env }),
    });
    const url = await vmcp.listen();
    await vmcp.probed();
    const session = await vmcp.openSession(user);
    outputs.set("lists", JSON.stringify([session.tools, session.backends()]));
    const waiting = session.backends().find(({ name }) => name === "signin")?.failure?.message;
    const link = /http:\S+$/.exec(waiting ?? "")?.[0] ?? `no link: ${String(waiting)}`;
    const page = await browse(link);
    await expect.poll(() => vmcp.health().every(({ state }) => state === "healthy")).toBe(true);
    const call = async (): Promise<readonly unknown[]> =>
      Promise.all(
        names.map(async (name) => session.callTool(`${name}_echo`, {}).catch(toJsonRpcError)),
      );
    outputs.set("results", inspect(await call(), { depth: 20 }));
    for (const backend of backends.values()) backend.change({ refuseWithStatus: 401 });
    tokens.answer = () => ({
      status: 400,
      body: { error: "invalid_grant", error_description: secret },
    });
    sts.answer = () => ({ status: 403, body: `<Message>${awsSecret}</Message>` });
    server.refusesRefresh = true;
    server.good.clear();
    outputs.set("failures", JSON.stringify(await call()));
    outputs.set("page", page);
    for (const path of [
      "/status",
      "/status?digests",
      "/readyz",
      "/oauth/callback?code=x&state=y",
    ]) {
      const { text, headers } = await sendRaw(new URL(path, url).href);
      outputs.set(path, text + JSON.stringify(headers));
    }
    const report = await vmcp.reload({
      ...config,
      outgoingAuth: { backends: { exchange: { type: "token_exchange", tokenUrl: sts.url } } },
    });
    outputs.set("reload", JSON.stringify(report));
  }
  outputs.set("logs", logs.join("\n"));
  outputs.set("audit", readFileSync(logFile, "utf8"));
  for (const [name, token] of signedIn(server)) canaries.add(name, token);

  expect(outputs.get("audit")).toContain("credentials_refreshed");
  expect(outputs.get("failures")).toContain("backend_auth");
  expect(logs.length).toBeGreaterThan(0);
  expect(canaries.places.length).toBeGreaterThan(12);
  expect(canaries.escapedIn(outputs)).toEqual([]);
  // A backend without a strategy is shown nothing of what the others get, and nobody the client's own token.
  const inputs = new Map(
    opened.map(([name, { requests, ledger }]) => [name, JSON.stringify([requests, ledger])]),
  );
  expect(canaries.escapedIn(new Map([["other", inputs.get("other") ?? ""]]))).toEqual([]);
  const shownToAny = canaries.escapedIn(inputs).map((escape) => escape.split(" → ")[0]);
  expect(shownToAny).not.toContain("client-token");
  expect(shownToAny).not.toContain("client-secret");
  for (const [, backend] of opened) await backend.close();
});

/** Opens the link as a browser does and returns all that it was shown. */
async function browse(link: string): Promise<string> {
  const begun = await fetch(link, { redirect: "manual" });
  const cookie = begun.headers.getSetCookie()[0]?.split(";", 1)[0] ?? "";
  const away = await fetch(begun.headers.get("location") ?? "", { redirect: "manual" });
  const page = await fetch(away.headers.get("location") ?? "", { headers: { cookie } });
  return `${await page.text()} ${JSON.stringify([...page.headers])}`;
}

/** What the sign-in gave, as far as it says so. */
function signedIn({ good, tokenRequests }: AuthorizationServer): readonly [string, string][] {
  const verifiers = tokenRequests.flatMap((form) => form.get("code_verifier") ?? []);
  return [
    ...[...good.keys(), "ACCESS-1-of-alice", "REFRESH-1-of-alice"].map(
      (token): [string, string] => [token, token],
    ),
    ...verifiers.map((verifier): [string, string] => ["verifier", verifier]),
  ];
}
