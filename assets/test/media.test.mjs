// Pictures, voice messages and files: between visitor and agent, on phone and desktop, and through failures.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { connected, DESK, interceptEvents, eventually, fits, startEnv, openThread, PHONE, removeThread, say, shows, signIn, visit } from './harness.mjs';

let env;
let dir;
before(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'sohbet-media-'));
  env = await startEnv();
});
afterEach(() => env.closeContexts());
after(async () => {
  await env.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Makes a real picture file, encoded by the browser. */
async function draw(page, name, width, height, type = 'image/jpeg') {
  const bytes = await page.evaluate(async ([w, hgt, kind]) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: w, height: hgt });
    const c = canvas.getContext('2d');
    const sky = c.createLinearGradient(0, 0, 0, hgt);
    sky.addColorStop(0, '#f2b866');
    sky.addColorStop(0.6, '#d9713c');
    sky.addColorStop(1, '#2c4f6b');
    c.fillStyle = sky;
    c.fillRect(0, 0, w, hgt);
    c.fillStyle = '#fff3d6';
    c.beginPath();
    c.arc(w * 0.7, hgt * 0.45, Math.min(w, hgt) * 0.1, 0, 7);
    c.fill();
    const blob = await new Promise((done) => canvas.toBlob(done, kind, 0.9));
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, [width, height, type]);
  const file = path.join(dir, name);
  writeFileSync(file, Buffer.from(bytes));
  return file;
}

const media = (page, type) => page.locator(`.bubble[data-type="${type}"]`);
const loaded = (page, i = -1) => eventually(async () => {
  const img = media(page, 'image').locator('.picture img');
  const at = i < 0 ? img.last() : img.nth(i);
  assert.ok(await at.evaluate((node) => node.complete && node.naturalWidth > 0), 'picture loaded');
}, 'picture');
const settled = (page) => eventually(async () => assert.equal(await page.locator('.own[data-state=waiting], .own[data-state=sending], .own[data-state=failed]').count(), 0), 'everything sent', 15_000);

