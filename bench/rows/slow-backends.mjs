import { get, milliseconds, quantile, startBackend, startGateway, until } from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title = "20 backends of which 3 hang and 2 need 2 s; 100 sessions begin";

const SOUND = 15;
const SLOW = 2;
const HANGING = 3;
const SESSIONS = 100;
const START_DEADLINE_MS = 5_000;

/** Backends of one kind share a process: they differ by their path. */
export async function run() {
  const sound = await startBackend(["--name", "sound"]);
  const slow = await startBackend(["--name", "slow", "--initialize-ms", "2000"]);
  const hanging = await startBackend(["--name", "hanging", "--hang-initialize"]);
  const gateway = await startGateway({
    backends: [
      ...several("sound", SOUND, sound),
      ...several("slow", SLOW, slow),
      ...several("hanging", HANGING, hanging),
    ],
    operational: {
      sessions: { startDeadline: `${START_DEADLINE_MS}ms` },
      failureHandling: { healthCheckInterval: "2s", healthCheckTimeout: "2s" },
    },
  });
  const agent = newAgent();
  const begin = async (count) => {
    const sessions = Array.from({ length: count }, () => new Session(gateway.url, { agent }));
    const tookMs = await Promise.all(sessions.map(async (session) => session.open()));
    return { sessions, tookMs };
  };
  // When it has looked at every backend once, but does not know yet that three never answer a session.
  await until(async () => (await get(`${gateway.origin}/readyz`)).status === 200, 20_000);
  const first = await begin(SESSIONS);
  let served = 0;
  await until(
    async () => (served = (await namesOf(first.sessions[0])).size) >= SOUND + SLOW,
    10_000,
  );
  const wrong = await countWrong(first.sessions);
  // By now the gateway has seen that three never answer.
  const isKnown = await until(async () => (await unhealthy(gateway.origin)) >= HANGING, 60_000);
  const alone = await begin(1);
  const second = await begin(20);
  const servedLater = (await namesOf(second.sessions[0])).size;
  agent.destroy();

  const firstMax = Math.max(...first.tookMs);
  const secondMax = Math.max(...second.tookMs);
  return [
    {
      what: "the first 100 initialize, all at once",
      figure: `p50 ${milliseconds(quantile(first.tookMs, 0.5))}, slowest ${milliseconds(firstMax)}`,
      limit: `≤ start deadline + 0.5 s = ${milliseconds(START_DEADLINE_MS + 500)}`,
      isMet: firstMax <= START_DEADLINE_MS + 500,
    },
    {
      what: "backends in the list",
      figure: `${served} then, ${servedLater} in a session that began later`,
      limit: "17 at least",
      isMet: served >= SOUND + SLOW && servedLater >= SOUND + SLOW,
    },
    {
      what: "calls to each sound and slow backend",
      figure: `${wrong} wrong`,
      limit: "none",
      isMet: wrong === 0,
    },
    {
      what: "the gateway knows which hang",
      figure: isKnown ? "yes" : "not within a minute",
      limit: "within a minute",
      isMet: isKnown,
    },
    {
      what: "one initialize then",
      figure: milliseconds(alone.tookMs[0]),
      limit: "< 1 s",
      isMet: alone.tookMs[0] < 1_000,
    },
    {
      what: "20 initialize at once then",
      figure: `p50 ${milliseconds(quantile(second.tookMs, 0.5))}, slowest ${milliseconds(secondMax)}`,
      limit: "< 1 s",
      isMet: secondMax < 1_000,
    },
  ];
}

function several(name, count, { url }) {
  const { origin } = new URL(url);
  return Array.from({ length: count }, (_value, index) => ({
    name: `${name}${index + 1}`,
    url: `${origin}/${name}${index + 1}`,
  }));
}

async function namesOf(session) {
  const tools = await session.listTools();
  return new Set(tools.map(({ name }) => name.split("_")[0]));
}

async function unhealthy(origin) {
  const { backends } = JSON.parse((await get(`${origin}/status`)).text);
  return backends.filter(({ health, state }) => (health ?? state) === "unhealthy").length;
}

async function countWrong(sessions) {
  const names = [
    ...Array.from({ length: SOUND }, (_value, index) => `sound${index + 1}`),
    ...Array.from({ length: SLOW }, (_value, index) => `slow${index + 1}`),
  ];
  const answers = await Promise.all(
    names.map(async (name, index) => sessions[index].call(`${name}_echo`, { text: name })),
  );
  return answers.filter(({ text }, index) => text !== names[index]).length;
}
