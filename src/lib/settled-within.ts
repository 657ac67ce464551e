/**
 * Waits for the work, but no longer than that. Tells whether it was done in time, and rejects if it failed in time;
 * what comes of it later is nobody's business. Leaves no timer behind.
 */
export async function settledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  // A failure that comes too late would end the process.
  work.catch(() => {});
  try {
    return await Promise.race([doneBy(work), deadline]);
  } finally {
    clearTimeout(timer);
  }
}

async function doneBy(work: Promise<unknown>): Promise<true> {
  await work;
  return true;
}
