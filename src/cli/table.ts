import { clip, widthOf } from "./text.ts";

/** One cell: its plain text, and how it looks. */
export interface Cell {
  /** One line without control characters. */
  readonly text: string;
  /** Puts colour around the text as it was padded or cut; default none. */
  readonly paint?: (text: string) => string;
}

export interface TableOptions {
  /** Cells of the terminal that a line may take. */
  readonly columns: number;
  /** Put before each line; default nothing. */
  readonly indent?: string;
}

const GAP = "  ";
/** The last column is not squeezed below this; longer lines are then the lesser evil. */
const MIN_LAST_COLUMNS = 10;

/** Lines of aligned columns. The last column takes what is left and is cut to the width. */
export function table(
  rows: readonly (readonly Cell[])[],
  options: TableOptions,
): readonly string[] {
  const { columns, indent = "" } = options;
  const widths = columnWidths(rows);
  const fixed = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, indent.length);
  const left = Math.max(columns - fixed, MIN_LAST_COLUMNS);
  return rows.map((row) => {
    const cells = row.map(({ text, paint }, index) => {
      const isLast = index === widths.length - 1;
      const shown = isLast ? clip(text, left) : pad(text, widths[index] ?? 0);
      return paint === undefined ? shown : paint(shown);
    });
    return `${indent}${cells.join(GAP)}`.trimEnd();
  });
}

function columnWidths(rows: readonly (readonly Cell[])[]): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, { text }] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, widthOf(text));
    }
  }
  return widths;
}

function pad(text: string, width: number): string {
  return text + " ".repeat(width - widthOf(text));
}
