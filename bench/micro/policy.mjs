// What it costs to decide who may do what, as it is built: remembered, decided for the first time, and by arguments.

const DIST = new URL("../../dist/", import.meta.url);

/** What a policy costs at most, remembered or not, is the time of one question to the engine. */
const POLICIES = [
  'permit(principal in THVGroup::"eng", action == Action::"call_tool", resource in Backend::"b1");',
  'permit(principal in THVGroup::"ops", action, resource);',
  'forbid(principal, action, resource == Tool::"b1_drop") unless { principal.claim_level >= 3 };',
  'permit(principal, action == Action::"read_resource", resource) when { resource.uri like "docs://*" };',
  'forbid(principal, action, resource == Tool::"b1_cat") when { context has arg_path && context.arg_path like "/etc/*" };',
];

/** `{name, run}` each, as `functions.mjs` has them. */
export async function policyFunctions() {
  const [{ CedarPolicy }, { RateLimiter }, { parseBackendName }, { SILENT_LOGGER }] =
    await Promise.all(
      ["policy/cedar-policy.js", "limits/rate-limiter.js", "domain/ids.js", "domain/logger.js"].map(
        async (file) => import(new URL(file, DIST).href),
      ),
    );
  const settings = { policies: POLICIES, groupEntityType: "THVGroup", serverName: "vmcp" };
  const policy = new CedarPolicy(settings, SILENT_LOGGER);
  const alice = identity("alice");
  const [read, cat] = ["b1_read", "b1_cat"].map((name) => toolRoute(name, parseBackendName("b1")));
  const args = { path: "/tmp/x", mode: "r" };
  const bucket = { maxTokens: 1_000_000_000, refillPeriodMs: 1 };
  const limiter = new RateLimiter(
    { shared: bucket, perUser: bucket, tools: [{ name: "b1_read", shared: bucket }] },
    () => performance.now(),
  );
  let strangers = 0;
  return [
    {
      name: "judge a call that was judged before",
      run: () => policy.judge(alice, read).kind.length,
    },
    {
      name: "judge the first call of an identity",
      run: () => policy.judge(identity(`stranger-${(strangers += 1)}`), read).kind.length,
    },
    {
      name: "judge a call by its arguments",
      run: () => Number(policy.reasonToDeny(alice, cat, args) === undefined),
    },
    {
      name: "count a call in three buckets",
      run: () => Number(limiter.take(alice, "b1_read") === undefined),
    },
  ];
}

function identity(subject) {
  const claims = { groups: ["eng", "all"], level: 2, email: `${subject}@example.com` };
  return { kind: "verified", issuer: "https://idp.example", subject, claims };
}

function toolRoute(name, backend) {
  return { kind: "tool", backend, originalName: name, advertisedName: name };
}
