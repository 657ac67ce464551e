import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import type { Identity } from "../../src/domain/identity.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { Gateway } from "../support/gateway.ts";
import type { LedgerScript } from "../support/ledger-script.ts";
import { lastMessage, openRawSession, type RawSession } from "../support/raw-client.ts";
import type { LedgerBackend } from "../support/scripted-backend.ts";
import { startKnobs, toolEntry, type StatusAndAnswer } from "./knobs/knob-gateway.ts";

const RESULT = '{"content":[{"type":"text","text":"done"}]}';
export const PERMIT_ALL = "permit(principal, action, resource);";
export const ADMIN_ONLY =
  'forbid(principal, action, resource == Tool::"drop") unless { principal == Client::"alice" };';

const KEYS = { alice: "alice-key-0123456789", bob: "bob-key-0123456789abc" } as const;

type Subject = keyof typeof KEYS;

/** Clients are told apart by keys; the backend has two tools, a prompt, a resource and a template. */
export function script(more: Partial<LedgerScript> = {}): Partial<LedgerScript> {
  return {
    hasBuiltInTools: false,
    tools: [toolEntry("read", { annotations: { readOnlyHint: true } }), toolEntry("drop")],
    results: new Map([
      ["read", RESULT],
      ["drop", RESULT],
    ]),
    prompts: ['{"name":"greet"}', '{"name":"insult"}'],
    resources: ['{"uri":"docs://open","name":"o"}', '{"uri":"docs://shut","name":"s"}'],
    resourceTemplates: ['{"uriTemplate":"notes://{id}","name":"n"}'],
    ...more,
  };
}

export function withPolicies(
  policies: readonly string[],
  more: VmcpConfigInput = {},
): VmcpConfigInput {
  const keys = Object.entries(KEYS).map(([subject, secret]) => ({ id: subject, subject, secret }));
  return {
    incomingAuth: {
      type: "apiKey",
      apiKey: { keys },
      authz: { type: "cedar", policies: [...policies] },
    },
    ...more,
  };
}

export async function startPoliced(
  backend: LedgerBackend & { readonly url: string },
  policies: readonly string[],
  more: VmcpConfigInput = {},
): Promise<Gateway> {
  return startKnobs({
    backends: [{ name: "b1", url: backend.url }],
    ...withPolicies(policies, more),
  });
}

export async function openAs(gateway: Gateway, subject: Subject): Promise<RawSession> {
  return openRawSession(gateway.url, { headers: { authorization: `Bearer ${KEYS[subject]}` } });
}

let asked = 0;

/** Asks and returns the status besides. */
export async function post(
  session: RawSession,
  method: string,
  params: JsonObject,
): Promise<StatusAndAnswer> {
  asked += 1;
  const posted = await session.post({ jsonrpc: "2.0", id: `p${asked}`, method, params });
  // Every answer to a request has this shape.
  return { status: posted.status, answer: lastMessage(posted) as StatusAndAnswer["answer"] };
}

export const DENIED = {
  status: 403,
  answer: {
    error: { code: 403, data: { kind: "policy_denied", executionState: "not_executed" } },
  },
};

/** What a name gets that the client may never use: the same as one that nobody offers. */
export const UNKNOWN = { status: 200, answer: { error: { code: -32_602 } } };

export function verified(subject: string, groups: readonly string[] = []): Identity {
  return { kind: "verified", issuer: "https://idp", subject, claims: { groups } };
}

/** What `startKnobs` adds, so that a reload changes nothing but what it is about. */
export const SAME: VmcpConfigInput = {
  aggregation: { conflictResolution: "prefixOnConflict" },
  operational: {
    sessionManagementV2: true,
    sessions: { drainDeadline: "50ms", startDeadline: "15s" },
  },
  server: { port: 0 },
};