/** Records a voice message and attaches it. */
async function speak(page, ms = 1500) {
  await page.click('#mic');
  await page.waitForSelector('#recorder:not([hidden])');
  await eventually(async () => assert.match(await page.textContent('#recorder-time'), /0:0[1-9]/), 'the timer runs');
  await page.waitForTimeout(ms - 1000);
  // The fake microphone makes a sound, so the level is not flat.
  assert.ok(await page.locator('#recorder-level i').evaluateAll((bars) => bars.some((bar) => Number(/scaleY\(([\d.]+)/.exec(bar.style.transform)?.[1] ?? 0) > 0.1)), 'the level moves');
  await page.click('#recorder-done');
  await page.waitForSelector('.tray-audio');
}

for (const [device, size] of [['phone', PHONE], ['desk', DESK]]) {
  test(`picture and voice there and back on a ${device}`, async () => {
    const name = `Ece ${device}`;
    const agent = await signIn(await env.newContext(size), env.server);
    const visitor = await visit(await env.newContext({ ...size, colorScheme: device === 'phone' ? 'light' : 'dark' }), name);
    assert.equal(await visitor.locator('#shoot').isVisible(), device === 'phone', 'a camera on phones');
    assert.equal(await visitor.getAttribute('#camera', 'capture'), 'environment');

    // A picture with a caption: preview before sending, thumbnail in the conversation, full size on a click.
    await visitor.setInputFiles('#pick', await draw(visitor, `deniz-${device}.jpg`, 4000, 3000));
    await visitor.waitForSelector('.tray-image img');
    await say(visitor, 'Ürün böyle geldi');
    await settled(visitor);
    await loaded(visitor);
    await openThread(agent, name);
    await loaded(agent);
    assert.equal(await media(agent, 'image').locator('.caption').textContent(), 'Ürün böyle geldi');
    const small = await media(agent, 'image').locator('img').getAttribute('src');
    assert.match(small, /\/uploads\/thumbs\//);
    await media(agent, 'image').locator('.picture').click();
    const large = agent.locator('#viewer-picture');
    await eventually(async () => assert.equal(await large.evaluate((img) => img.naturalWidth), 2560), 'the whole picture, shrunk before it was sent');
    await agent.keyboard.press('Escape');
    assert.ok(await agent.locator('#viewer').isHidden());
    assert.ok(await media(agent, 'image').locator('.picture').evaluate((node) => node === document.activeElement), 'the focus is back');

    // A voice message: recorded, previewed, sent, and played on the other side.
    await speak(visitor);
    await visitor.click('#send');
    await settled(visitor);
    await media(agent, 'audio').waitFor();
    const time = media(agent, 'audio').locator('.player-time');
    await eventually(async () => assert.match(await time.textContent(), /0:0[1-9]/), 'its length is known');
    await media(agent, 'audio').locator('.player-button').click();
    await eventually(async () => assert.ok(Number(await media(agent, 'audio').locator('.scrub').inputValue()) > 0), 'it plays');

    // And in the other direction.
    await agent.setInputFiles('#pick', await draw(agent, `cevap-${device}.png`, 600, 800, 'image/png'));
    await agent.waitForSelector('.tray-image');
    await agent.click('#send');
    await eventually(async () => assert.equal(await media(visitor, 'image').count(), 2), 'the agent\'s picture');
    await loaded(visitor);
    await speak(agent);
    await say(agent, 'Anlattım');
    await eventually(async () => assert.equal(await media(visitor, 'audio').count(), 2), 'the agent\'s voice');

    // After a reload all files are shown from the server.
    await visitor.reload();
    await connected(visitor);
    await eventually(async () => assert.equal(await media(visitor, 'image').count() + await media(visitor, 'audio').count(), 4), 'four files');
    await loaded(visitor, 0);
    for (const page of [visitor, agent]) assert.ok(await fits(page), 'no sideways scrolling');
    if (device === 'phone') {
      await visitor.setViewportSize({ width: 380, height: 760 });
      const outside = await visitor.locator('.message img').evaluateAll((images) => images.filter((image) => {
        const [inner, outer] = [image, image.closest('.bubble')].map((node) => node.getBoundingClientRect());
        return inner.left < outer.left || inner.right > outer.right || inner.top < outer.top || inner.bottom > outer.bottom;
      }).length);
      assert.equal(outside, 0, 'pictures outside their bubbles');
    }

    // When the agent deletes the conversation, its files are deleted too.
    const address = await media(visitor, 'image').first().locator('img').getAttribute('src');
    assert.equal((await fetch(address)).status, 200);
    await removeThread(agent);
    await eventually(async () => assert.equal((await fetch(address)).status, 404), 'the file is gone');
    await visitor.context().close();
    await agent.context().close();
  });
}

test('documents, pasting and dropping', async () => {
  const agent = await signIn(await env.newContext(), env.server);
  const visitor = await visit(await env.newContext(), 'Deniz');
  const pdf = path.join(dir, 'Fatura 2026-11.pdf');
  writeFileSync(pdf, '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');
  await visitor.setInputFiles('#pick', pdf);
  await visitor.waitForSelector('.tray-file');
  await visitor.click('#send');
  await openThread(agent, 'Deniz');
  const row = media(agent, 'file').locator('a.attachment');
  assert.equal(await row.locator('b').textContent(), 'Fatura 2026-11.pdf');
  assert.match(await row.locator('.paper-size').textContent(), /^PDF · 1 KB$/);
  const [download] = await Promise.all([agent.waitForEvent('download'), row.click()]);
  assert.equal(download.suggestedFilename(), 'Fatura 2026-11.pdf');

  // Pasting from the clipboard, and drag and drop.
  for (const kind of ['paste', 'drop']) {
    await visitor.evaluate(async (how) => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 80, height: 60 });
      canvas.getContext('2d').fillRect(0, 0, 40, 60);
      const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
      const data = new DataTransfer();
      data.items.add(new File([blob], `${how}.png`, { type: 'image/png' }));
      const place = how === 'paste' ? document.getElementById('text') : document.getElementById('conversation');
      const event = how === 'paste'
        ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
        : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
      if (how === 'drop') place.dispatchEvent(new DragEvent('dragenter', { dataTransfer: data, bubbles: true }));
      place.dispatchEvent(event);
    }, kind);
    await visitor.waitForSelector('.tray-image');
    assert.ok(await visitor.locator('#drop').isHidden());
    await visitor.click('#send');
    await settled(visitor);
  }
  await eventually(async () => assert.equal(await media(agent, 'image').count(), 2), 'both pictures');

  // Removing an attachment; files that cannot be sent are refused at once.
  await visitor.setInputFiles('#pick', pdf);
  await visitor.click('.tray-remove');
  assert.ok(await visitor.locator('#tray').isHidden());
  await visitor.setInputFiles('#pick', { name: 'film.mov', mimeType: 'video/quicktime', buffer: Buffer.from('MZ\x90\0\0') });
  await eventually(async () => assert.match(await visitor.textContent('#composer-problem'), /“film\.mov” gönderilemiyor: bu bir program\./));
  await visitor.setInputFiles('#pick', { name: 'x.zip', mimeType: 'application/zip', buffer: Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(11 * 1024 * 1024)]) });
  await eventually(async () => assert.match(await visitor.textContent('#composer-problem'), /10 MB/));
  // A file that only the server detects as invalid: the message shows why, and can be removed.
  await visitor.setInputFiles('#pick', { name: 'x.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4\n\0') });
  await visitor.click('#send');
  await visitor.waitForSelector('.message[data-state=failed]');
  assert.match(await visitor.textContent('.failure'), /bu tür bir dosya gönderilemiyor/);
  await visitor.click('.failure .drop');
  await eventually(async () => assert.equal(await visitor.locator('.message[data-state=failed]').count(), 0), 'taken away');
});

