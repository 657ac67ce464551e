import { expect, test } from "vitest";
import { EgressError } from "../egress/egress-error.ts";
import type { EgressFetch } from "../egress/egress.ts";
import { EndpointBreakers } from "./endpoint-breakers.ts";
import { TokenEndpoint, type OAuthClient } from "./token-endpoint.ts";

const GRANT = { grantType: "client_credentials", parameters: { scope: "a", audience: undefined } };

const GIVEN = { access_token: "t", token_type: "Bearer", expires_in: 60 };

function json(status: number, body: object, headers: Readonly<Record<string, string>> = {}) {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

/** An endpoint that gives these answers one after the other, the last one again and again. */
function setUp(answers: readonly (() => Response)[], client?: OAuthClient) {
  const asked: Parameters<EgressFetch>[] = [];
  const breakers = new EndpointBreakers(() => 0);
  const endpoint = new TokenEndpoint({
    backend: "b1",
    url: "https://issuer.example/token",
    client,
    breakers,
    fetch: async (...request) => {
      asked.push(request);
      return (answers[asked.length - 1] ?? answers.at(-1) ?? (() => json(500, {})))();
    },
  });
  return { asked, endpoint };
}

const away = (): Response => {
  throw new EgressError("unreachable", "SECRET-HOST refused");
};

test.for([
  ["no connection", away],
  ["too many requests", () => json(429, {})],
  ["an error of its own", () => json(503, {})],
] as const)("%s is tried again twice before it counts", async ([, failure]) => {
  const { asked, endpoint } = setUp([failure, failure, () => json(200, GIVEN)]);

  const answer = await endpoint.request(GRANT);

  expect(answer).toMatchObject({ access_token: "t", expires_in: 60 });
  expect(asked).toHaveLength(3);
});

test.for([
  [{ error: "invalid_grant", error_description: "SECRET" }, "refused with the error invalid_grant"],
  [{ error: "<b>SECRET</b>" }, "gave an answer that is not understood"],
  [{ token_type: "Bearer" }, "gave an answer that is not understood"],
] as const)("what it refuses for good is asked once: %j", async ([body, sentence]) => {
  const { asked, endpoint } = setUp([() => json("error" in body ? 400 : 200, body)]);

  const failure = await endpoint.request(GRANT).catch((error: unknown) => error);

  expect(failure).toMatchObject({
    code: "backend_auth",
    backend: "b1",
    executionState: "not_executed",
    message: `Backend "b1" cannot be given credentials: its token endpoint ${sentence}`,
  });
  expect(asked).toHaveLength(1);
});

test("an endpoint that goes on failing is asked no more, and says when it will be", async () => {
  const { asked, endpoint } = setUp([away]);
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    await expect(endpoint.request(GRANT)).rejects.toMatchObject({ code: "backend_auth" });
  }
  const askedBefore = asked.length;

  const failure = await endpoint.request(GRANT).catch((error: unknown) => error);

  expect(failure).toMatchObject({ code: "backend_auth", retryAfterSeconds: 60 });
  expect(String(failure)).not.toContain("SECRET-HOST");
  expect(asked).toHaveLength(askedBefore);
});

test("how long a busy endpoint asks to wait is told, up to a minute", async () => {
  const { endpoint } = setUp([() => json(429, {}, { "retry-after": "600" })]);

  await expect(endpoint.request(GRANT)).rejects.toMatchObject({ retryAfterSeconds: 60 });
});

test.for<[string, OAuthClient | undefined, string | null, string | null]>([
  ["with a secret", { id: "me", secret: "pw" }, `Basic ${btoa("me:pw")}`, null],
  ["without a secret", { id: "me" }, null, "me"],
  ["that is nobody", undefined, null, null],
])("a client %s says who it is that way", async ([, client, basic, id]) => {
  const { asked, endpoint } = setUp([() => json(200, GIVEN)], client);

  await endpoint.request(GRANT);

  const [, { headers, body } = {}] = asked[0] ?? [];
  const form = new URLSearchParams(String(body));
  expect(new Headers(headers).get("authorization")).toBe(basic);
  expect(form.get("client_id")).toBe(id);
  expect([form.get("scope"), form.has("audience")]).toEqual(["a", false]);
});

test("an identity token that nobody asked for is not looked at", async () => {
  const { endpoint } = setUp([() => json(200, { ...GIVEN, id_token: "not.a.token" })]);

  await expect(endpoint.request(GRANT)).resolves.not.toHaveProperty("id_token");
});
