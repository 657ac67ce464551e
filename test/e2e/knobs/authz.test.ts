import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import type { Identity } from "../../../src/domain/identity.ts";
import type { JsonObject } from "../../../src/domain/json.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startKnobs, toolEntry } from "./knob-gateway.ts";

type Authz = NonNullable<NonNullable<VmcpConfigInput["incomingAuth"]>["authz"]>;

const STAFF_ONLY = 'permit(principal in THVGroup::"staff", action, resource);';

function alice(claims: JsonObject): Identity {
  return { kind: "verified", issuer: "https://idp", subject: "alice", claims };
}

/** The tools that this client sees, and whether a call of one is let through. */
async function seenBy(identity: Identity, authz: Authz): Promise<unknown> {
  await using backend = await startHttpLedger({
    hasBuiltInTools: false,
    tools: [toolEntry("a"), toolEntry("b")],
    results: new Map([["a", '{"content":[]}']]),
  });
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: backend.url }],
    incomingAuth: { type: "anonymous", authz },
  });
  const session = await gateway.vmcp.openSession(identity);
  const [outcome] = await Promise.allSettled([session.callTool("a", {})]);
  return { tools: session.tools.map(({ name }) => name), call: outcome.status };
}

const EVERYTHING = { tools: ["a", "b"], call: "fulfilled" };
const NOTHING = { tools: [], call: "rejected" };

test("incomingAuth.authz.type: cedar lets through what policies permit, and none everything", async () => {
  const who = alice({});

  expect(await seenBy(who, { type: "none" })).toEqual(EVERYTHING);
  expect(await seenBy(who, { type: "cedar", policies: [STAFF_ONLY] })).toEqual(NOTHING);
});

test("incomingAuth.authz.policies: each of them counts", async () => {
  const onlyA = 'permit(principal, action, resource == Tool::"a");';

  expect(await seenBy(alice({}), { type: "cedar", policies: [STAFF_ONLY] })).toEqual(NOTHING);
  expect(await seenBy(alice({}), { type: "cedar", policies: [STAFF_ONLY, onlyA] })).toEqual({
    tools: ["a"],
    call: "fulfilled",
  });
});

test("incomingAuth.authz.entitiesJson: says who belongs to whom", async () => {
  const entities = [
    {
      uid: { type: "Client", id: "alice" },
      attrs: {},
      parents: [{ type: "THVGroup", id: "staff" }],
    },
  ];
  const authz: Authz = { type: "cedar", policies: [STAFF_ONLY] };

  expect(await seenBy(alice({}), authz)).toEqual(NOTHING);
  expect(await seenBy(alice({}), { ...authz, entitiesJson: JSON.stringify(entities) })).toEqual(
    EVERYTHING,
  );
});

test("incomingAuth.authz.groupClaimName: is where the groups of a client stand", async () => {
  const who = alice({ teams: ["staff"] });
  const authz: Authz = { type: "cedar", policies: [STAFF_ONLY] };

  expect(await seenBy(who, authz)).toEqual(NOTHING);
  expect(await seenBy(who, { ...authz, groupClaimName: "teams" })).toEqual(EVERYTHING);
});

test("incomingAuth.authz.roleClaimName: is where its roles stand, which count besides", async () => {
  const who = alice({ groups: ["guests"], realm_access: { roles: ["staff"] } });
  const authz: Authz = { type: "cedar", policies: [STAFF_ONLY] };

  expect(await seenBy(who, authz)).toEqual(NOTHING);
  expect(await seenBy(who, { ...authz, roleClaimName: "realm_access.roles" })).toEqual(EVERYTHING);
});

test("incomingAuth.authz.groupEntityType: is the type that policies know groups by", async () => {
  const who = alice({ groups: ["staff"] });
  const authz: Authz = {
    type: "cedar",
    policies: ['permit(principal in Team::"staff", action, resource);'],
  };

  expect(await seenBy(who, authz)).toEqual(NOTHING);
  expect(await seenBy(who, { ...authz, groupEntityType: "Team" })).toEqual(EVERYTHING);
});
