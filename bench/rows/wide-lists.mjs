import { createHash } from "node:crypto";
import { cpuMs, get, milliseconds, quantile, startBackend, startGateway, until } from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title = "20 backends × 200 tools in pages of 50; 50 clients list everything at once";

const BACKENDS = 20;
const TOOLS = 200;
/** Every scripted backend has these besides. */
const BUILT_IN = 6;
const PAGES = Math.ceil((TOOLS + BUILT_IN) / 50);
const CLIENTS = 50;

export async function run() {
  const backend = await startBackend(["--tools", String(TOOLS), "--page-size", "50"]);
  const { origin } = new URL(backend.url);
  const gateway = await startGateway({
    backends: Array.from({ length: BACKENDS }, (_value, index) => ({
      name: `b${index + 1}`,
      url: `${origin}/b${index + 1}`,
    })),
  });
  const agent = newAgent();
  const sessions = Array.from({ length: CLIENTS }, () => new Session(gateway.url, { agent }));
  // Ready when every backend was listed once.
  await until(async () => (await get(`${gateway.origin}/readyz`)).status === 200, 20_000);
  const { lists: probed } = await backend.figures();
  await sessions[0].open();
  await until(
    async () => (await sessions[0].listTools()).length === BACKENDS * (TOOLS + BUILT_IN),
    20_000,
  );
  await Promise.all(sessions.slice(1).map(async (session) => session.open()));
  const { lists } = await backend.figures();
  const rounds = [];
  const cpuBefore = cpuMs(gateway.pid);
  for (let round = 0; round < 3; round += 1) rounds.push(await Promise.all(sessions.map(listAll)));
  const cpuPerList = (cpuMs(gateway.pid) - cpuBefore) / rounds.flat().length;
  const answers = rounds.flat().map(({ ms, pages }) => {
    const names = namesIn(pages);
    return { ms, count: names.length, pages: pages.length, digest: digestOf(names) };
  });
  const listsAfter = (await backend.figures()).lists;
  agent.destroy();

  const p99 = quantile(
    answers.map(({ ms }) => ms),
    0.99,
  );
  const different = new Set(answers.map(({ digest }) => digest)).size;
  const complete = answers.filter(({ count }) => count === BACKENDS * (TOOLS + BUILT_IN)).length;
  const listings = (listsAfter - probed) / (BACKENDS * PAGES);
  return [
    {
      what: "answers",
      figure: `${complete} of ${answers.length} with all ${BACKENDS * (TOOLS + BUILT_IN)} tools, ${answers[0].pages} pages each`,
      limit: "all",
      isMet: complete === answers.length,
    },
    {
      what: "listings per backend for all 50 sessions",
      figure: `${listings.toFixed(2)}, after one by the probe; ${listsAfter - lists} requests while clients listed`,
      limit: "1 while fresh, none for clients",
      isMet: listings <= 1.01 && listsAfter === lists,
    },
    {
      what: "a whole list, 50 clients at once",
      figure: `p50 ${milliseconds(
        quantile(
          answers.map(({ ms }) => ms),
          0.5,
        ),
      )}, p99 ${milliseconds(p99)}`,
      limit: "p99 ≤ 300 ms",
      isMet: p99 <= 300,
    },
    { what: "CPU of the gateway per whole list", figure: milliseconds(cpuPerList) },
    { what: "different orders", figure: String(different), limit: "1", isMet: different === 1 },
  ];
}

/** Nothing is parsed on the way: the generator must not be what is measured. */
async function listAll(session) {
  const pages = [];
  let ms = 0;
  let cursor;
  do {
    const page = await session.requestBytes("tools/list", cursor === undefined ? {} : { cursor });
    ms += page.ms;
    pages.push(page.bytes);
    cursor = cursorIn(page.bytes);
  } while (cursor !== undefined);
  return { ms, pages };
}

function digestOf(names) {
  return createHash("sha256").update(names.join("\n")).digest("hex");
}

/** It stands before or after the tools. */
function cursorIn(bytes) {
  const [head, tail] = [bytes.subarray(0, MAX_CURSOR), bytes.subarray(-MAX_CURSOR)];
  return (CURSOR.exec(tail.toString("latin1")) ?? CURSOR.exec(head.toString("latin1")))?.[1];
}

const CURSOR = /"nextCursor":"([^"]+)"/;
const MAX_CURSOR = 2_000;

function namesIn(pages) {
  return pages.flatMap((bytes) =>
    JSON.parse(bytes.toString()).result.tools.map(({ name }) => name),
  );
}
