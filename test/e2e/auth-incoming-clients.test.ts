import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import {
  Client as ClientV2,
  ClientCredentialsProvider as ProviderV2,
  StreamableHTTPClientTransport as TransportV2,
} from "@modelcontextprotocol/client";
import { ClientCredentialsProvider as ProviderV1 } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { expect, onTestFinished, test } from "vitest";
import { TEST_CLIENT } from "../support/identity-provider.ts";
import { startAuthRig, type AuthRig } from "./auth-incoming-rig.ts";

const INFO = { name: "test", version: "1" };

/** A gateway whose tokens are for the very address that it listens on, as clients without a proxy need it. */
async function startReachable(): Promise<AuthRig> {
  const port = await freePort();
  return startAuthRig({
    oidc: { audience: `http://127.0.0.1:${String(port)}/mcp`, scopes: ["mcp:read"] },
    config: { server: { port } },
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  // A listening TCP server has an address of this shape.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Who the client of the gateway's only session is. */
function subjectOf({ gateway }: AuthRig): unknown {
  const [session] = gateway.vmcp.sessions.liveSessions();
  return session?.identity;
}

test("the client of SDK v1 finds the issuer by itself, gets a token for the endpoint, and is served", async () => {
  const rig = await startReachable();
  const authProvider = new ProviderV1({
    clientId: TEST_CLIENT.id,
    clientSecret: TEST_CLIENT.secret,
    expectedIssuer: rig.provider.issuer,
    // This client asks for what it was told beforehand, and not for what the challenge says.
    scope: "mcp:read",
  });
  const client = new ClientV1(INFO);
  onTestFinished(async () => client.close());

  await client.connect(new TransportV1(new URL(rig.gateway.url), { authProvider }));

  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain("echo");
  expect(subjectOf(rig)).toMatchObject({
    issuer: rig.provider.issuer,
    clientId: TEST_CLIENT.id,
    scopes: ["mcp:read"],
  });
});

test("the client of SDK v2 finds the issuer by itself, gets a token for the endpoint, and is served", async () => {
  const rig = await startReachable();
  const authProvider = new ProviderV2({
    clientId: TEST_CLIENT.id,
    clientSecret: TEST_CLIENT.secret,
    expectedIssuer: rig.provider.issuer,
  });
  const client = new ClientV2(INFO);
  onTestFinished(async () => client.close());

  await client.connect(new TransportV2(new URL(rig.gateway.url), { authProvider }));

  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain("echo");
  expect(subjectOf(rig)).toMatchObject({ clientId: TEST_CLIENT.id, scopes: ["mcp:read"] });
});
