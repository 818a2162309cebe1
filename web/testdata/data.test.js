import test from 'node:test';
import assert from 'node:assert/strict';
import { perBucket } from './histogram.js';
import { functionsOf } from './summary.js';
import { heads, parseMetrics, sumOf } from './metrics-text.js';
import { merge, oldest } from './timeline-merge.js';
import { at, byNumber, layout, lowerBound, MAX_LANES, pan, ticks, visible, zoom } from './timeline-layout.js';

test('buckets', () => {
  const b = (...all) => all.map(([le_ms, count]) => ({ le_ms, count }));
  assert.deepEqual(perBucket(undefined, 0), []);
  assert.deepEqual(perBucket(b([1, 0], [2, 3], [4, 5], [8, 0]), 8).map((x) => [x.le, x.count]), [[2, 3], [4, 5]]);
  assert.deepEqual(perBucket(b([1, 2], [2, 5], [4, 9]), 9).map((x) => x.count), [2, 3, 4], 'running sums');
  assert.deepEqual(perBucket(b([1, 2], [8, 5]), 7).map((x) => [x.le, x.count]), [[1, 2], [2, 0], [4, 0], [8, 5]], 'bounds between');
  assert.deepEqual(perBucket([{ le: 1, count: 1 }, { le: null, count: 2 }], 3, 'le').map((x) => x.le), [1, Infinity]);
});

test('functions of a summary', () => {
  assert.deepEqual(functionsOf(null), []);
  const summary = { 'main.f': { func_or_class_name: 'main.f', type: 'NORMAL_TASK', state_counts: { RUNNING: 2, FINISHED: 7, PENDING_ARGS_AVAIL: 1 }, run: { p95_ms: 3 } } };
  const [f] = functionsOf({ data: { result: { result: { node_id_to_summary: { cluster: { summary } } } } } });
  assert.deepEqual([f.name, f.running, f.waiting, f.finished, f.p95, f.rate], ['main.f', 2, 1, 7, 3, undefined]);
});

test('the text of Prometheus', () => {
  const families = parseMetrics(`# HELP a_total What\\nit is.
# TYPE a_total counter
a_total{node="n1",f="x } 1"} 3
a_total{node="n2"} 4 1700000000000
# TYPE h_seconds histogram
h_seconds_bucket{le="+Inf"} 2
h_seconds_sum 1.5
h_seconds_count 2
lone 7
rubbish
`);
  assert.deepEqual(families.map((f) => [f.name, f.type, f.samples.length, sumOf(f)]), [['a_total', 'counter', 2, 7], ['h_seconds', 'histogram', 3, 2], ['lone', 'untyped', 1, 7]]);
  assert.equal(families[0].help, 'What it is.');
  assert.equal(families[0].samples[0].labels, 'node="n1",f="x } 1"');
  assert.equal(heads(families[1]).length, 2);
});

test('a timeline is laid out by node and process', () => {
  const { tracks, end, order } = layout({
    from_ms: 0, to_ms: 1,
    rows: [{ id: 'n10.p1', node_id: 'n10' }, { id: 'n2.p1', node_id: 'n2', label: 'w' }, { id: 'n2.p1#2', node_id: 'n2' }, { id: 'n2.p9', node_id: 'n2' }],
    names: ['f', 'g'], slices: [[0, 1, 0, 5], [1, 1, 0, 10], [2, 0, 5, 10], [1, 1, 10, 5], [7, 0, 0, 1]],
    spans: [{ node_id: 'n2', kind: 'spill', start_us: 3, dur_us: 4000 }],
  });
  assert.deepEqual(tracks.map((t) => [t.id, t.lanes.length]), [['n2.p1', 2], ['n2 objects', 1], ['n10.p1', 1]]);
  assert.deepEqual([...tracks[0].lanes[0].item], [1, 3]);
  assert.equal(end, 4003);
  assert.deepEqual(order, [1, 0]);
  assert.deepEqual(layout(null), { tracks: [], end: 0, order: [] });
  assert.ok(byNumber('n2', 'n10') < 0);
});