test('the kind of a file depends on its content, not on its name and type', async () => {
  const agent = await signIn(await env.newContext(), env.server);
  const visitor = await visit(await env.newContext(), 'İçerik');
  const shared = (name) => readFileSync(new URL(`../../../shared/cases/${name}`, import.meta.url));
  const send = async (file, kind) => {
    const before = await media(agent, kind).count();
    await visitor.setInputFiles('#pick', { mimeType: '', ...file });
    await visitor.waitForSelector('.tray-item');
    await visitor.click('#send');
    await settled(visitor);
    await eventually(async () => assert.equal(await media(agent, kind).count(), before + 1), `${file.name} arrives as ${kind}`);
    return media(agent, kind).last();
  };
  await say(visitor, 'merhaba');
  await openThread(agent, 'İçerik');

  // A photo without type and extension, and one declared as audio.
  const jpeg = readFileSync(await draw(visitor, 'a.jpg', 90, 60));
  await send({ name: 'foto', buffer: jpeg }, 'image');
  await loaded(agent);
  await send({ name: 'ses.mp3', mimeType: 'audio/mpeg', buffer: jpeg }, 'image');
  await loaded(agent);

  // A photo that this browser cannot decode is sent as a download with its name; Safari converts it to JPEG before sending.
  const heic = shared('photo.heic');
  const kept = await send({ name: 'IMG_0001.HEIC', mimeType: 'image/heic', buffer: heic }, 'file');
  assert.equal(await kept.locator('b').textContent(), 'IMG_0001.HEIC');
  await eventually(async () => assert.equal(await kept.locator('img').count(), 0), 'no broken picture');
  const [download] = await Promise.all([agent.waitForEvent('download'), kept.locator('a.attachment').click()]);
  assert.equal(download.suggestedFilename(), 'IMG_0001.HEIC');
  assert.deepEqual(readFileSync(await download.path()), heic);
  await visitor.evaluate(() => {
    const real = window.createImageBitmap;
    window.createImageBitmap = (what, ...rest) => {
      if (what.type !== 'image/heic') return real(what, ...rest);
      const canvas = Object.assign(document.createElement('canvas'), { width: 120, height: 80 });
      return real(canvas);
    };
  });
  const converted = await send({ name: 'IMG_0002.HEIC', buffer: heic }, 'image');
  await loaded(agent);
  assert.match(await converted.locator('img').getAttribute('src'), /\.jpg$/);

  // A video has a player above its download; text is accepted in any encoding.
  const film = await visitor.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
    const paint = canvas.getContext('2d');
    const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: 'video/webm' });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const stopped = new Promise((done) => { recorder.onstop = done; });
    recorder.start();
    for (let i = 0; i < 10; i++) {
      paint.fillStyle = `rgb(${i * 25} 0 0)`;
      paint.fillRect(0, 0, 64, 48);
      await new Promise((done) => { setTimeout(done, 50); });
    }
    recorder.stop();
    await stopped;
    return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
  });
  const video = await send({ name: 'kutu açılışı.webm', buffer: Buffer.from(film) }, 'file');
  await eventually(async () => assert.equal(await video.locator('video').evaluate((node) => node.controls && node.videoWidth), 64), 'the player knows the video');
  assert.equal(await video.locator('a.attachment b').textContent(), 'kutu açılışı.webm');
  const table = await send({ name: 'liste.csv', mimeType: 'application/vnd.ms-excel', buffer: shared('utf16le-bom.csv') }, 'file');
  assert.equal(await table.locator('b').textContent(), 'liste.csv');

  // An empty file, and one of unknown content, are refused with a message.
  for (const [file, says] of [[{ name: 'boş.pdf', buffer: Buffer.alloc(0) }, /“boş\.pdf” boş/], [{ name: 'x.jpg', mimeType: 'image/jpeg', buffer: Buffer.from([0, 1, 2, 3]) }, /içeriği tanınmıyor/]]) {
    await visitor.setInputFiles('#pick', { mimeType: '', ...file });
    await eventually(async () => assert.match(await visitor.textContent('#composer-problem'), says), file.name);
  }
  await visitor.context().close();
  await agent.context().close();
});

