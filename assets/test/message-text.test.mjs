// Links and large emoji in messages, patterns of hidden pages, placeholders in canned replies. Runs in Node, because the modules
// use the document only to make elements.
import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.location = new URL('https://sohbet.example/');
globalThis.document = { documentElement: { lang: 'tr' }, getElementById: () => null, querySelector: () => null, createElement: (tag) => ({ tag, dataset: {}, setAttribute() {}, append(...parts) { this.text = parts.join(''); } }) };
const { emojiOnly, linked } = await import('../static/js/lib/message-text.js');
const { hiddenOn } = await import('../static/js/loader/navigation.js');
const { filled } = await import('../static/js/console/canned-replies.js');

/** Renders nodes as "text [shown](href) text". */
const shown = (text) => linked(text).map((node) => (typeof node === 'string' ? node : `[${node.text}](${node.href})`)).join('');

for (const [text, want] of [
  ['bkz. https://example.com/a?b=c#d.', 'bkz. [https://example.com/a?b=c#d](https://example.com/a?b=c#d).'],
  ['(https://tr.wikipedia.org/wiki/Çay_(içecek))', '([https://tr.wikipedia.org/wiki/Çay_(içecek)](https://tr.wikipedia.org/wiki/%C3%87ay_(i%C3%A7ecek)))'],
  ['HTTP://EXAMPLE.COM!', '[HTTP://EXAMPLE.COM](http://example.com/)!'],
  ['"https://example.com/<b>"', '"[https://example.com/](https://example.com/)<b>"'],
  ['example.com, example.com.tr/yol ve www.müzik.istanbul', '[example.com](https://example.com/), [example.com.tr/yol](https://example.com.tr/yol) ve [www.müzik.istanbul](https://www.xn--mzik-0ra.istanbul/)'],
  ['localhost:3000 ve example.com:8080/x', 'localhost:3000 ve [example.com:8080/x](https://example.com:8080/x)'],
  ['ali.veli@example.com yazın', '[ali.veli@example.com](mailto:ali.veli@example.com) yazın'],
  ['mailto:a@b.co?subject=x', '[mailto:a@b.co](mailto:a@b.co)?subject=x'],
  ['0532 123 45 67 / +90 (532) 123-45-67', '[0532 123 45 67](tel:05321234567) / [+90 (532) 123-45-67](tel:+905321234567)'],
  ['+1 212 555 0100.', '[+1 212 555 0100](tel:+12125550100).'],
  ['a@b.co,c@d.co', '[a@b.co](mailto:a@b.co),[c@d.co](mailto:c@d.co)'],
  ['05321234567,05321234568', '[05321234567](tel:05321234567),[05321234568](tel:05321234568)'],
  ['https://example.com/a).', '[https://example.com/a](https://example.com/a)).'],
  ['example.com...', '[example.com](https://example.com/)...'],
  // No links in these.
  ['tamam.teşekkürler', null], ['rapor.pdf', null], ['merhaba.comu', null], ['3.14 ve 12.05.2026', null], ['1.000.000', null], ['a@b', null], ['@kullanici', null],
  ['javascript:alert(1)', null], ['data:text/html,<b>', null], ['file:///etc/passwd', null], ['https://', null], ['00000000000', null], ['sipariş 48213', null],
  ['5321234567890123456789', null], ['example.comx', null], ['index.html', null], ['x.com.pdf', null], ['-example.com', null], ['a..com', null], ['a@b@c.com', null], ['@example.com', null], ['05321234567a.com', '[05321234567a.com](https://05321234567a.com/)'],
  [`https://${'a'.repeat(254)}/`, null],
]) test(`links in ${text.slice(0, 60)}`, () => assert.equal(shown(text), want ?? text));

test('a message has at most a hundred links', () => {
  const text = 'x.co '.repeat(2_000);
  const nodes = linked(text);
  assert.equal(nodes.filter((node) => node.href).length, 100);
  assert.equal(nodes.map((node) => node.text ?? node).join(''), text);
});

test('splitting a text into links loses nothing', () => {
  for (const text of ['w'.repeat(10_000), 'a.'.repeat(5_000), 'a@'.repeat(5_000), '+9'.repeat(5_000), '0 '.repeat(5_000), 'www.'.repeat(2_500), `https://${'('.repeat(9_000)}`, ')'.repeat(10_000), 'a-'.repeat(5_000)]) {
    assert.equal(linked(text).map((node) => node.text ?? node).join(''), text);
  }
});

for (const [text, want] of [
  ['👍', true], ['👍🏽', true], ['👨‍👩‍👧‍👦', true], ['🇹🇷', true], ['❤️', true], ['😀 😀\n😀', true], ['1️⃣', true], ['🏴󠁧󠁢󠁥󠁮󠁧󠁿', true],
  ['', false], ['1', false], ['#', false], ['©', false], ['tamam 👍', false], ['👍'.repeat(7), false], ['👍'.repeat(5_000), false], [' ', false], [`${'👍'.repeat(6)}a`, false], ['👍\u0301', false], ['👩‍❤️‍👨 🏳️‍🌈 👍', true], ['🇹🇷🇩🇪🇫🇷🇬🇧🇮🇹🇪🇸', true], ['👨‍👩‍👧‍👦'.repeat(2), true],
]) test(`${JSON.stringify(text).slice(0, 40)} is ${want ? '' : 'not '}shown large`, () => assert.equal(emojiOnly(text), want));

for (const [patterns, path, want] of [
  ['/checkout', '/checkout', true], ['/checkout', '/checkout/2', false], ['/account/*', '/account/', true], ['/account/*', '/account', false], ['/a , /b*', '/bc', true],
  ['*', '/', true], ['*/end', '/x/end', true], ['*/end', '/x/end/', false], ['/a*a', '/a', false], ['/a*b*c', '/a-b-c', true], ['/a*b*c', '/a-c-b', false], ['/*.(x)', '/1.(x)', true],
  ['', '/', false], [undefined, '/', false],
]) test(`the widget is ${want ? '' : 'not '}hidden at ${path} by ${patterns}`, () => assert.equal(hiddenOn(patterns, path), want));

test('a visitor’s name is inserted literally into a canned reply', () => assert.equal(filled('Merhaba {name}! {name}?', { name: '$& $`' }), 'Merhaba $& $`! $& $`?'));
