// The same server over pipes. With the argument "modern-only" it takes no sessions.
import process from "node:process";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { createState, createStatelessServer } from "./stateless-server.mjs";

const state = createState();
const legacy = process.argv.includes("modern-only") ? "reject" : "serve";
serveStdio(() => createStatelessServer(state), { legacy });
