// Detection of a client's address behind real proxies with the configurations of deploy/, whatever headers the client sends.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import http from "node:http";
import { after, before, describe, it } from "node:test";
import { sleep, start, withTimeout } from "./harness.mjs";
import { ReverseProxy } from "./services.mjs";

const CLIENT = "127.0.0.9"; // the proxies and the server use 127.0.0.1
const SPOOFED = "203.0.113.9";

const lies = {
  "nothing": {},
  "an empty line": { "X-Forwarded-For": [""] },
  "an empty line, and X-Real-IP": { "X-Forwarded-For": [""], "X-Real-IP": SPOOFED },
  "X-Real-IP": { "X-Real-IP": SPOOFED, "CF-Connecting-IP": SPOOFED, "True-Client-IP": SPOOFED, Forwarded: `for=${SPOOFED}` },
  "an address": { "X-Forwarded-For": [SPOOFED] },
  "several lines": { "X-Forwarded-For": [SPOOFED, "127.0.0.1", `198.51.100.1, ${SPOOFED}`] },
  "empty lines around an address": { "X-Forwarded-For": ["", SPOOFED, ""] },
  "a trusted proxy's address at the end": { "X-Forwarded-For": [`${SPOOFED}, 127.0.0.1`] },
  "no address": { "X-Forwarded-For": [`${SPOOFED}, unknown`, "\"", "[::1"] },
  "another spelling": { "x-forwarded-for": [SPOOFED], X_Forwarded_For: SPOOFED },
  "HTTPS": { "X-Forwarded-Proto": ["https"] },
  "HTTPS in several lines": { "X-Forwarded-Proto": ["https", "https, https"] },
};

// get requests a page from the client's loopback address and returns the response.
function get(url, headers) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { localAddress: CLIENT, headers, agent: false, timeout: 10_000 }, (answer) => {
      answer.resume().once("end", () => resolve(answer)).once("error", reject);
    });
    request.once("timeout", () => request.destroy(new Error("no answer"))).once("error", reject);
  });
}

// logged waits for a request's line in the server's log and returns it.
async function logged(server, id) {
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(10)) {
    const line = server.output.split("\n").find((l) => l.includes(`"request_id":"${id}"`) && l.includes('"msg":"request"'));
    if (line) return JSON.parse(line);
  }
  throw new Error("the request is not in the log");
}

const behind = [
  { name: "nginx", kind: "nginx" },
  { name: "Apache", kind: "apache" },
  { name: "Caddy", kind: "caddy" },
  { name: "Caddy that trusts its client", kind: "caddy", edit: (file) => file.replace("lb_try_duration", "trusted_proxies 127.0.0.0/8\n\t\tlb_try_duration"), repeats: true },
  { name: "HAProxy", kind: "haproxy" },
  { name: "nginx that sets X-Real-IP", kind: "nginx", settings: { CLIENT_ADDRESS_HEADER: "X-Real-IP" },
    edit: (file) => file.replace("proxy_http_version", "proxy_set_header X-Real-IP $remote_addr;\n    proxy_http_version") },
];

for (const { name, kind, edit, settings, repeats } of behind) {
  describe(`behind ${name}`, () => {
    let server, proxy;
    before(async () => {
      server = await start({ TRUSTED_PROXIES: "127.0.0.1", ...settings });
      const { port } = new URL(server.url);
      proxy = await ReverseProxy.start(kind, [port, port, port], edit);
    });
    after(async () => {
      try {
        await withTimeout(proxy?.stop() ?? Promise.resolve(), 15_000, "the proxy did not stop");
      } finally {
        await server?.stop();
      }
    });

    for (const [lie, headers] of Object.entries(lies)) {
      it(`a client that sends ${lie}`, async () => {
        const id = randomUUID();
        const answer = await get(`${proxy.url}/login`, { ...headers, "X-Request-Id": id });
        assert.equal(answer.statusCode, 200);
        assert.equal((await logged(server, id)).address, CLIENT);
        // A proxy configured to trust its client forwards the client's header.
        const https = Boolean(repeats) && "X-Forwarded-Proto" in headers;
        assert.equal("strict-transport-security" in answer.headers, https);
      });
    }
  });
}
