import process from "node:process";

/** Listens on loopback, prints where (the runner reads that line), and ends on SIGTERM so that profiles are written. */
export function listenAndSay(server, port, name) {
  server.listen(Number(port), "127.0.0.1", 4096, () => {
    console.log(`${name} listening on http://127.0.0.1:${server.address().port}/mcp`);
  });
  process.on("SIGTERM", () => process.exit(0));
}
