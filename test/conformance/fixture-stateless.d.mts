import type { FixtureBackend } from "./fixture-backend.mjs";

export function startStatelessFixture(): Promise<FixtureBackend>;
