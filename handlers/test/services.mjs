// Services for one test, which it can stop, freeze and start again. Each has a temporary folder and a free loopback port.
import { execFileSync } from "node:child_process";
import { chownSync, chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { sleep } from "./harness.mjs";
import { freePort, started } from "./processes.mjs";

const deploy = fileURLToPath(new URL("../../deploy", import.meta.url));

// listening waits until the port accepts connections.
async function listening(port, child) {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(50)) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended: ${child.output}`);
    const there = await new Promise((resolve) => {
      const socket = net.connect(port, "127.0.0.1");
      socket.once("connect", () => { socket.destroy(); resolve(true); });
      socket.once("error", () => resolve(false));
    });
    if (there) return;
  }
  throw new Error(`the port accepts no connections: ${child.output}`);
}

// program starts a program that runs in the foreground, with its folder as working directory.
function program(dir, command, ...args) {
  const child = started(command, args, { cwd: dir, stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env.PATH, HOME: dir, TMPDIR: dir } });
  child.output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (child.output += text));
  child.ended = new Promise((resolve) => child.once("exit", resolve));
  child.once("error", (err) => (child.output += err));
  return child;
}

// folder makes a folder that is deleted when this process ends.
function folder(name) {
  const dir = mkdtempSync(path.join(tmpdir(), `sohbet-${name}-`));
  process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

class Service {
  async stop(signal = "SIGTERM") {
    this.child?.kill(signal);
    this.child?.kill("SIGCONT"); // a frozen process does not handle signals
    await this.child?.ended;
  }

  freeze() { this.child.kill("SIGSTOP"); }
  thaw() { this.child.kill("SIGCONT"); }
}

// Redis has no persistence: after a restart it is empty.
export class Redis extends Service {
  static async start() {
    const redis = new Redis();
    redis.dir = folder("redis");
    redis.port = await freePort();
    redis.url = `redis://127.0.0.1:${redis.port}/0`;
    await redis.again();
    return redis;
  }

  async again() {
    this.child = program(this.dir, "redis-server", "--bind", "127.0.0.1", "--port", `${this.port}`, "--save", "");
    await listening(this.port, this.child);
  }
}

// Gate is a TCP proxy to a server that can be closed, which cuts the connections through it; frozen: nothing passes, but connections
// stay open, and new ones open; and slow.
export class Gate {
  #through = new Set();
  #dead = [];
  #closed = false;
  #frozen = false;
  #delay = 0;
  #late = new WeakMap(); // socket → what is delayed

