import test from 'node:test';
import assert from 'node:assert/strict';
import { Lines, follow } from './log.js';

test('lines come in any pieces', () => {
  const whole = 'one\ntwo\r\n10%\r20%\n\nlast';
  const want = ['one', 'two', '20%', '', 'last'];
  for (let size = 1; size < whole.length; size++) {
    const l = new Lines();
    for (let i = 0; i < whole.length; i += size) l.add(whole.slice(i, i + size));
    assert.deepEqual(l.lines().map((x) => x.text), want, `pieces of ${size}`);
  }
});

test('much text takes bounded room, and what is missing is counted', () => {
  const l = new Lines();
  for (let i = 0; i < 50_000; i++) l.add(`line ${i}\n`);
  assert.ok(l.all.length <= 22_000);
  assert.equal(l.all.length + l.dropped, 50_000);
  assert.equal(l.lines().at(-1).text, 'line 49999');
  for (let i = 0; i < 100; i++) l.add('x'.repeat(100_000));
  assert.ok(l.open.length <= 64_000);
  l.add('\n');
  const long = l.lines().at(-1);
  assert.equal(long.text.length + long.more, 10_000_000);
});

/** An answer of these pieces, the last of which is an Error if it breaks. */
function answer(...pieces) {
  const body = new ReadableStream({
    pull(c) {
      const next = pieces.shift();
      if (next instanceof Error) c.error(next);
      else if (next === undefined) c.close();
      else c.enqueue(new TextEncoder().encode(next));
    },
  });
  return new Response(body);
}

test('a log that breaks is read anew, one that ends is not', async (t) => {
  t.mock.method(globalThis, 'setTimeout', (f) => setImmediate(f));
  const answers = [answer('one\ntw', new Error('gone')), new Response('no such process', { status: 404 }), answer('one\ntwo\n'), answer('too many')];
  const asked = t.mock.method(globalThis, 'fetch', async () => answers.shift());
  const lines = new Lines();
  const said = [];
  await follow('log', new AbortController().signal, lines, (error) => { if (said.at(-1) !== error) said.push(error); });
  assert.equal(asked.mock.callCount(), 3);
  assert.deepEqual(lines.lines().map((l) => l.text), ['one', 'two'], 'nothing is there twice');
  assert.deepEqual(said, ['', 'gone', 'no such process', '']);
});
