// A conversation behind each proxy: with the minimal configuration, with PUBLIC_URL, and with the configurations of deploy/.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { sleep, start, transports, withTimeout } from "./harness.mjs";
import { freePort } from "./processes.mjs";
import { plain, ReverseProxy } from "./services.mjs";

const { polling, websocket } = transports;
const changesHost = { nginx: true, apache: true, haproxy: false, caddy: false };

// Shared by all tests that need no setting except a trusted proxy.
let trusting;
before(async () => { trusting = await start({ TRUSTED_PROXIES: "127.0.0.1" }); });
after(() => trusting?.stop());

// behind starts a proxy in front of a server, and stops it after the test. With settings, the server is a new one.
async function behind(t, kind, { settings, edit = (file) => file } = {}) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = settings ? await start(settings(url)) : trusting;
  let proxy;
  t.after(async () => {
    try {
      await withTimeout(proxy?.stop() ?? Promise.resolve(), 15_000, "the proxy did not stop");
    } finally {
      if (settings) await server.stop();
    }
  });
  const inner = new URL(server.url);
  proxy = await ReverseProxy.start(kind, [inner.port, inner.port, inner.port], edit, port);
  return { server, url, inner: inner.host };
}

// plainBelow is the minimal configuration for forwarding requests below /chat/, with or without that path.
const plainBelow = (kind, inner) => ({
  nginx: `server { listen 80; location /chat/ { proxy_pass http://127.0.0.1:5001${inner}/; } location / { return 404; } }`,
  apache: `<VirtualHost *:80>\nProxyPass "/chat/" "http://127.0.0.1:5001${inner}/"\n</VirtualHost>`,
}[kind]);

// jar stores the cookies of one browser.
function jar() {
  const kept = new Map();
  return {
    take: (answer) => answer.headers.getSetCookie().forEach((line) => { const [pair] = line.split(";"); kept.set(pair.split("=")[0], pair); }),
    get header() { return [...kept.values()].join("; "); },
  };
}

// signIn sends the same requests as the page at url/login, and returns the browser's cookies.
async function signIn(server, url) {
  const cookies = jar();
  const page = await fetch(`${url}/login`);
  assert.equal(page.status, 200);
  cookies.take(page);
  const token = /name="csrf-token" content="([0-9a-f]+)"/.exec(await page.text())[1];
  const { origin } = new URL(url);
  const post = async (path, body) => {
    const answer = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-CSRF-Token": token, Origin: origin, Cookie: cookies.header } });
    assert.equal(answer.status, 200, `${path}: ${await answer.clone().text()}`);
    cookies.take(answer);
    return answer.json();
  };
  const from = server.output.length;
  await post("/request-otp", {});
  const { redirect } = await post("/verify-otp", { otp: await server.printed(/"code":"(\d{6})"/, from) });
  assert.equal(redirect, `${new URL(url).pathname.replace(/\/$/, "")}/admin`);
  const admin = await fetch(`${url}/admin`, { headers: { Cookie: cookies.header }, redirect: "manual" });
  assert.equal(admin.status, 200);
  return cookies.header;
}

const client = (url, transport, more = {}) => {
  const { origin, pathname } = new URL(url);
  const { headers, ...options } = more;
  return { ...transport, url: origin, path: `${pathname.replace(/\/$/, "")}/socket.io/`, headers: { Origin: origin, ...headers }, ...options };
};

// converse lets a visitor write and an agent answer, as their pages do.
async function converse(server, url, transport, headers) {
  const cookie = await signIn(server, url);
  const agent = await server.agent(client(url, transport, { cookie, headers }));
  const visitor = await server.visitor(client(url, transport, { headers }));
  await visitor.ok("message", { thread_id: visitor.thread, text: "Merhaba" });
  await agent.next("message", (m) => m.content_text === "Merhaba");
  await agent.ok("message", { thread_id: visitor.thread, text: "Buyurun" });
  await visitor.next("message", (m) => m.content_text === "Buyurun");
  agent.close();
  visitor.close();
}

