// The other side of the benchmark: Node's own socket.io, answering the same events as bench/server.
// Usage: node server.mjs [-port N]; prints "listening 127.0.0.1:PORT" and serves until SIGTERM.
import { createServer } from "node:http";
import { Server } from "socket.io";

const at = process.argv.indexOf("-port");
const port = at < 0 ? 0 : Number(process.argv[at + 1]);

const http = createServer();
const io = new Server(http, {
  serveClient: false,
  perMessageDeflate: false,
  pingInterval: 25_000,
  pingTimeout: 60_000,
  maxHttpBufferSize: 1_000_000,
});

io.on("connection", (socket) => {
  // "up" counts what one socket sent in one go and whether it arrived in order.
  let received = 0;
  let misplaced = 0;
  socket.on("up", (n) => {
    if (n !== received) misplaced++;
    received++;
  });
  socket.on("up-report", (ack) => ack(received, misplaced));

  socket.on("echo", (...args) => args.pop()(...args));
  socket.on("join-room", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("fan", (room, payload, ack) => {
    io.to(room).emit("message", payload);
    ack?.();
  });
  socket.on("down", (count) => {
    for (let i = 0; i < count; i++) socket.emit("seq", i);
  });
});

http.listen(port, "127.0.0.1", () => {
  console.log(`listening 127.0.0.1:${http.address().port}`);
});
process.on("SIGTERM", () => process.exit(0));