  // start opens a gate to the address of a URL; gate.url is the URL through the gate.
  static async start(to) {
    const gate = new Gate();
    const { hostname, port } = new URL(to);
    gate.server = net.createServer((from) => {
      const on = gate.#closed ? null : net.connect(port, hostname);
      for (const [socket, other] of [[from, on], [on, from]]) {
        socket?.on("error", () => other?.destroy()).on("close", () => { other?.destroy(); gate.#through.delete(socket); });
        socket?.on("data", (data) => gate.#pass(data, other)).on("end", () => other?.end());
      }
      if (!on) { from.destroy(); return; }
      gate.#through.add(from).add(on);
      if (gate.#frozen) { from.pause(); on.pause(); }
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => gate.server.once("listening", resolve));
    const url = new URL(to);
    url.host = `127.0.0.1:${gate.server.address().port}`;
    gate.url = url.href;
    return gate;
  }

  // #pass keeps the order when the delay changes.
  #pass(data, to) {
    const late = this.#late.get(to) ?? [];
    if (!this.#delay && !late.length) {
      to.write(data);
      return;
    }
    this.#late.set(to, late);
    late.push(data);
    setTimeout(() => to.write(late.shift()), this.#delay);
  }

  // slow delays everything by this many ms, in both directions.
  slow(ms) { this.#delay = ms; }

  freeze() {
    this.#frozen = true;
    for (const socket of this.#through) socket.pause();
  }

  // thaw lets pass what was held back. With lose the connections from before stay dead without an error, as after a firewall's timeout.
  thaw({ lose = false } = {}) {
    this.#frozen = false;
    if (lose) {
      this.#dead.push(...this.#through); // paused for ever
      this.#through.clear();
    }
    for (const socket of this.#through) socket.resume();
  }

  close() {
    this.#closed = true;
    for (const socket of this.#through) socket.destroy();
  }

  open() { this.#closed = false; }

  stop() {
    this.close();
    for (const socket of this.#dead) socket.destroy();
    this.server.close();
  }
}

// Postgres is a PostgreSQL server with fsync, unlike that of .ci/services.
export class Postgres extends Service {
  static async start() {
    const postgres = new Postgres();
    const outer = folder("postgres");
    chmodSync(outer, 0o711);
    postgres.dir = path.join(outer, "data");
    mkdirSync(postgres.dir, { mode: 0o700 });
    postgres.port = await freePort();
    postgres.url = `postgres://postgres@127.0.0.1:${postgres.port}/postgres?sslmode=disable`;
    const [bin] = readdirSync("/usr/lib/postgresql").sort((a, b) => b - a).map((v) => `/usr/lib/postgresql/${v}/bin`);
    postgres.bin = bin;
    if (process.getuid() === 0) { // PostgreSQL refuses to run as root
      const [, , uid, gid] = readFileSync("/etc/passwd", "utf8").split("\n").find((l) => l.startsWith("postgres:")).split(":");
      chownSync(postgres.dir, Number(uid), Number(gid));
      postgres.as = { uid: Number(uid), gid: Number(gid) };
    }
    postgres.run("initdb", "-D", postgres.dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8");
    process.once("exit", () => { try { postgres.halt("immediate"); } catch { /* already stopped */ } });
    postgres.again();
    return postgres;
  }

  run(name, ...args) { return execFileSync(path.join(this.bin, name), args, { cwd: "/", stdio: "pipe", encoding: "utf8", ...this.as }); }

  again() {
    this.run("pg_ctl", "start", "-D", this.dir, "-w", "-s", "-l", path.join(this.dir, "log"), "-o", `-h 127.0.0.1 -p ${this.port} -k '' -c max_connections=100`);
  }

  halt(mode) { this.run("pg_ctl", "stop", "-D", this.dir, "-w", "-m", mode, "-s"); }

  async stop() { this.halt("fast"); }
}

const files = { nginx: "nginx.conf", caddy: "Caddyfile", "several caddy": "Caddyfile.several", haproxy: "haproxy.cfg", apache: "apache.conf" };

// The minimal configuration of each program as a proxy in front of one process, as in the introduction of its documentation.
export const plain = {
  nginx: "server { listen 80; location / { proxy_pass http://127.0.0.1:5001; } }",
  apache: '<VirtualHost *:80>\nProxyPass "/" "http://127.0.0.1:5001/"\nProxyPassReverse "/" "http://127.0.0.1:5001/"\n</VirtualHost>',
  caddy: ":80 {\n\treverse_proxy 127.0.0.1:5001\n}",
  haproxy: "defaults\n    mode http\n    timeout connect 2s\n    timeout client 100s\n    timeout server 100s\nfrontend web\n    bind :80\n    default_backend sohbet\nbackend sohbet\n    server one 127.0.0.1:5001\n",
};

const apacheModules = ["mpm_event", "authz_core", "headers", "proxy", "proxy_http", "proxy_wstunnel"];

// ReverseProxy is nginx, Apache, Caddy or HAProxy with the configuration of deploy/, adapted to the processes' ports and its own; edit
// may change it.
export class ReverseProxy extends Service {
  static async start(kind, ports, edit = (file) => file, port = undefined) {
    const proxy = new ReverseProxy();
    proxy.dir = folder(kind);
    port ??= await freePort();
    proxy.url = `http://127.0.0.1:${port}`;
    const file = edit(readFileSync(path.join(deploy, files[kind]), "utf8"))
      .replace(/127\.0\.0\.1:500(\d)/g, (_, n) => `127.0.0.1:${ports[n - 1]}`)
      .replace("listen 80;", `listen 127.0.0.1:${port};`)
      .replace("<VirtualHost *:80>", `<VirtualHost 127.0.0.1:${port}>`)
      .replace("bind :80", `bind 127.0.0.1:${port}`)
      .replace(":80 {", `http://127.0.0.1:${port} {`);
    if (kind === "nginx") {
      writeFileSync(path.join(proxy.dir, "sohbet.conf"), file);
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((n) => `${n}_temp_path ${proxy.dir}/${n};`).join("\n");
      writeFileSync(path.join(proxy.dir, "nginx.conf"), `daemon off; worker_processes 1; pid ${proxy.dir}/pid; error_log stderr error;
        events { worker_connections 1024; }
        http { access_log off; ${temporary} include ${proxy.dir}/sohbet.conf; }`);
      proxy.child = program(proxy.dir, "/usr/sbin/nginx", "-p", proxy.dir, "-c", "nginx.conf", "-e", "stderr");
    } else if (kind === "apache") {
      writeFileSync(path.join(proxy.dir, "apache.conf"), `ServerRoot ${proxy.dir}
        ${apacheModules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join("\n")}
        ServerName 127.0.0.1
        Listen 127.0.0.1:${port}
        PidFile ${proxy.dir}/pid
        DefaultRuntimeDir ${proxy.dir}
        User www-data
        Group www-data
        ErrorLog ${proxy.dir}/log
        LogLevel error
        ${file}`);
      proxy.child = program(proxy.dir, "/usr/sbin/apache2", "-X", "-d", proxy.dir, "-f", path.join(proxy.dir, "apache.conf"));
    } else if (kind === "haproxy") {
      writeFileSync(path.join(proxy.dir, "haproxy.cfg"), file);
      proxy.child = program(proxy.dir, "/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg");
    } else {
      writeFileSync(path.join(proxy.dir, "Caddyfile"), `{\n\tadmin off\n}\n${file}`);
      const settings = [`SOHBET_DOMAIN=http://127.0.0.1:${port}`, `SOHBET_ADDRESS=127.0.0.1:${ports[0]}`]; // http: without a certificate
      proxy.child = program(proxy.dir, "env", ...settings, "caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile");
    }
    proxy.kind = kind;
    await listening(port, proxy.child);
    return proxy;
  }

  // stop kills Caddy and Apache (-X: one process), because they would wait for polling clients; nginx is stopped by SIGTERM, so
  // that its master stops the workers.
  stop() { return super.stop(/caddy|apache/.test(this.kind) ? "SIGKILL" : "SIGTERM"); }
}
