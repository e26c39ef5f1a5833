// Two agents side by side: who is there, who looks at a conversation, who is typing, and the question before a second answer.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cleanInBoth } from './axe.mjs';
import { DESK, PHONE, act, eventually, fits, openThread, say, shows, signIn, startEnv, texts, visit } from './harness.mjs';

let env, owner, ada, visitor;
before(async () => {
  env = await startEnv({ AGENT_IDLE: '2s' });
  owner = await signIn(await env.newContext(DESK), env.server);
  ada = await join('Ada Lovelace');
  visitor = await visit(await env.newContext(), 'Ayla');
  await say(visitor, 'merhaba');
  await openThread(owner, 'Ayla');
});
after(() => env.close());

// join makes another agent by an invitation, and returns its console.
async function join(name) {
  const invited = await owner.request.post('/api/agents/invite', { data: { role: 'agent' } });
  const context = await env.newContext(DESK);
  const token = (await invited.json()).url.split('/').at(-1);
  assert.equal((await context.request.post('/api/invite', { data: { token, name, password: 'a long enough password' } })).status(), 200);
  const page = await context.newPage();
  await page.goto('/admin?lang=en');
  await page.waitForSelector('#connection', { state: 'hidden' });
  return page;
}

const line = async (page) => (await page.isVisible('#together') ? page.textContent('#together span:last-child') : '');
const saysOf = (page, text) => eventually(async () => assert.equal(await line(page), text));
const shot = async (page, name) => { if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` }); };
// input is what keeps a console from being idle.
const input = (page) => page.keyboard.press('Shift');
const status = async (page, name) => {
  await page.click('#assignee summary');
  const text = await page.locator('#assignee-list button', { hasText: name }).locator('.quiet').textContent();
  await page.click('#assignee summary');
  return text;
};

test('agents see who else looks at a conversation and is typing in it', async () => {
  assert.equal(await line(owner), '', 'no other agent looks at it');
  await input(ada);
  await openThread(ada, 'Ayla');
  await eventually(async () => {
    await input(ada);
    assert.equal(await line(owner), 'Ada Lovelace buna bakıyor');
  });
  assert.equal(await owner.locator('.row-others .unseen').textContent(), 'Ada Lovelace buna bakıyor');
  await ada.click('#mode-note');
  await ada.locator('#text').pressSequentially('not: ');
  await saysOf(owner, 'Ada Lovelace not yazıyor…');
  assert.ok(await visitor.isHidden('#typing'), 'the visitor is told nothing of a note');
  await ada.click('#mode-reply');
  await ada.locator('#text').pressSequentially('I am');
  await saysOf(owner, 'Ada Lovelace yazıyor…');
  await visitor.waitForSelector('#typing:visible');
});

test('while another agent is typing, sending asks once, and no text is lost', async () => {
  const typing = async () => { // keeps Ada typing however long this takes
    await ada.locator('#text').pressSequentially('.');
    assert.equal(await line(owner), 'Ada Lovelace yazıyor…');
  };
  await owner.fill('#text', 'buyurun');
  await eventually(typing);
  await owner.press('#text', 'Enter');
  await owner.waitForSelector('#confirm[open]');
  assert.equal(await owner.textContent('#confirm-title'), 'Ada Lovelace de yanıt yazıyor');
  for (const size of [PHONE, DESK]) {
    await owner.setViewportSize(size.viewport);
    await shot(owner, `asks-${size.viewport.width}`);
  }
  await owner.click('#confirm-no');
  assert.deepEqual([await owner.inputValue('#text'), await texts(visitor)], ['buyurun', ['merhaba']]);
  await eventually(typing);
  await owner.press('#text', 'Enter');
  await owner.click('#confirm-yes');
  await shows(visitor, ['merhaba', 'buyurun']);
  await eventually(typing);
  await owner.fill('#text', 'dinliyorum');
  await owner.press('#text', 'Enter');
  await shows(visitor, ['merhaba', 'buyurun', 'dinliyorum']);

  // Ada, who has been writing, is told that there is an answer now.
  const written = await ada.inputValue('#text');
  await ada.press('#text', 'Enter');
  await ada.waitForSelector('#confirm[open]');
  assert.equal(await ada.textContent('#confirm-title'), 'admin has answered meanwhile');
  await ada.click('#confirm-yes');
  for (const page of [visitor, owner, ada]) await shows(page, ['merhaba', 'buyurun', 'dinliyorum', written]);
  await ada.fill('#text', 'no question now');
  await ada.press('#text', 'Enter');
  await shows(visitor, ['merhaba', 'buyurun', 'dinliyorum', written, 'no question now']);
});

test('two who send together both get through, in one order', async () => {
  await Promise.all([owner, ada].map((page) => page.fill('#text', '')));
  await saysOf(owner, 'Ada Lovelace buna bakıyor');
  const before = (await texts(visitor)).length;
  const send = (page, text) => page.evaluate((value) => { // at once, before either is told that the other is typing
    const field = document.getElementById('text');
    field.value = value;
    field.form.requestSubmit();
  }, text);
  await Promise.all([send(owner, 'sahipten'), send(ada, 'from Ada')]);
  await eventually(async () => assert.equal((await texts(visitor)).length, before + 2));
  const order = await texts(visitor);
  assert.deepEqual(order.slice(before).toSorted(), ['from Ada', 'sahipten']);
  for (const page of [owner, ada]) await shows(page, order);
});

test('a conversation is handed over with a note, and names in notes notify', async () => {
  await owner.click('#assignee summary');
  await owner.click('#hand-over-open');
  await owner.fill('#hand-over-note', 'Kargoyu soruyor.');
  for (const size of [PHONE, DESK]) {
    await owner.setViewportSize(size.viewport);
    await shot(owner, `hand-over-${size.viewport.width}`);
    await cleanInBoth(owner, `handing over, ${size.viewport.width} px`);
  }
  await say(await visit(await env.newContext(), 'Berk'), 'ben Berk');
  await openThread(ada, 'Berk');
  await owner.click('#hand-over-yes');
  await owner.waitForSelector('#hand-over', { state: 'hidden' });
  await eventually(async () => assert.equal(await owner.textContent('#assignee-text'), 'Ada Lovelace'));
  await eventually(async () => assert.match(await owner.textContent('.message.note'), /Kargoyu soruyor/));
  await ada.waitForSelector('#mentions:visible');
  assert.equal(await ada.textContent('#mentions-text'), 'A note mentions you');
  await ada.locator('.row', { hasText: 'Ayla' }).locator('.row-mention').waitFor();
  await ada.reload();
  await ada.waitForSelector('#mentions:visible'); // it is stored, and the conversation that opens again is another one
  await shot(ada, 'mentioned');
  await ada.click('#mentions');
  await ada.waitForSelector('.message.note');
  await ada.waitForSelector('#mentions', { state: 'hidden' });
  await ada.locator('.row', { hasText: 'Ayla' }).locator('.row-mention').waitFor({ state: 'hidden' });

  await ada.click('#mode-note');
  await ada.fill('#text', '');
  await ada.locator('#text').pressSequentially('tamam @ad');
  await ada.waitForSelector('#canned-list li');
  assert.deepEqual(await ada.locator('#canned-list b').allTextContents(), ['@admin']);
  await shot(ada, 'names');
  await ada.press('#text', 'Enter');
  assert.equal(await ada.inputValue('#text'), 'tamam @admin ');
  await openThread(owner, 'Berk');
  await ada.press('#text', 'Enter');
  await owner.waitForSelector('#mentions:visible');
  await openThread(owner, 'Ayla');
  await owner.waitForSelector('#mentions', { state: 'hidden' });
  await ada.click('#mode-reply');
  await ada.locator('#text').pressSequentially('@ad');
  assert.ok(await ada.isHidden('#canned'), 'a visitor is not told names of the team');
  await ada.fill('#text', '');
  await openThread(ada, 'Ayla');
  await owner.click('#assignee summary');
  await owner.locator('#assignee-list button', { hasText: 'Üstlen' }).click();
  await eventually(async () => assert.equal(await owner.textContent('#assignee-text'), 'Siz'));
});

test('who closed, blocked and deleted is shown', async () => {
  const fact = (page, label) => page.locator('.fact', { hasText: label }).locator('dd').textContent();
  await ada.click('#finish');
  await eventually(async () => assert.equal(await owner.textContent('#head-state'), 'Ada Lovelace kapattı'));
  assert.equal(await fact(owner, 'Kapatan'), 'Ada Lovelace');
  await ada.click('#reopen');
  await eventually(async () => assert.equal(await fact(owner, 'Yeniden açan'), 'Ada Lovelace'));
  await openThread(ada, 'Berk');
  await openThread(owner, 'Berk');
  await act(ada, 'block');
  await ada.click('#confirm-yes');
  await eventually(async () => assert.equal(await fact(owner, 'Engelleyen'), 'Ada Lovelace'));
  await act(ada, 'block');
  await ada.click('#confirm-yes');
  await eventually(async () => assert.equal(await owner.locator('.fact', { hasText: 'Engelleyen' }).count(), 0));
  await act(ada, 'clear');
  await eventually(async () => assert.equal(await owner.textContent('#problem'), 'Ada Lovelace burada açık olan konuşmayı sildi.'));
  for (const page of [owner, ada]) await openThread(page, 'Ayla');
});

test('agents are away by their own switch, when they are idle, and when they are gone', async () => {
  const of = (text) => eventually(async () => {
    await input(owner);
    assert.equal(await status(owner, 'Ada Lovelace'), text);
  });
  await of('uzakta'); // without input
  await saysOf(owner, '');
  await ada.click('#team');
  await eventually(async () => assert.equal(await ada.textContent('#team-text'), 'I am away'));
  await eventually(async () => {
    await input(ada);
    assert.equal(await status(owner, 'Ada Lovelace'), 'uzakta');
  });
  assert.equal(await owner.textContent('#team-text'), 'Buradayım');
  assert.ok(await visitor.isHidden('#offer[data-kind=away]'), 'the owner is there');
  await owner.click('#team');
  await visitor.waitForSelector('#offer[data-kind=away]');
  await owner.click('#team');
  await visitor.waitForSelector('#offer[data-kind=away]', { state: 'hidden' });
  await ada.click('#team');
  await eventually(async () => {
    await input(ada);
    assert.equal(await status(owner, 'Ada Lovelace'), 'çevrimiçi');
  });
  await eventually(async () => {
    await input(ada);
    assert.equal(await line(owner), 'Ada Lovelace buna bakıyor');
  });
  for (const size of [PHONE, DESK]) {
    await owner.setViewportSize(size.viewport);
    await eventually(async () => {
      await input(ada);
      assert.equal(await line(owner), 'Ada Lovelace buna bakıyor');
    });
    await shot(owner, `together-${size.viewport.width}`);
    await cleanInBoth(owner, `together, ${size.viewport.width} px`);
    assert.ok(await fits(owner), 'no sideways scrolling');
  }
  await owner.click('#assignee summary');
  await shot(owner, 'team');
  await owner.click('#assignee summary');
  await ada.close();
  await of('çevrimdışı');
  await saysOf(owner, '');
});
