'use strict';
// Where things are on the timeline: tracks of lanes of slices that don't overlap, what of
// them is in sight, and how zooming moves the view. Times are microseconds. Pure.

/**
 * @typedef {{start: Float64Array, end: Float64Array, item: Int32Array}} Lane item is an index of the answer's slices, or of its spans
 * @typedef {{id: string, label: string, node: string, spans: boolean, lanes: Lane[]}} Track
 * @typedef {{from: number, to: number}} View
 */

export const MAX_LANES = 6;

/**
 * Tracks of an answer of the timeline: first a node's workers, then its transfers.
 * @returns {{tracks: Track[], end: number, order: number[]}} order: names by how often they occur
 */
export function layout(data) {
  const rows = data?.rows ?? [];
  const slices = data?.slices ?? [];
  const spans = data?.spans ?? [];
  const process = rows.map((r) => String(r.id).replace(/#\d+$/, '')); // n1.p3#2 is a part of n1.p3
  const byProcess = new Map();
  for (const id of process) byProcess.set(id, []);
  const often = new Map();
  let end = 0;
  slices.forEach(([row, name, start, dur], i) => {
    byProcess.get(process[row])?.push({ start, end: start + Math.max(0, dur), item: i });
    often.set(name, (often.get(name) ?? 0) + 1);
    end = Math.max(end, start + dur);
  });
  const byNode = new Map();
  spans.forEach((s, i) => {
    if (!byNode.has(s.node_id)) byNode.set(s.node_id, []);
    byNode.get(s.node_id).push({ start: s.start_us, end: s.start_us + Math.max(0, s.dur_us), item: i });
    end = Math.max(end, s.start_us + s.dur_us);
  });
  const nodes = [...new Set([...rows.map((r) => r.node_id), ...byNode.keys()])].sort(byNumber);
  const tracks = [];
  for (const node of nodes) {
    const own = new Map();
    rows.forEach((r, i) => { if (r.node_id === node && byProcess.get(process[i]).length && !own.has(process[i])) own.set(process[i], r.label || r.id); });
    for (const [id, label] of [...own].sort((a, b) => byNumber(a[0], b[0]))) tracks.push({ id, label, node, spans: false, lanes: lanesOf(byProcess.get(id)) });
    if (byNode.has(node)) tracks.push({ id: node + ' objects', label: 'objects', node, spans: true, lanes: lanesOf(byNode.get(node)) });
  }
  const order = [...often].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  return { tracks, end: Math.max(end, ((data?.to_ms ?? 0) - (data?.from_ms ?? 0)) * 1000), order };
}

/** n2 before n10. */
export function byNumber(a, b) { return String(a).localeCompare(String(b), 'en', { numeric: true }); }

/** Slices put into as few lanes as they need, the first that is free; too many share the last. */
function lanesOf(all) {
  all.sort((a, b) => a.start - b.start || b.end - a.end);
  const lanes = [];
  const free = [];
  for (const s of all) {
    let k = free.findIndex((t) => t <= s.start);
    if (k < 0) k = Math.min(free.length, MAX_LANES - 1);
    free[k] = Math.max(free[k] ?? 0, s.end);
    (lanes[k] ??= []).push(s);
  }
  return lanes.map((l) => ({
    start: Float64Array.from(l, (s) => s.start), end: Float64Array.from(l, (s) => s.end), item: Int32Array.from(l, (s) => s.item),
  }));
}

/** The first index whose value is at least t. */
export function lowerBound(values, t) {
  let lo = 0;
  let hi = values.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (values[mid] < t) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/**
 * Calls draw for what of a lane is in view. Slices narrower than a pixel that follow each
 * other in one are drawn as one: the work depends on the pixels, not on the slices.
 * @param {Lane} lane
 * @param {View} view
 * @param {number} width of the view in pixels
 * @param {(x: number, w: number, item: number, merged: number) => void} draw
 */
export function visible(lane, view, width, draw) {
  const scale = width / (view.to - view.from);
  const n = lane.start.length;
  let i = Math.max(0, lowerBound(lane.start, view.from) - 1);
  while (i < n && lane.start[i] < view.to) {
    const x = (lane.start[i] - view.from) * scale;
    const w = (lane.end[i] - lane.start[i]) * scale;
    if (w >= 1) {
      if (x + w > 0) draw(x, w, lane.item[i], 1);
      i++;
      continue;
    }
    const pixel = Math.floor(x);
    const next = lowerBound(lane.start, view.from + (pixel + 1) / scale);
    let last = Math.max(next, i + 1);
    if (last > i + 1 && (lane.end[last - 1] - lane.start[last - 1]) * scale >= 1) last--; // a wide one begins in this pixel
    if (pixel >= 0) draw(pixel, 1, lane.item[i], last - i);
    i = last;
  }
}

/** The index in a lane of what is at t, give or take slack; -1: nothing. */
export function at(lane, t, slack) {
  const i = lowerBound(lane.start, t + 1e-9);
  for (const k of [i - 1, i, i - 2]) {
    if (k >= 0 && k < lane.start.length && lane.start[k] - slack <= t && t <= lane.end[k] + slack) return k;
  }
  return -1;
}

const NARROWEST = 2; // µs in sight

/** Zooms by a factor (below 1: in) about a time, within all there is. */
export function zoom(view, factor, about, end) {
  const span = Math.min(Math.max((view.to - view.from) * factor, NARROWEST), end * 1.02 + NARROWEST);
  const share = (about - view.from) / (view.to - view.from);
  return within({ from: about - share * span, to: about + (1 - share) * span }, end);
}

export function pan(view, by, end) { return within({ from: view.from + by, to: view.to + by }, end); }

function within(view, end) {
  const span = view.to - view.from;
  const room = Math.max(span * 0.02, 0);
  const from = Math.max(-room, Math.min(view.from, Math.max(-room, end + room - span)));
  return { from, to: from + span };
}

/** Marks of the ruler: round times, about a hundred pixels apart. */
export function ticks(view, width) {
  const least = (view.to - view.from) * 100 / Math.max(width, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= least) ?? least;
  const out = [];
  for (let t = Math.ceil(view.from / step) * step; t <= view.to && out.length < 200; t += step) out.push(Math.round(t / step) * step);
  return { step, at: out };
}
