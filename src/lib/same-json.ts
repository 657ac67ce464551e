/** Whether two values that consist of what JSON knows say the same, in whatever order their keys come. */
export function isSameJson(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return false;
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  for (const key of keys) {
    if (!Object.hasOwn(other, key) || !isSameJson(memberOf(one, key), memberOf(other, key))) {
      return false;
    }
  }
  return true;
}

function memberOf(value: object, key: string): unknown {
  // Any own member of any object may be read, whatever it is.
  return (value as Record<string, unknown>)[key];
}
