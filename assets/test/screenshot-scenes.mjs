// The scenes of screenshots.mjs: each brings a page into a state and takes a picture.
import { setTimeout as sleep } from 'node:timers/promises';
import { drop, postgres } from '../../handlers/test/postgres-schema.mjs';
import { act, connected, eventually, openThread, removeThread, say, seed, Server, shows, signIn, stateOf, STORED, visit } from './harness.mjs';
import { chat, introduce, launcher, openUp } from './host-site.mjs';

/** Creates a visitor and an agent. `who` is the visitor's name, which must be unique on the server. */
async function both({ env, newContext, unique }, who) {
  const visitor = await visit(await newContext(), `${who} ${unique}`);
  const agent = await signIn(await newContext(), env.server);
  return { visitor, agent, name: `${who} ${unique}` };
}

/** A short conversation between a shop and a customer. */
async function talk(stage, who) {
  const pair = await both(stage, who);
  const { visitor, agent, name } = pair;
  await say(visitor, 'Merhaba, dün verdiğim sipariş ne zaman kargoya çıkar?');
  await say(visitor, 'Numarası 48213');
  await agent.locator('.row', { hasText: name }).waitFor();
  await openThread(agent, name);
  await say(agent, 'Merhaba! Hemen bakıyorum.');
  await say(agent, 'Paketiniz bu sabah hazırlandı, bugün 17.00 aracıyla çıkıyor. Takip: https://kargo.example/48213');
  await shows(visitor, ['Merhaba, dün verdiğim sipariş ne zaman kargoya çıkar?', 'Numarası 48213', 'Merhaba! Hemen bakıyorum.', 'Paketiniz bu sabah hazırlandı, bugün 17.00 aracıyla çıkıyor. Takip: https://kargo.example/48213']);
  await say(visitor, 'Harika, çok teşekkürler 🙏');
  return pair;
}

/** Whether the list has been filled, which is done once for all pictures. */
let seeded = false;

/** Sends an agent's event by a second socket of the console's page. */
const asAgent = (agent, event, what) => agent.evaluate(async ([name, payload]) => {
  const { io } = await import('/socket.io/socket.io.esm.min.js');
  const socket = io({ path: '/socket.io/', forceNew: true });
  await new Promise((done) => socket.on('connect', done));
  await socket.emitWithAck('admin_join');
  const answer = await socket.emitWithAck(name, payload);
  socket.close();
  if (!answer.ok) throw new Error(answer.error.message);
}, [event, what]);

const setAway = (agent, away) => asAgent(agent, 'set_away', { away });
const closeTalk = async (agent) => asAgent(agent, 'set_status', { thread_id: await agent.evaluate(() => JSON.parse(sessionStorage.getItem('sohbet.console.open'))), status: 'closed' });

