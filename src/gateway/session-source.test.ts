import { describe, expect, test } from "vitest";
import { createFactory } from "../../test/support/sessions.ts";
import { chooseSessionFactory } from "./session-source.ts";

describe("with operational.sessionManagementV2 on", () => {
  test("the given factory makes the sessions", () => {
    const sessionFactory = createFactory();

    const chosen = chooseSessionFactory({
      sessionManagementV2: true,
      sessionFactory,
      discovery: createFactory(),
    });

    expect(chosen).toBe(sessionFactory);
  });

  test("a missing sessionFactory is refused by its name [seed 40]", () => {
    const options = {
      sessionManagementV2: true,
      sessionFactory: undefined,
      discovery: createFactory(),
    };

    expect(() => chooseSessionFactory(options)).toThrow(
      expect.objectContaining({
        code: "invalid_config",
        message: expect.stringContaining("sessionFactory"),
      }),
    );
  });
});

describe("with operational.sessionManagementV2 off", () => {
  test.for([
    ["a given factory is ignored", createFactory()],
    ["none is needed", undefined],
  ] as const)("%s", ([, sessionFactory]) => {
    const discovery = createFactory();

    const chosen = chooseSessionFactory({
      sessionManagementV2: false,
      sessionFactory,
      discovery,
    });

    expect(chosen).toBe(discovery);
  });
});
