// The programs that tests start, and their ports. Whoever imports this ends with all it has started, whatever became of its tests.
import { spawn } from "node:child_process";
import net from "node:net";
import { after } from "node:test";

const LEFT = 60_000; // ms between a file's last test and the end of its process, at most

const running = new Set();

// started runs a program that does not outlive this process.
export function started(command, args, options) {
  const child = spawn(command, args, options);
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

process.once("exit", () => { for (const child of running) child.kill("SIGKILL"); });

process.once("SIGTERM", () => process.exit(143)); // the signal alone would end it without "exit"

// A test that failed half-way may have left a server or a browser behind, for which Node would wait for ever. The outcome of the
// tests stands by then.
if (process.env.NODE_TEST_CONTEXT) {
  after(() => setTimeout(() => {
    console.error(`${process.argv[1]}: something is still running ${LEFT / 1000} s after the last test, and is ended`);
    process.exit();
  }, LEFT).unref());
}

// freePort picks one below the range from which the kernel takes ports for clients: one of those might get it while a killed
// server is away, even a client that asks for that very server.
export async function freePort() {
  for (let tries = 100; tries > 0; tries--) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = net.createServer();
    const free = await new Promise((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
  throw new Error("no free port between 20000 and 29999");
}