export const scenes = {
  async 'visitor-first'({ newContext, shoot }) {
    const page = await (await newContext()).newPage();
    await page.goto('/');
    await shoot(page);
  },

  async 'visitor-name-missing'({ newContext, shoot }) {
    const page = await (await newContext()).newPage();
    await page.goto('/?lang=en');
    await page.click('#start-form button[type=submit]');
    await shoot(page);
  },

  async 'visitor-empty'(stage) {
    await stage.shoot(await visit(await stage.newContext(), 'Deniz'));
  },

  async 'visitor-talk'(stage) {
    const { visitor } = await talk(stage, 'Zeynep');
    await eventually(async () => { if (await stateOf(visitor, 'teşekkürler') !== 'read') throw new Error('unread'); });
    await stage.shoot(visitor);
  },

  async 'visitor-offline'(stage) {
    const context = await stage.newContext();
    const visitor = await visit(context, `Can ${stage.unique}`);
    await say(visitor, 'Bağlantım kötü, yine de yazıyorum.');
    await eventually(async () => { if (!STORED.test(await stateOf(visitor, 'Bağlantım'))) throw new Error('not sent'); });
    await stage.env.server.kill();
    await say(visitor, 'Bu sırada bekliyor');
    await say(visitor, 'Bu da');
    await sleep(1500);
    await stage.shoot(visitor);
    await stage.env.server.start();
    await connected(visitor);
  },

  async 'visitor-long-word'(stage) {
    const visitor = await visit(await stage.newContext(), `Uzun ${stage.unique}`);
    await say(visitor, 'a'.repeat(2000));
    await say(visitor, '👍');
    await say(visitor, 'مرحبا، متى يصل الطلب؟');
    await sleep(300);
    await stage.shoot(visitor);
  },

  async 'visitor-menu'(stage) {
    const visitor = await visit(await stage.newContext(), 'Menü');
    await visitor.click('#menu summary');
    await stage.shoot(visitor);
  },

  async 'visitor-emoji'(stage) {
    const visitor = await visit(await stage.newContext(), 'Emoji');
    await say(visitor, '🫖');
    await say(visitor, 'bkz. ornek.com.tr ya da 0532 123 45 67');
    if (stage.device === 'desk') await visitor.click('#emoji');
    await stage.shoot(visitor);
  },

  async 'visitor-closed'(stage) {
    const { visitor, agent } = await talk(stage, 'Kapanan');
    await closeTalk(agent);
    await visitor.waitForSelector('#offer[data-kind=closed]');
    await stage.shoot(visitor);
    await visitor.locator('.glass').nth(3).click();
    await stage.shoot(visitor, 'rated');
  },

  async 'visitor-away'(stage) {
    const { visitor, agent } = await talk(stage, 'Uzakta');
    await setAway(agent, true);
    await visitor.waitForSelector('#offer[data-kind=away]');
    await stage.shoot(visitor);
    await setAway(agent, false);
  },

  async 'visitor-blocked'(stage) {
    const { visitor, agent } = await talk(stage, 'Engelli');
    await act(agent, 'block');
    await agent.click('#confirm-yes');
    await visitor.waitForSelector('#offer[data-kind=blocked]');
    await say(visitor, 'neden?');
    await sleep(800);
    await stage.shoot(visitor);
  },

  async 'visitor-ended'(stage) {
    const { visitor, agent } = await talk(stage, 'Silinen');
    await removeThread(agent);
    await visitor.waitForSelector('#offer[data-kind=ended]');
    await stage.shoot(visitor);
  },

  async 'visitor-rtl'(stage) {
    const context = await stage.newContext();
    await context.route((url) => url.pathname === '/', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: (await response.text()).replace('dir="ltr"', 'dir="rtl"') });
    });
    const visitor = await visit(context, `ليلى ${stage.unique}`);
    await say(visitor, 'مرحبا، متى يصل الطلب؟ رقمه 48213');
    const agent = await signIn(await stage.newContext(), stage.env.server);
    await openThread(agent, 'ليلى');
    await say(agent, 'أهلا! يصل غدا إن شاء الله.');
    await shows(visitor, ['مرحبا، متى يصل الطلب؟ رقمه 48213', 'أهلا! يصل غدا إن شاء الله.']);
    await stage.shoot(visitor);
  },

  async 'offline-page'({ newContext, shoot }) {
    const page = await (await newContext()).newPage();
    await page.goto('/offline');
    await shoot(page);
  },

  async 'login'({ newContext, shoot }) {
    const page = await (await newContext()).newPage();
    await page.goto('/login');
    await shoot(page);
    await page.click('#ask-button');
    await page.waitForSelector('#verify:not([hidden])');
    await shoot(page, 'code');
  },

  async 'console-talk'(stage) {
    const { agent } = await talk(stage, 'Ayşe');
    await stage.shoot(agent);
  },

  async 'console-list'(stage) {
    if (!seeded) seed(stage.env.server, '-threads', '400');
    seeded = true;
    const { agent } = await talk(stage, 'Yağmur');
    if (stage.device === 'phone') await agent.click('#back');
    await stage.shoot(agent);
    await agent.click('[data-filter=waiting]');
    await agent.locator('.row.waits').first().waitFor();
    await stage.shoot(agent, 'waiting');
    await agent.click('[data-filter=closed]');
    await agent.locator('.row.is-closed').first().click();
    await stage.shoot(agent, 'closed');
    if (stage.device === 'phone') await agent.click('#back');
    await agent.click('#menu summary');
    await stage.shoot(agent, 'menu');
    await agent.click('#keys-open');
    await stage.shoot(agent, 'keys');
  },

  async 'console-note'(stage) {
    const { agent } = await talk(stage, 'Mert');
    await agent.click('#mode-note');
    await say(agent, 'Şubeyle konuştum, paket yarın dağıtımda. Gecikirse hediye çeki verelim.');
    await agent.locator('.message.note').waitFor();
    await stage.shoot(agent);
    await agent.click('#mode-reply');
    if (stage.device === 'phone') await agent.click('#facts-open');
    await stage.shoot(agent, 'facts');
  },

  async 'console-earlier'(stage) {
    const contact = { phone: `+90 532 444 00 ${stage.unique.codePointAt(0)}` };
    const name = `Selin Işık ${stage.unique}`;
    await say(await visit(await stage.newContext(), name, contact), 'Geçen hafta aldığım vazo kırık geldi.');
    await say(await visit(await stage.newContext(), name, contact), 'Yenisi ne zaman gelir?');
    const agent = await signIn(await stage.newContext(), stage.env.server);
    await agent.locator('.row', { hasText: name }).filter({ hasText: 'Yenisi ne zaman gelir?' }).click();
    if (stage.device === 'phone') await agent.click('#facts-open');
    await agent.locator('.earlier-row').first().waitFor();
    await stage.shoot(agent);
  },

  async 'console-canned'(stage) {
    const { agent } = await talk(stage, 'Defne');
    if (stage.device === 'phone') await agent.click('#back');
    await agent.click('#menu summary');
    await agent.click('#canned-open');
    await agent.waitForSelector('#canned-all li, #canned-empty:not([hidden])');
    if (!await agent.locator('#canned-all li').count()) for (const [shortcut, text] of [['kargo', 'Merhaba {name}, paketiniz yolda; takip numarasını birazdan yazıyorum.'], ['iade', 'İade için ürünü ve faturasını gönderin, {name}. Kargo bizden.']]) {
      await agent.fill('#canned-shortcut', shortcut);
      await agent.fill('#canned-text', text);
      await agent.click('#canned-save');
      await agent.waitForSelector(`#canned-all li:has-text("/${shortcut}")`);
    }
    await stage.shoot(agent, 'dialog');
    await agent.keyboard.press('Escape');
    await openThread(agent, 'Defne');
    await agent.locator('#text').pressSequentially('/');
    await agent.waitForSelector('#canned:not([hidden])');
    await stage.shoot(agent);
  },

  async 'console-deleted'(stage) {
    const { agent } = await talk(stage, 'Silinen');
    await act(agent, 'export');
    await stage.shoot(agent, 'export');
    await agent.keyboard.press('Escape');
    await act(agent, 'clear');
    await agent.waitForSelector('.undo-bar');
    await stage.shoot(agent);
    await agent.click('.undo-bar button');
  },

  async 'console-nobody'(stage) {
    const agent = await signIn(await stage.newContext(), stage.env.server);
    await stage.shoot(agent);
    await agent.fill('#search', 'yokboylebiri');
    await sleep(600);
    await stage.shoot(agent, 'no-results');
  },

  async 'console-session-ended'(stage) {
    const { agent } = await talk(stage, 'Oturum');
    await agent.context().clearCookies({ name: /session/ });
    await agent.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await say(agent, 'Bu yanıt bekler.');
    await sleep(600);
    await stage.shoot(agent);
  },

  async 'widget'(stage) {
    stage.site.page('*', { server: stage.env.server.url });
    const context = await stage.newContext();
    await openUp(context);
    const page = await context.newPage();
    await page.goto(stage.site.url);
    await launcher(page).waitFor();
    await stage.shoot(page, 'closed');
    await launcher(page).click();
    await chat(page).locator('#name').waitFor();
    await stage.shoot(page, 'first');
    await introduce(page, 'Selin');
    await chat(page).locator('#text').fill('Bu fincan bulaşık makinesinde yıkanır mı?');
    await chat(page).locator('#text').press('Enter');
    await chat(page).locator('.message[data-state=sent]').waitFor();
    await stage.shoot(page, 'talk');
  },

  async 'diagnostics'(stage) {
    const agent = await signIn(await stage.newContext(), stage.env.server);
    await agent.goto('/admin/diagnostics');
    await sleep(1500);
    await stage.shoot(agent);
  },

  async 'audit'(stage) {
    const agent = await signIn(await stage.newContext(), stage.env.server);
    await agent.goto('/admin/audit');
    await agent.waitForSelector('.entry');
    await stage.shoot(agent);
  },

  async 'failure'({ newContext, shoot }) {
    const settings = postgres();
    const server = await new Server(settings).start();
    try {
      const page = await signIn(await newContext({ baseURL: server.url }), server);
      drop(settings); // so that logging out fails
      await page.goto('/logout');
      await shoot(page);
    } finally {
      await server.kill();
    }
  },

  async 'not-found'({ newContext, shoot }) {
    const page = await (await newContext()).newPage();
    await page.goto('/yok');
    await shoot(page);
  },
};
