import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { SILENT_LOGGER, type Logger } from "../../domain/logger.ts";
import { FileWatcher } from "./file-watcher.ts";

describe("a change is told", () => {
  test.for<readonly [string, (path: string) => void]>([
    ["is written in place", (path) => writeFileSync(path, "new")],
    [
      "is replaced by a rename",
      (path) => {
        writeFileSync(`${path}.tmp`, "new");
        renameSync(`${path}.tmp`, path);
      },
    ],
    [
      "is removed and written anew",
      (path) => {
        rmSync(path);
        writeFileSync(path, "new");
      },
    ],
    ["is touched only", (path) => chmodSync(path, 0o600)],
  ])("where the file %s", async ([, change]) => {
    const path = newFile();
    const changes = watched(path);

    change(path);

    await expect.poll(() => changes.length).toBe(1);
  });

  test("where the file is behind a link, and where the link is turned elsewhere", async () => {
    const [folder, elsewhere] = [newFolder(), newFolder()];
    const [first, second] = [join(elsewhere, "first"), join(elsewhere, "second")];
    const link = join(folder, "config");
    writeFileSync(first, "1");
    writeFileSync(second, "2");
    symlinkSync(first, link);
    const changes = watched(link);

    writeFileSync(first, "1 again");
    await expect.poll(() => changes.length).toBe(1);
    symlinkSync(second, `${link}.tmp`);
    renameSync(`${link}.tmp`, link);
    await expect.poll(() => changes.length).toBe(2);
    writeFileSync(second, "2 again");

    await expect.poll(() => changes.length).toBe(3);
  });

  test("where a folder on the way is a link that is turned elsewhere", async () => {
    const folder = newFolder();
    mkdirSync(join(folder, "v1"));
    mkdirSync(join(folder, "v2"));
    writeFileSync(join(folder, "v1", "config"), "1");
    writeFileSync(join(folder, "v2", "config"), "2");
    symlinkSync("v1", join(folder, "data"));
    symlinkSync(join("data", "config"), join(folder, "config"));
    const changes = watched(join(folder, "config"));

    symlinkSync("v2", join(folder, "data.tmp"));
    renameSync(join(folder, "data.tmp"), join(folder, "data"));

    await expect.poll(() => changes.length).toBe(1);
  });

  test("once, where the file is written many times in a row", async () => {
    const path = newFile();
    const changes = watched(path);

    for (let turn = 0; turn < 20; turn += 1) writeFileSync(path, `text ${turn}`);

    await expect.poll(() => changes.length).toBe(1);
    writeFileSync(path, "and later");
    await expect.poll(() => changes.length).toBe(2);
  });

  test("in time, where something in the folder changes all the time", async () => {
    const path = newFile();
    const changes = watched(path);
    const noise = setInterval(() => writeFileSync(`${path}.noise`, String(Math.random())), 20);
    onTestFinished(() => clearInterval(noise));

    writeFileSync(path, "new");

    await expect.poll(() => changes.length).toBe(1);
  });
});

test("other files of the folder are no change", async () => {
  const path = newFile();
  const changes = watched(path);

  writeFileSync(`${path}.other`, "x");
  // Told after whatever came before it.
  writeFileSync(path, "new");

  await expect.poll(() => changes.length).toBe(1);
});

test("a file that is gone is no change, and its return is", async () => {
  const path = newFile();
  const changes = watched(path);
  const aside = `${path}.aside`;
  renameSync(path, aside);
  writeFileSync(`${path}.marker`, "x");

  writeFileSync(path, "back");

  await expect.poll(() => changes.length).toBe(1);
});

test("a folder that does not exist is waited for, and it is said how", () => {
  const warn = vi.fn<Logger["warn"]>();
  const path = join(newFolder(), "absent", "config");

  const watcher = new FileWatcher({ path, onChange: () => {}, logger: { ...SILENT_LOGGER, warn } });
  watcher[Symbol.dispose]();

  expect(warn).toHaveBeenCalledExactlyOnceWith(
    expect.stringContaining("looked at from time to time"),
    expect.anything(),
  );
});

test("after its end nothing is told", async () => {
  const path = newFile();
  const [mine, other] = [watchedBy(path), watchedBy(path)];
  writeFileSync(path, "new");

  mine.watcher[Symbol.dispose]();

  await expect.poll(() => other.changes.length).toBe(1);
  expect(mine.changes).toEqual([]);
});

function newFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "vmcp-watch-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function newFile(): string {
  const path = join(newFolder(), "config");
  writeFileSync(path, "old");
  return path;
}

function watched(path: string): readonly unknown[] {
  return watchedBy(path).changes;
}

function watchedBy(path: string) {
  const changes: unknown[] = [];
  const onChange = (): void => void changes.push(1);
  const watcher = new FileWatcher({ path, onChange, logger: SILENT_LOGGER });
  onTestFinished(() => watcher[Symbol.dispose]());
  return { watcher, changes };
}
