import type { BackendGreeting } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";

/** How a backend that introduced itself so is introduced to clients. */
export type IntroducedAs = (backend: BackendName, greeting: BackendGreeting) => BackendGreeting;

interface Link {
  readonly name: BackendName;
  readonly connection: { readonly greeting: BackendGreeting } | undefined;
}

/** How the backend of a link is introduced, or is expected to be; undefined while nothing is known. */
export function introduced(
  { name, connection }: Link,
  expected: BackendGreeting | undefined,
  { introducedAs }: { readonly introducedAs?: IntroducedAs | undefined },
): BackendGreeting | undefined {
  const greeting = connection?.greeting ?? expected;
  return greeting && introducedAs ? introducedAs(name, greeting) : greeting;
}