for (const [kind, changes] of Object.entries(changesHost)) {
  describe(`behind ${kind}`, () => {
    it(`with a minimal configuration${changes ? ", which changes Host" : ""}`, async (t) => {
      const { server, url, inner } = await behind(t, kind, { edit: () => plain[kind], settings: () => ({}) });
      if (!changes) {
        await converse(server, url, polling);
        await converse(server, url, websocket);
        assert.doesNotMatch(server.output, /a page was refused/);
        return;
      }
      // A browser that sends Sec-Fetch-Site needs no further configuration.
      await converse(server, url, polling, { "Sec-Fetch-Site": "same-origin" });
      assert.doesNotMatch(server.output, /a page was refused/);
      // Visitors with a browser that does not send it (none does by plain HTTP) are refused, and the log names the remedy once.
      for (let n = 0; n < 3; n++) await assert.rejects(server.visitor(client(url, polling, { reconnection: false })));
      const refused = server.output.split("\n").filter((line) => line.includes("a page was refused")).map((line) => JSON.parse(line));
      assert.equal(refused.length, 1);
      assert.deepEqual([refused[0].level, refused[0].origin, refused[0].host], ["WARN", url, inner]);
      assert.match(refused[0].cure, new RegExp(`PUBLIC_URL=${url}(;|$)`));
      // Agents can connect, because their session remembers the origin of the login page; the console shows why visitors cannot.
      const cookie = await signIn(server, url);
      const agent = await server.agent(client(url, polling, { cookie }));
      agent.close();
      const told = await fetch(`${url}/api/undelivered`, { headers: { Cookie: cookie } });
      const { refused_origin: shown } = await told.json();
      assert.deepEqual([shown.origin, shown.host], [url, inner]);
      const { checks } = await (await fetch(`${url}/api/diagnostics?fresh=1`, { headers: { Cookie: cookie } })).json();
      assert.deepEqual([checks.origin.status, checks.origin.cure], ["warning", `PUBLIC_URL=${url}`]);
      // The doctor command reports it as well.
      let doctor = "";
      for (const end = Date.now() + 15_000; !doctor.includes(`PUBLIC_URL=${url}`) && Date.now() < end; await sleep(200)) doctor = server.command("doctor");
      assert.match(doctor, new RegExp(`PUBLIC_URL=${url} `));
    });

    if (changes) {
      it("with a minimal configuration and PUBLIC_URL", async (t) => {
        const { server, url } = await behind(t, kind, { edit: () => plain[kind], settings: (url) => ({ PUBLIC_URL: url }) });
        await converse(server, url, polling);
        assert.doesNotMatch(server.output, /a page was refused/);
      });
      it("with a minimal configuration and the own origin in CORS_ORIGINS", async (t) => {
        const { server, url } = await behind(t, kind, { edit: () => plain[kind], settings: (url) => ({ CORS_ORIGINS: url }) });
        await converse(server, url, polling);
      });
    }

    if (kind === "apache") {
      it("with a minimal configuration as a trusted proxy", async (t) => {
        const { server, url } = await behind(t, kind, { edit: () => plain[kind] });
        await converse(server, url, polling);
      });
    }

    if (kind === "nginx" || kind === "apache") {
      for (const [what, cut] of Object.entries({ keeps: "/chat", removes: "" })) {
        it(`below a path that the proxy ${what}`, async (t) => {
          const { server, url } = await behind(t, kind, { settings: (url) => ({ PUBLIC_URL: `${url}/chat/` }), edit: () => plainBelow(kind, cut) });
          await converse(server, `${url}/chat`, polling);
          assert.equal((await fetch(`${url}/login`)).status, 404, "the root belongs to another site");
        });
      }
    }

    it("with the configuration of deploy/", async (t) => {
      const { server, url } = await behind(t, kind);
      await converse(server, url, polling);
      await converse(server, url, websocket);
      assert.doesNotMatch(server.output, /a page was refused/);
    });
  });
}

for (const name of ["Caddyfile", "Caddyfile.several"]) {
  it(`Caddy accepts deploy/${name}, with a domain`, () => {
    const file = fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));
    execFileSync("caddy", ["validate", "--config", file, "--adapter", "caddyfile"], {
      stdio: "pipe", timeout: 20_000, env: { PATH: process.env.PATH, HOME: path.join(tmpdir(), "sohbet-caddy"), SOHBET_DOMAIN: "chat.example" },
    });
  });
}
