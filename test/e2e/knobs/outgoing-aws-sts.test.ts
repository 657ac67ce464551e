import { expect, test } from "vitest";
import { type Fields, knobsOf, type StrategyRow } from "./strategy-knobs.ts";

const BASE: Fields = {
  region: "eu-central-1",
  stsUrl: "${env:TOKENS}",
  fallbackRoleArn: "arn:other",
  roleMappings: [
    { claim: "nobody", roleArn: "arn:nobody" },
    { claim: "chief", roleArn: "arn:chief" },
  ],
};

const STAFF = [
  { claim: "staff", roleArn: "arn:first" },
  { claim: "staff", roleArn: "arn:second" },
];

const ROWS: readonly StrategyRow[] = [
  [
    "region: is what requests are signed for",
    {},
    { region: "us-east-1" },
    { backend: "us-east-1/aws-mcp/aws4_request" },
  ],
  [
    "service: is what requests are signed for",
    {},
    { service: "s3" },
    { backend: "eu-central-1/s3/aws4_request" },
  ],
  ["stsUrl: is where roles are taken on", {}, { stsUrl: "${env:TOKENS}/2" }, { path: "/token/2" }],
  [
    "fallbackRoleArn: is the role where no mapping fits",
    {},
    { fallbackRoleArn: "arn:else" },
    { RoleArn: "arn:else" },
  ],
  [
    "roleMappings[].claim: says who has a role",
    {},
    { roleMappings: [{ claim: "staff", roleArn: "arn:nobody" }] },
    { RoleArn: "arn:nobody" },
  ],
  [
    "roleMappings[].roleArn: is the role",
    { roleMappings: [{ claim: "staff", roleArn: "arn:a" }] },
    { roleMappings: [{ claim: "staff", roleArn: "arn:b" }] },
    { RoleArn: "arn:b" },
  ],
  [
    "roleMappings[].priority: says which of several counts",
    { roleMappings: STAFF },
    { roleMappings: [STAFF[0], { ...STAFF[1], priority: 1 }] },
    { RoleArn: "arn:second" },
  ],
  [
    "roleClaim: is the claim that roles go by",
    {},
    { roleClaim: "roles" },
    { RoleArn: "arn:chief" },
  ],
  [
    "sessionDuration: is how long a role is taken on for",
    {},
    { sessionDuration: 900 },
    { DurationSeconds: "900" },
  ],
  [
    "sessionNameClaim: names the user in AWS's own logs",
    {},
    { sessionNameClaim: "email" },
    { RoleSessionName: "a@example.com" },
  ],
  [
    "subjectProviderName: is the backend whose sign-in gives the user's token",
    {},
    { subjectProviderName: "p1" },
    { failure: expect.stringContaining('"p1" needs its user to sign in') },
  ],
];

const { seen, resolved } = knobsOf("aws_sts", "awsSts", BASE);

test.for(ROWS)("outgoingAuth.default.%s", async ([, before, after, expected]) => {
  expect(await seen("default", before)).not.toMatchObject(expected);
  expect(await seen("default", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.backends.NAME.%s", async ([, before, after, expected]) => {
  expect(await seen("backends", before)).not.toMatchObject(expected);
  expect(await seen("backends", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.default.awsSts.%s", ([, before, after]) => {
  expect(resolved("default", "awsSts", after)).toEqual(resolved("default", "flat", after));
  expect(resolved("default", "awsSts", after)).not.toEqual(resolved("default", "awsSts", before));
});

test.for(ROWS)("outgoingAuth.backends.NAME.awsSts.%s", ([, before, after]) => {
  expect(resolved("backends", "awsSts", after)).toEqual(resolved("backends", "flat", after));
  expect(resolved("backends", "awsSts", after)).not.toEqual(resolved("backends", "awsSts", before));
});
