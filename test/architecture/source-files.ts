import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** A file under `src` that is not a test; its name is relative to `src`, with slashes. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** One import as it stands in a file. */
export interface Import {
  readonly file: string;
  /** The file's folder under `src`, or the file's own name where it lies in `src` itself. */
  readonly folder: string;
  /** As written: a relative path, a package or a node module. */
  readonly target: string;
  /** As `folder`, of what a relative path leads to; undefined for anything else. */
  readonly toFolder: string | undefined;
}

const SRC = join(dirname(fileURLToPath(import.meta.url)), "../../src");
const TEST_FILE = /\.(?:test|test-d|contract|bench)\.ts$/;
const IMPORT = /\b(?:from|import)\s*\(?\s*["'](?<target>[^"']+)["']/g;

export function readSources(): readonly SourceFile[] {
  return readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !TEST_FILE.test(name))
    .map((name) => ({
      name: name.replaceAll(sep, "/"),
      text: readFileSync(join(SRC, name), "utf8"),
    }));
}

export function importsOf({ name, text }: SourceFile): readonly Import[] {
  return [...text.matchAll(IMPORT)].map((match) => {
    const target = match.groups?.["target"] ?? "";
    const isRelative = target.startsWith(".");
    const toFolder = isRelative ? folderOf(posix.join(posix.dirname(name), target)) : undefined;
    return { file: name, folder: folderOf(name), target, toFolder };
  });
}

function folderOf(name: string): string {
  return name.split("/")[0] ?? name;
}
