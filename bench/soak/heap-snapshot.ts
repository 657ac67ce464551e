import { readFileSync } from "node:fs";

/** What a heap holds, in bytes. */
export interface HeapContents {
  /** What a program keeps: objects, functions, strings, arrays. */
  readonly dataBytes: number;
  /** What V8 makes of the program: code, what it has learned of it, and the shapes of its objects. */
  readonly codeBytes: number;
}

interface HeapSnapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[];
      readonly node_types: readonly [readonly string[], ...unknown[]];
    };
  };
  /** So many numbers per node as there are fields. */
  readonly nodes: readonly number[];
}

const CODE_TYPES: ReadonlySet<string> = new Set(["code", "hidden", "object shape"]);
/** Outside the heap, or made for the snapshot itself. */
const OTHER_TYPES: ReadonlySet<string> = new Set(["native", "synthetic"]);

/** Adds up what stands in a file that V8 has written. */
export function contentsOf(file: string): HeapContents {
  // V8's own form.
  const { snapshot, nodes } = JSON.parse(readFileSync(file, "utf8")) as HeapSnapshot;
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [typeAt, sizeAt] = [fields.indexOf("type"), fields.indexOf("self_size")];
  let [dataBytes, codeBytes] = [0, 0];
  for (let at = 0; at < nodes.length; at += fields.length) {
    const type = types[0][nodes[at + typeAt] ?? 0] ?? "";
    const bytes = nodes[at + sizeAt] ?? 0;
    if (CODE_TYPES.has(type)) codeBytes += bytes;
    else if (!OTHER_TYPES.has(type)) dataBytes += bytes;
  }
  return { dataBytes, codeBytes };
}
