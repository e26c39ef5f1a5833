// A fake Telegram for tests: the strict Bot API of server/telegram/telegramtest in a separate process, controlled as the
// operator.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { started } from '../../handlers/test/processes.mjs';
import { eventually } from './harness.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const scratch = mkdtempSync(path.join(tmpdir(), 'sohbet-fakebot-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

let built;

function binary() {
  if (!built) {
    built = path.join(scratch, 'fakebot');
    execFileSync('go', ['build', '-o', built, './server/telegram/telegramtest/fakebot'], { cwd: root, stdio: 'inherit' });
  }
  return built;
}

/** Starts it; `close` ends it and fails if the server has made a call that Telegram would have refused. */
export async function telegram() {
  const child = started(binary(), [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [first] = await once(lines, 'line', { signal: AbortSignal.timeout(10_000) });
  const { api, control, token, chat } = JSON.parse(first);

  async function ask(method, where, body) {
    const answer = await fetch(control + where, { method, body: body && JSON.stringify(body) });
    assert.equal(answer.status, 200, `${where}: ${await answer.clone().text()}`);
    return answer;
  }
  const post = async (where, body) => (await ask('POST', where, body)).json();
  const get = async (where) => (await (await ask('GET', where)).json()) ?? [];

  return {
    token,
    /** Settings for the server under test. */
    settings: { TELEGRAM_API_URL: api, TELEGRAM_BOT_TOKEN: token, TELEGRAM_CHAT_ID: chat, RATE_LIMIT_TELEGRAM: 'off' },
    /** The operator sends a message: {text, topic, reply_to, caption, photo, voice, document, name, type}; files are base64. */
    say: (message) => post('/say', message),
    edit: (message_id, text) => post('/edit', { message_id, text }),
    press: (message_id, data) => post('/press', { message_id, data }),
    topic: (order, topic) => post('/topic', { do: order, topic }),
    topics: () => get('/topics'),
    allow: (text) => post('/allow', { text }),
    /** Makes calls fail: {method, text, status, times, …}; times -1 lasts until calm(). */
    fault: (fault) => post('/fault', fault),
    calm: () => post('/calm', {}),
    down: (down) => post('/down', { down }),
    /** The contents of a file by its id. */
    file: async (id) => Buffer.from(await (await ask('GET', `/file?id=${encodeURIComponent(id)}`)).arrayBuffer()),
    /** Waits for the newest message of the bot whose text or caption matches. */
    sent: (pattern) => eventually(async () => {
      const found = (await get('/sent')).filter((m) => pattern.test(`${m.text ?? ''}${m.caption ?? ''}`)).at(-1);
      assert.ok(found, `nothing in Telegram like ${pattern}`);
      return found;
    }, `a message in Telegram like ${pattern}`),
    async close() {
      const blame = await get('/blame');
      const gone = once(child, 'exit');
      child.stdin.end(); // it exits at the end of its input
      await gone;
      assert.deepEqual(blame, [], 'Telegram must have nothing to refuse');
    },
  };
}
