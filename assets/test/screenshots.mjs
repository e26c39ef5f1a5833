// `make screenshots`: pictures of every page and state, phone and desktop, light and dark, into ./screenshots (SHOTS names
// another folder). Arguments select scenes by parts of their names: `make screenshots SCENES="console widget"`. Nothing is
// asserted; the pictures are for people to look at.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DESK, startEnv, PHONE } from './harness.mjs';
import { scenes } from './screenshot-scenes.mjs';
import { Site } from './host-site.mjs';

const out = path.resolve(process.env.SHOTS ?? 'screenshots');
const wanted = process.argv.slice(2);
/** All pictures are taken of one server; the surnames make the visitors' names unique. */
const FAMILY = { 'phone light': 'Aydın', 'phone dark': 'Kaya', 'desk light': 'Yılmaz', 'desk dark': 'Demir' };
mkdirSync(out, { recursive: true });

const site = await new Site('localhost').start(); // a site that embeds the chat
const env = await startEnv({ AGENT_NAME: 'Elif', CORS_ORIGINS: site.url });
let failed = 0;
try {
  for (const [device, size] of [['phone', PHONE], ['desk', DESK]]) {
    for (const scheme of ['light', 'dark']) {
      for (const [name, scene] of Object.entries(scenes)) {
        if (wanted.length && !wanted.some((part) => name.includes(part))) continue;
        const contexts = [];
        const newContext = async (options = {}) => {
          const context = await env.newContext({ ...size, colorScheme: scheme, ...options });
          contexts.push(context);
          return context;
        };
        /** Takes a picture of a page; `part` distinguishes several pictures of a scene. */
        const shoot = async (page, part = '') => {
          await page.waitForTimeout(350); // until animations have finished
          await page.screenshot({ path: path.join(out, `${name}${part && `-${part}`}.${device}.${scheme}.png`) });
        };
        try {
          await scene({ env, site, newContext, shoot, device, scheme, unique: FAMILY[`${device} ${scheme}`] });
          console.log(`${name}.${device}.${scheme}`);
        } catch (error) {
          failed += 1;
          console.error(`${name}.${device}.${scheme}: ${error.message.split('\n')[0]}`);
        } finally {
          for (const context of contexts) await context.close();
        }
      }
    }
  }
} finally {
  await env.browser.close();
  await env.server.kill('SIGTERM');
  await site.stop();
}
process.exitCode = failed ? 1 : 0;