test('a recording can be cancelled', async () => {
  const visitor = await visit(await env.newContext(PHONE), 'Can');
  await visitor.click('#mic');
  await visitor.waitForSelector('#recorder:not([hidden])');
  await visitor.click('#recorder-cancel');
  await visitor.waitForSelector('#recorder', { state: 'hidden' });
  assert.ok(await visitor.locator('#tray').isHidden());
  await visitor.click('#mic');
  await visitor.waitForSelector('#recorder:not([hidden])');
  await visitor.keyboard.press('Escape');
  await visitor.waitForSelector('#recorder', { state: 'hidden' });
  assert.ok(await visitor.locator('#text').evaluate((node) => node === document.activeElement));
});

test('a file arrives once despite a killed server, a reload and a slow upload', async () => {
  const agent = await signIn(await env.newContext(), env.server);
  const context = await env.newContext(PHONE);
  const visitor = await visit(context, 'Efe');
  await say(visitor, 'önce bir yazı');
  await settled(visitor);
  await env.server.kill();
  await visitor.setInputFiles('#pick', await draw(visitor, 'kara.jpg', 900, 600));
  await visitor.waitForSelector('.tray-image');
  await say(visitor, 'sonra resim');
  await visitor.waitForSelector('.message[data-state=waiting] .picture img');
  await env.server.start();
  await connected(visitor);
  await settled(visitor);
  await openThread(agent, 'Efe');
  await shows(agent, ['önce bir yazı', 'sonra resim'], 15_000);
  await loaded(agent);

  // A hanging upload shows its progress, survives a reload, and can be cancelled.
  let hold = true;
  const held = [];
  await context.route('**/api/upload/image', (route) => { if (hold) held.push(route); else route.continue(); });
  await visitor.setInputFiles('#pick', await draw(visitor, 'ikinci.jpg', 900, 601));
  await visitor.waitForSelector('.tray-image');
  await visitor.click('#send');
  await visitor.waitForSelector('.transfer-bar');
  await visitor.reload();
  await connected(visitor);
  await visitor.waitForSelector('.own .transfer');
  await visitor.waitForSelector('.own .picture img');
  await visitor.click('.transfer-stop');
  await eventually(async () => assert.equal(await media(visitor, 'image').count(), 1), 'cancelled');

  // A failed upload succeeds when retried.
  hold = false;
  await context.unroute('**/api/upload/image');
  await context.route('**/api/upload/image', (route) => route.fulfill({ status: 507, json: { success: false, code: 'UPLOAD_FAILED' } }));
  await visitor.setInputFiles('#pick', await draw(visitor, 'ucuncu.jpg', 900, 602));
  await visitor.waitForSelector('.tray-image');
  await visitor.click('#send');
  await visitor.waitForSelector('.message[data-state=failed] .retry');
  assert.match(await visitor.textContent('.failure'), /yer yok/);
  await context.unroute('**/api/upload/image');
  await visitor.click('.retry');
  await settled(visitor);
  await eventually(async () => assert.equal(await media(agent, 'image').count(), 2), 'it arrived');
});

test('a file that is not stored by the server is shown as a link and never loaded', async () => {
  const context = await env.newContext();
  const events = await interceptEvents(context);
  const page = await visit(context, 'Bağlantılı');
  await say(page, 'merhaba');
  const thread = await eventually(async () => {
    const id = await page.evaluate(() => JSON.parse(localStorage.getItem('sohbet.visitor'))?.thread);
    assert.ok(id);
    return id;
  });
  let id = 900_000;
  const comes = async (content_type, file_url, more = {}) => {
    id++;
    events.inject('message', { id, thread_id: thread, sender_type: 'admin', content_type, content_text: '', file_url, created_at: new Date().toISOString(), ...more });
    const bubble = page.locator(`.message[data-id="${id}"] .bubble`);
    await bubble.waitFor();
    return bubble;
  };
  for (const type of ['image', 'audio', 'file']) {
    for (const url of ['https://pictures.invalid/x.png', `${env.server.url}/logout`, `${env.server.url}/uploads/../logout`]) {
      const bubble = await comes(type, url);
      assert.equal(await bubble.locator('img, .player, .attachment').count(), 0, `${type} ${url}`);
      assert.equal(await bubble.locator('a').getAttribute('rel'), 'noopener noreferrer nofollow', `${type} ${url}`);
      assert.equal((await bubble.textContent()).trim(), url);
    }
  }
  assert.equal(await (await comes('file', 'javascript:alert(1)')).locator('a').count(), 0);
  const ours = ['file', '/uploads/files/aaaaaaaaaaaaaaaaaaaaaaaaaa.pdf'];
  for (const bubble of [await comes(...ours), await comes('file', 'https://cloud.invalid/x.pdf', { file_name: 'x.pdf', file_size: 9 })]) {
    assert.equal(await bubble.locator('a.attachment').count(), 1);
  }
  await context.close();
});
