/** The weights of RFC 9110, 12.4.2. */
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

const NAMES_OF_GZIP: readonly string[] = ["gzip", "x-gzip"];

/**
 * Whether an answer may be sent as gzip to the client that sent this header, and is not better sent as it is. A header
 * that nobody sent asks for nothing, and what cannot be read of one counts as a refusal.
 *
 * Source: RFC 9110, 12.5.3 and 8.4.1.3.
 */
export function prefersGzip(acceptEncoding: string | undefined): boolean {
  if (acceptEncoding === undefined) return false;
  let gzip: number | undefined;
  let identity: number | undefined;
  let others: number | undefined;
  for (const range of acceptEncoding.toLowerCase().split(",")) {
    const { coding, weight } = readRange(range);
    if (NAMES_OF_GZIP.includes(coding)) gzip = Math.min(gzip ?? 1, weight);
    else if (coding === "identity") identity = weight;
    else if (coding === "*") others = weight;
  }
  const wish = gzip ?? others ?? 0;
  return wish > 0 && wish >= (identity ?? 0);
}

function readRange(range: string): { readonly coding: string; readonly weight: number } {
  const [coding = "", ...parameters] = range.split(";").map((part) => part.trim());
  const [parameter] = parameters;
  if (parameter === undefined) return { coding, weight: 1 };
  const weight = parameter.startsWith("q=") ? parameter.slice("q=".length) : "";
  const isReadable = parameters.length === 1 && WEIGHT.test(weight);
  return { coding, weight: isReadable ? Number(weight) : 0 };
}
