// The other sides of the benchmark: socket.io on Node and on Bun, answering the same events as bench/server. Usage: see listen.mjs.
import { listen } from "./listen.mjs";

await listen((io) => {
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
});
