import test from 'node:test';
import assert from 'node:assert/strict';
import { ago, bytes, compact, count, cut, duration, percent, plain, resources, shortName, time, value } from './format.js';
import { runs, settled, State, strip } from './ansi.js';

test('what is missing is a dash', () => {
  for (const f of [ago, bytes, compact, count, duration, time, value]) {
    for (const v of [undefined, null, NaN, Infinity, '7']) assert.equal(f(v), '–', `${f.name}(${v})`);
  }
  assert.equal(percent(1, 0), '–');
  assert.equal(resources(undefined), '–');
});

test('numbers', () => {
  const cases = [
    [count(1234567), '1,234,567'], [compact(4501), '4,501'], [compact(12345), '12.3k'], [compact(4.1e6), '4.1M'], [compact(0.5), '0.5'],
    [bytes(0), '0 B'], [bytes(1536), '1.5 KiB'], [bytes(3.2 * 2 ** 30), '3.2 GiB'], [value(0.00012), '1.20e-4'], [value(0.41139), '0.4114'], [value(18234.6), '18,235'],
    [duration(0), '0'], [duration(0.0005), '500 ns'], [duration(0.83), '830 µs'], [duration(12.34), '12.3 ms'], [duration(1520), '1.52 s'],
    [duration(119_000), '1 m 59 s'], [duration(7_500_000), '2 h 5 m'], [duration(-5), '-5 ms'], [percent(1, 3), '33 %'],
    [ago(1000, 1500), 'now'], [ago(1000, 31_000), '30 s ago'], [ago(1, 3 * 3600_000 + 1), '3 h ago'], [ago(0), '–'],
    [resources({ CPU: 2, memory: 2 ** 30, 'node:10.0.0.1': 1 }), 'CPU 2, memory 1 GiB'],
  ];
  for (const [got, want] of cases) assert.equal(got, want);
});

test('names', () => {
  assert.equal(shortName('github.com/acme/pipeline/stages.Decode'), 'stages.Decode');
  assert.equal(shortName('main.train[github.com/acme/model.Config]'), 'main.train[github.com/acme/model.Config]');
  assert.equal(shortName(null), '');
  assert.equal(cut('x'.repeat(10), 4), 'xxxx… 6 more');
  assert.equal(plain('a\u001b[1;31mb\u001b[2J\u202ec\u0000\n\t'), 'ab\ufffd[2J\ufffdc\ufffd\n\t');
});

const parse = (line, state = new State()) => runs(line, state).map((r) => [r.text, r.style]);

test('colours of a terminal', () => {
  assert.deepEqual(parse('plain'), [['plain', '']]);
  assert.deepEqual(parse('\u001b[1;31mred\u001b[0m.'), [['red', 'ansi-bold ansi-fg1'], ['.', '']]);
  assert.deepEqual(parse('\u001b[38;5;9mx\u001b[38;2;1;2;3my\u001b[39mz'), [['x', 'ansi-fg9'], ['y', 'ansi-fg9'], ['z', '']]);
  assert.deepEqual(parse('\u001b[97;44mx'), [['x', 'ansi-fg15 ansi-bg4']]);
  const state = new State();
  parse('\u001b[32mon', state);
  assert.deepEqual(parse('still', state), [['still', 'ansi-fg2']]);
});

test('other escapes go', () => {
  const hostile = '\u001b[2J\u001b]0;title\u0007a\u001b]8;;http://x\u001b\\b\u001bPq#0\u001b\\c\u001b(B\u0008\u202ed\u001b[?25h\u009b31me\u001b';
  assert.equal(parse(hostile).map(([t]) => t).join(''), 'abcd31me');
  assert.equal(strip(hostile), 'abcd31me');
  assert.deepEqual(parse('\u001b[m'.repeat(1000)), []);
});

test('no text gets lost or made up', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let n = seed;
  const next = (most) => { n = (Math.imul(n, 1103515245) + 12345) & 0x7fffffff; return n % most; };
  const parts = ['\u001b', '[', ']', '3', '1', ';', 'm', 'K', 'x', '<b>', '\u0007', '\\', 'P', '\r', '\u009d', 'é', '\ud800'];
  for (let i = 0; i < 3000; i++) {
    const line = Array.from({ length: next(40) }, () => parts[next(parts.length)]).join('');
    const got = runs(line, new State());
    const text = got.map((r) => r.text).join('');
    assert.equal(text, strip(line), `seed ${seed}`);
    assert.ok(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(text), `seed ${seed}: ${JSON.stringify(line)} left ${JSON.stringify(text)}`);
    assert.ok(got.every((r) => /^(ansi-[a-z0-9]+( |$))*$/.test(r.style)), `seed ${seed}`);
  }
});

test('a carriage return overwrites', () => {
  assert.equal(settled('10%\r50%\r100%'), '100%');
  assert.equal(settled('done\r'), 'done');
});
