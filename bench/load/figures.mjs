// Numbers of numbers, and how they are written.

/** Undefined of no values. The median is the quantile 0.5 of an odd number of values; see `median` for any. */
export function quantile(values, share) {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Of what is a number among them; NaN if nothing is. */
export function median(values) {
  const sorted = values.filter(Number.isFinite).toSorted((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A dash for what could not be measured. */
export function format(value, digits = 1) {
  return Number.isFinite(value) ? value.toFixed(digits) : "–";
}

/** A table in Markdown. */
export function tableOf(head, rows) {
  return [lineOf(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(lineOf)].join("\n");
}

/** `{what, figure, bound, isMet}`: a figure with the bound that it is held against. */
export function held(what, value, { atMost, atLeast }, unit = "", digits = 2) {
  const isMet = Number.isFinite(value)
    ? (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast)
    : undefined;
  const bound = atMost === undefined ? `≥ ${atLeast}${unit}` : `≤ ${atMost}${unit}`;
  return { what, value, figure: `${format(value, digits)}${unit}`, bound, isMet };
}

/** A figure without a bound. */
export function told(what, figure) {
  return { what, figure, bound: "" };
}

export function boundsTable(figures) {
  return tableOf(
    ["what", "figure", "bound", ""],
    figures.map(({ what, figure, bound, isMet }) => [what, figure, bound, verdictOf(isMet)]),
  );
}

function lineOf(cells) {
  return `| ${cells.join(" | ")} |`;
}

function verdictOf(isMet) {
  if (isMet === undefined) return "";
  return isMet ? "met" : "MISSED";
}
