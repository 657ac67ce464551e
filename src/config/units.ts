/** Node's timers fire at once beyond this many milliseconds (about 24.8 days). */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const DURATION_PART = /(?<amount>\d+(?:\.\d+)?)(?<unit>ms|s|m|h)/g;
const MS_PER_UNIT = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

const SIZE = /^(?<amount>\d+)(?:\s?(?<unit>B|KiB|MiB|GiB))?$/;
const BYTES_PER_UNIT = new Map([
  ["B", 1],
  ["KiB", 1024],
  ["MiB", 1024 ** 2],
  ["GiB", 1024 ** 3],
]);

/** `30s`, `1m30s`, `500ms`, `2h` → milliseconds, rounded; undefined for any other text. */
export function parseDurationMs(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let totalMs = 0;
  for (const { groups } of text.matchAll(DURATION_PART)) {
    totalMs += Number(groups?.["amount"]) * (MS_PER_UNIT.get(groups?.["unit"] ?? "") ?? Number.NaN);
  }
  return Math.round(totalMs);
}

/** `16MiB`, `64KiB`, `1024` → bytes; undefined for any other text. */
export function parseSizeBytes(text: string): number | undefined {
  const groups = SIZE.exec(text)?.groups;
  if (groups === undefined) return undefined;
  return Number(groups["amount"]) * (BYTES_PER_UNIT.get(groups["unit"] ?? "B") ?? Number.NaN);
}
