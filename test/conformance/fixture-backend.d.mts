export interface FixtureBackend extends AsyncDisposable {
  readonly url: string;
}

export function startFixtureBackend(): Promise<FixtureBackend>;
