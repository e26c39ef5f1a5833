// What the servers of this folder share: socket.io on Node, or on Bun with its own engine, with the heartbeat of Sohbet and without
// compression. Usage of each: node|bun FILE [-port N]; prints "listening 127.0.0.1:PORT" and serves until SIGTERM.
import { createServer } from "node:http";
import { Server } from "socket.io";

const engine = { pingInterval: 25_000, pingTimeout: 60_000, maxHttpBufferSize: 1_000_000 };

/** @param {(io: Server) => void} define adds the handlers of events */
export async function listen(define) {
  const at = process.argv.indexOf("-port");
  let port = at < 0 ? 0 : Number(process.argv[at + 1]);
  process.on("SIGTERM", () => process.exit(0));
  if (process.versions.bun) {
    const io = new Server();
    const bun = new (await import("@socket.io/bun-engine")).Server({ path: "/socket.io/", ...engine });
    io.bind(bun);
    define(io);
    port = globalThis.Bun.serve({ port, hostname: "127.0.0.1", ...bun.handler() }).port;
  } else {
    const http = createServer();
    define(new Server(http, { serveClient: false, perMessageDeflate: false, ...engine }));
    await new Promise((resolve) => http.listen(port, "127.0.0.1", resolve));
    port = http.address().port;
  }
  console.log(`listening 127.0.0.1:${port}`);
}
