import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileTemplate } from "./uri-template.ts";

test.for([
  ["file:///{path}", "file:///a.txt", true],
  ["file:///{path}", "file:///a/b.txt", false],
  ["file:///{path}", "file:///", false],
  ["file:///{path}", "http://a", false],
  ["file:///{path*}", "file:///a/b/c.txt", true],
  ["file:///{path*}", "file:///a?b", false],
  ["file:///{+path}", "file:///a/b?c#d", true],
  ["file:///{+path}", "file:///", false],
  ["users/{id}/posts/{post}", "users/7/posts/9", true],
  ["users/{id}/posts/{post}", "users/7/posts/9/x", false],
  ["users/{id}/posts/{post}", "users//posts/9", false],
  ["users{/id}", "users/7", true],
  ["users{/id}", "users", true],
  ["users{/id}", "users/7/8", false],
  ["users{/id}", "users/", false],
  ["users{/id,post}", "users/7/9", true],
  ["users{/path*}", "users/7/8/9", true],
  ["search{?q,lang}", "search?q=a/b&lang=en", true],
  ["search{?q,lang}", "search", true],
  ["search{?q,lang}", "search?", false],
  ["search{?q}", "search?q=1#x", false],
  ["search?fixed=1{&q}", "search?fixed=1&q=2", true],
  ["search?fixed=1{&q}", "search?fixed=1", true],
  ["page{#section}", "page#a/b?c", true],
  ["page{#section}", "page", true],
  ["page{#section}", "page/a", false],
  ["logo{.ext}", "logo.png", true],
  ["logo{.ext}", "logo", true],
  ["logo{.ext}", "logopng", false],
  ["map{;x,y}", "map;x=1;y=2", true],
  ["{scheme}://{host}/{+rest}", "db://main/a/b", true],
  ["{a}{b}", "xy", true],
  ["{a}{b}", "x", false],
  ["a{x}b{y}c", "a1b2c", true],
  ["a{x}b{y}c", "abbbbc", true],
  ["a{x}b{y}c", "abc", false],
  ["{x:3}/z", "abc/z", true],
  ["{x,y}", "1,2", true],
  ["plain://text", "plain://text", true],
  ["plain://text", "plain://tex", false],
  ["plain://text", "plain://text2", false],
  ["", "", true],
  ["", "x", false],
  ["a.c/{x}", "abc/1", false],
  ["запись/{имя}", "запись/ы😀", true],
  ["x{a}\u{1F600}", "x1\u{1F600}", true],
] as const)("%j against %j: %s", ([template, uri, expected]) => {
  expect(compileTemplate(template)(uri)).toBe(expected);
});

test.for([
  "{",
  "}",
  "a{b",
  "a}b",
  "{}",
  "{a{b}}",
  "{,}",
  "{a,}",
  "{=a}",
  "{|a}",
  "{a:x}",
  "{a*b}",
  "{?}",
])("%j is malformed and matches nothing", (template) => {
  const fits = compileTemplate(template);

  expect([fits(template), fits("a"), fits("")]).toEqual([false, false, false]);
});

test.for([
  ["of more than 1,024 characters", "x".repeat(1_025)],
  ["of more than 64 expressions", "{a}".repeat(65)],
] as const)("a template %s matches nothing", ([, template]) => {
  expect(compileTemplate(template)("x".repeat(1_025))).toBe(false);
});

test.for([
  ["of 1,024 characters", "x".repeat(1_024)],
  ["of 64 expressions", "{a}".repeat(64)],
] as const)("a template %s still matches", ([, template]) => {
  expect(compileTemplate(template)("x".repeat(1_024))).toBe(true);
});

test("one compiled template serves many URIs", () => {
  const fits = compileTemplate("a/{x}/b");

  const answers = ["a/1/b", "a/1/c", "a/1/b", "a/b", "a/2/b"].map(fits);

  expect(answers).toEqual([true, false, true, false, true]);
});

describe("a URI of 100,000 characters comes to an end against", () => {
  const long = "a".repeat(100_000);

  test.for([
    ["variables side by side", "{a}".repeat(64) + "!", long, false],
    ["variables between equal letters", "{v}a".repeat(64) + "!", long, false],
    ["exploded lists", "{v*}a".repeat(64), long, true],
    ["reserved variables", "{+v}aaaaaaaaa".repeat(64), long, true],
    ["optional expressions", "{/v*}{?v}{&v}{.v}".repeat(16), `/${long}`, true],
    ["a long literal tail", `{v}${"a".repeat(1_000)}!`, long, false],
    ["a long literal tail that fits", `{v}${"a".repeat(1_000)}`, long, true],
  ] as const)("%s", ([, template, uri, expected]) => {
    expect(compileTemplate(template)(uri)).toBe(expected);
  });
});

test("every expansion of a template fits it", () => {
  const value = fc.string({ unit: fc.constantFrom("a", "b", "%20", ".", "é", "-"), minLength: 1 });
  const piece = fc.oneof(
    fc
      .string({ unit: fc.constantFrom("a", "b", "/", ":", "?", "."), minLength: 1 })
      .map((text) => [text, text]),
    value.map((text) => ["{v}", text]),
    fc.tuple(value, value).map(([a, b]) => ["{+v}", `${a}/${b}?${a}#${b}`]),
    fc.option(value, { nil: "" }).map((text) => ["{/v}", text && `/${text}`]),
    fc.option(value, { nil: "" }).map((text) => ["{?v}", text && `?v=${text}`]),
    fc.option(value, { nil: "" }).map((text) => ["{.v}", text && `.${text}`]),
    fc.option(value, { nil: "" }).map((text) => ["{#v}", text && `#${text}`]),
    fc.array(value, { minLength: 1 }).map((texts) => ["{v*}", texts.join("/")]),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const template = pieces.map(([text]) => text).join("");
      const uri = pieces.map(([, text]) => text).join("");

      expect(compileTemplate(template)(uri)).toBe(true);
    }),
  );
});

test("it agrees with a backtracking match on small inputs", () => {
  const part = fc.constantFrom("a", "/", "{v}", "{v*}", "{/v}", "{+v}", "{.v}");
  const uri = fc.string({ unit: fc.constantFrom("a", "/", ".", "?"), maxLength: 7 });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), uri, (parts, given) => {
      const source = parts.map((text) => BACKTRACKING.get(text) ?? text).join("");
      const expected = new RegExp(`^${source}$`).test(given);

      expect(compileTemplate(parts.join(""))(given)).toBe(expected);
    }),
    { numRuns: 3_000 },
  );
});

const BACKTRACKING: ReadonlyMap<string, string> = new Map([
  ["{v}", "[^/?#]+"],
  ["{v*}", "[^?#]+"],
  ["{/v}", "(?:/[^/?#]+)?"],
  ["{+v}", ".+"],
  ["{.v}", "(?:\\.[^/?#]+)?"],
]);

test("any text can be compiled and asked", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (template, uri) => {
      expect(typeof compileTemplate(template)(uri)).toBe("boolean");
    }),
  );
});