test('an older part of the timeline joins the newest', () => {
  const whole = { from_ms: 1000, to_ms: 2000, dropped: 3, rows: [{ id: 'n1.p1' }], names: ['f'], slices: [[0, 0, 500_000, 10, 'b', 'ok', 0]], spans: [{ node_id: 'n1', kind: 'spill', object_id: 'o', start_us: 5, dur_us: 1 }] };
  const part = { from_ms: 1100, to_ms: 1500, rows: [{ id: 'n2.p1' }, { id: 'n1.p1' }], names: ['g', 'f'],
    slices: [[0, 0, 7, 20, 'a', 'ok', 1], [1, 1, 400_000, 10, 'b', 'ok', 0]], spans: [{ node_id: 'n2', kind: 'spill', object_id: 'o', start_us: 5, dur_us: 1 }] };
  const all = merge(whole, part);
  assert.deepEqual(all.rows.map((r) => r.id), ['n1.p1', 'n2.p1']);
  assert.deepEqual(all.names, ['f', 'g']);
  assert.deepEqual(all.slices, [whole.slices[0], [1, 1, 100_007, 20, 'a', 'ok', 1]], 'b is there once');
  assert.deepEqual(all.spans.map((s) => s.start_us), [5, 100_005]);
  assert.deepEqual([whole.slices.length, whole.rows.length], [1, 1], 'neither is changed');
  assert.equal(oldest(whole), 500_000);
  assert.equal(oldest({}), Infinity);
});

test('many at a time share the last lane', () => {
  const slices = Array.from({ length: 50 }, (_, i) => [0, 0, i, 1000]);
  const { tracks } = layout({ rows: [{ id: 'n1.p1', node_id: 'n1' }], names: ['f'], slices });
  assert.equal(tracks[0].lanes.length, MAX_LANES);
  assert.equal(tracks[0].lanes.reduce((n, l) => n + l.start.length, 0), 50);
});

/** Slices one after the other, of random lengths and pauses. */
function lane(n, next) {
  const start = new Float64Array(n);
  const end = new Float64Array(n);
  let t = 0;
  for (let i = 0; i < n; i++) {
    t += next(50);
    start[i] = t;
    t += next(7) === 0 ? next(5000) : next(20);
    end[i] = t;
  }
  return { start, end, item: Int32Array.from({ length: n }, (_, i) => i) };
}

test('each slice in view is drawn once, by itself or among its neighbours', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let s = seed;
  const next = (most) => { s = (Math.imul(s, 1103515245) + 12345) & 0x7fffffff; return (s >> 8) % most; };
  for (let round = 0; round < 200; round++) {
    const l = lane(400, next);
    const whole = l.end[399];
    const from = next(whole);
    const view = { from, to: from + 1 + next(whole) };
    const width = 50 + next(1000);
    let drawn = 0;
    let calls = 0;
    let last = -Infinity;
    visible(l, view, width, (x, w, item, merged) => {
      assert.ok(w >= 1 && x + w > 0 && x < width + 1, `seed ${seed}`);
      assert.ok(x >= last - 1e-6, `seed ${seed}: drawn from left to right`);
      last = x;
      calls++;
      drawn += merged;
    });
    const least = l.start.filter((t, i) => t >= view.from && t < view.to).length;
    assert.ok(drawn >= least && drawn <= 400, `seed ${seed}: drew ${drawn} of at least ${least}`);
    assert.ok(calls <= 2 * width + 2, `seed ${seed}: ${calls} calls for ${width} pixels`);
  }
});

test('a million slices cost what the pixels cost', () => {
  const n = 1_000_000;
  const l = { start: Float64Array.from({ length: n }, (_, i) => i * 10), end: Float64Array.from({ length: n }, (_, i) => i * 10 + 9), item: new Int32Array(n) };
  let calls = 0;
  let drawn = 0;
  visible(l, { from: 0, to: n * 10 }, 1000, (x, w, item, merged) => { calls++; drawn += merged; });
  assert.equal(calls, 1000);
  assert.equal(drawn, n);
});

test('what is pointed at', () => {
  const l = { start: Float64Array.of(0, 10, 30), end: Float64Array.of(5, 20, 31), item: Int32Array.of(0, 1, 2) };
  assert.deepEqual([at(l, 3, 0), at(l, 7, 0), at(l, 7, 2), at(l, 15, 0), at(l, 31, 0), at(l, 99, 1)], [0, -1, 0, 1, 2, -1]);
  assert.equal(lowerBound(l.start, 10), 1);
});

test('zoom keeps what is under the pointer, and stays within', () => {
  const v = zoom({ from: 0, to: 1000 }, 0.5, 250, 1000);
  assert.deepEqual(v, { from: 125, to: 625 });
  const out = zoom(v, 1000, 300, 1000);
  assert.ok(out.from <= 0 && out.from >= -25 && out.to >= 1000 && out.to <= 1030, JSON.stringify(out));
  assert.ok(zoom(v, 1e-9, 300, 1000).to - zoom(v, 1e-9, 300, 1000).from >= 1.99);
  assert.ok(pan(v, 1e9, 1000).to <= 1010.1);
  assert.ok(pan(v, -1e9, 1000).from >= -10.1);
});

test('round marks', () => {
  assert.deepEqual(ticks({ from: 0, to: 1000 }, 500), { step: 200, at: [0, 200, 400, 600, 800, 1000] });
  assert.ok(ticks({ from: 0, to: 1e12 }, 10).at.length <= 200);
});
