/** A parameter of a `WWW-Authenticate` header, quoted or not; the first one of that name. */
export function challengeParameter(
  challenge: string | undefined,
  name: string,
): string | undefined {
  if (challenge === undefined) return undefined;
  const pattern = new RegExp(
    `(?:^|[\\s,])${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`,
    "i",
  );
  const found = pattern.exec(challenge.slice(0, MAX_CHALLENGE_LENGTH));
  return found?.[1]?.replaceAll(/\\(.)/g, "$1") ?? found?.[2];
}

const MAX_CHALLENGE_LENGTH = 8_192;
