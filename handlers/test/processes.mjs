// Starting programs in tests, and finding free ports. A process that imports this kills all programs it has started when it ends.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";

const LEFT = 60_000; // maximum ms between a file's last test and the end of its process

const running = new Set();

// started starts a program that is killed when this process ends.
export function started(command, args, options) {
  const child = spawn(command, args, options);
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

const reserved = []; // files, see reserve

process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  for (const file of reserved) rmSync(file, { force: true });
});

process.once("SIGTERM", () => process.exit(143)); // otherwise the signal would end the process without the event "exit"

// A failed test may leave a server or a browser running, for which Node would wait for ever. The results of the tests are
// complete by then.
if (process.env.NODE_TEST_CONTEXT) {
  after(() => setTimeout(() => {
    console.error(`${process.argv[1]}: something is still running ${LEFT / 1000} s after the last test, and is ended`);
    process.exit();
  }, LEFT).unref());
}

const RESERVED = 60 * 60_000; // ms after which the reservation of a killed process ends

// reserve reserves a port until this process ends, because other tests look for one before the server of this one listens.
function reserve(port) {
  const file = path.join(tmpdir(), "sohbet-ports", String(port));
  mkdirSync(path.dirname(file), { recursive: true });
  try {
    if (Date.now() - statSync(file).mtimeMs > RESERVED) rmSync(file, { force: true });
  } catch { /* not reserved */ }
  try {
    writeFileSync(file, "", { flag: "wx" });
  } catch {
    return false;
  }
  reserved.push(file);
  return true;
}

// freePort returns a free port below the kernel's range of ephemeral ports: one of those might be given to a client while a
// killed server is down, even to a client that connects to that very server.
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
    if (reserve(port)) return port;
  }
  throw new Error("no free port between 20000 and 29999");
}
