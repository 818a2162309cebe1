import test from 'node:test';
import assert from 'node:assert/strict';
import { Lines } from './log.js';

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
