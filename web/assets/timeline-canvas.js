'use strict';
// Draws the timeline: a ruler, a track a worker, slices in the colours of their functions.
import { visible, ticks } from './timeline-layout.js';
import { colour } from './charts.js';
import { duration, shortName, plain } from './format.js';

export const RULER = 24;
const LANE = 18;
const GAP = 4;
const NODE = 20; // a node's heading

/** Rows of the canvas from top to bottom, with the heading of each node. */
export function place(tracks) {
  let y = 0;
  let node = null;
  const rows = [];
  for (const t of tracks) {
    if (t.node !== node) {
      node = t.node;
      rows.push({ heading: node, y, height: NODE });
      y += NODE;
    }
    const height = t.lanes.length * LANE + GAP;
    rows.push({ track: t, y, height });
    y += height;
  }
  return { rows, height: y };
}

/** The row and lane at a height; y counts from the first row. */
export function rowAt(placed, y) {
  const row = placed.rows.find((r) => y >= r.y && y < r.y + r.height);
  if (!row?.track) return null;
  return { row, lane: row.track.lanes[Math.floor((y - row.y - GAP / 2) / LANE)] ?? null };
}

export const GUTTER = (width) => (width < 600 ? 74 : 170);

/** Colours of the page, read once a drawing. */
function colours() {
  const all = {};
  for (const name of ['bg', 'panel', 'text', 'muted', 'grid', 'border', 'bad', 'accent', 'wait', 'on']) all[name] = colour('--' + name);
  all.of = Array.from({ length: 8 }, (_, i) => colour(`--c${i + 1}`));
  return all;
}

/**
 * @param {CanvasRenderingContext2D} g
 * @param {object} scene placed, data, view, top, width, height, tint (name → colour), dim (name → bool), hover and chosen ({track, item}|null)
 */
export function draw(g, scene) {
  const { placed, view, top, width, height } = scene;
  const c = colours();
  const left = GUTTER(width);
  const across = width - left;
  g.clearRect(0, 0, width, height);
  g.fillStyle = c.panel;
  g.fillRect(0, 0, width, height);
  const marks = ticks(view, across);
  const x = (t) => left + (t - view.from) * across / (view.to - view.from);
  const font = getComputedStyle(document.body).fontFamily;
  g.font = `11px ${font}`;
  g.textBaseline = 'middle';

  g.strokeStyle = c.grid;
  g.beginPath();
  for (const t of marks.at) {
    const at = Math.round(x(t)) + 0.5;
    if (at > left) { g.moveTo(at, RULER); g.lineTo(at, height); }
  }
  g.stroke();

  g.save();
  g.beginPath();
  g.rect(0, RULER, width, height - RULER);
  g.clip();
  for (const row of placed.rows) {
    const y = RULER + row.y - top;
    if (y + row.height < RULER || y > height) continue;
    if (row.heading) heading(g, c, row, y, width);
    else track(g, c, scene, row, y, left, across);
  }
  g.restore();
  ruler(g, c, marks, x, left, width, view);
}

function heading(g, c, row, y, width) {
  g.fillStyle = c.bg;
  g.fillRect(0, y, width, row.height);
  g.fillStyle = c.text;
  g.textAlign = 'left';
  g.font = g.font.replace(/^(600 )?/, '600 ');
  g.fillText('node ' + row.heading, 8, y + row.height / 2);
  g.font = g.font.replace(/^600 /, '');
}

function track(g, c, scene, row, y, left, across) {
  const { view, data, tint, dim, hover, chosen } = scene;
  g.save();
  g.beginPath();
  g.rect(left, y, across, row.height);
  g.clip();
  row.track.lanes.forEach((lane, k) => {
    const top = y + GAP / 2 + k * LANE;
    visible(lane, view, across, (x, w, item, merged) => {
      const slice = row.track.spans ? null : data.slices[item];
      const failed = slice && isBad(slice[5]);
      const faint = slice ? dim(slice[1]) : dim(null);
      g.globalAlpha = faint ? 0.18 : merged > 1 ? 0.75 : 1;
      g.fillStyle = slice ? (failed ? c.bad : tint(slice[1], c.of)) : c.muted;
      const gap = w > 3 ? 0.5 : 0;
      g.fillRect(left + x, top + 1, Math.max(1, w - gap), LANE - 2);
      if (w > 34) text(g, c, slice ? shortName(plain(data.names[slice[1]])) : `${data.spans[item].kind} ${duration(data.spans[item].dur_us / 1000)}`, left + Math.max(0, x), top, Math.min(w, across - x) + Math.min(0, x));
      g.globalAlpha = 1;
    });
    for (const [mark, stroke] of [[hover, c.text], [chosen, c.accent]]) {
      if (mark && mark.track === row.track && mark.lane === lane) outline(g, c, scene, mark, lane, left, across, top, stroke);
    }
  });
  g.restore();
  g.fillStyle = c.panel;
  g.fillRect(0, y, left, row.height);
  g.fillStyle = c.muted;
  g.textAlign = 'left';
  fit(g, plain(row.track.spans ? 'objects' : row.track.label), 16, y + GAP / 2 + LANE / 2, left - 22);
  g.strokeStyle = c.grid;
  g.beginPath();
  g.moveTo(0, y + row.height - 0.5);
  g.lineTo(left + across, y + row.height - 0.5);
  g.stroke();
}

/** What a slice ended as, if not well. */
export function isBad(outcome) { return !/^(|0|ok|finished|running|undefined|null)$/i.test(String(outcome)); }

/** A slice that is pointed at, with its wait before it. */
function outline(g, c, scene, mark, lane, left, across, top, stroke) {
  const { view, data } = scene;
  const scale = across / (view.to - view.from);
  const i = mark.index;
  const x = left + (lane.start[i] - view.from) * scale;
  const w = Math.max(2, (lane.end[i] - lane.start[i]) * scale);
  const wait = mark.track.spans ? 0 : data.slices[lane.item[i]][6] ?? 0;
  if (wait > 0) {
    g.strokeStyle = c.wait;
    g.lineWidth = 2;
    g.setLineDash([3, 3]);
    g.beginPath();
    g.moveTo(Math.max(left, x - wait * scale), top + LANE / 2);
    g.lineTo(x, top + LANE / 2);
    g.stroke();
    g.setLineDash([]);
  }
  g.strokeStyle = stroke;
  g.lineWidth = 2;
  g.strokeRect(x, top + 1, w, LANE - 2);
  g.lineWidth = 1;
}

function text(g, c, s, x, y, w) {
  if (w < 30) return;
  g.fillStyle = c.on;
  g.textAlign = 'left';
  fit(g, s, x + 4, y + LANE / 2 + 0.5, w - 8);
}

function fit(g, s, x, y, most) {
  const room = Math.floor(most / 6);
  g.fillText(s.length > room ? s.slice(0, Math.max(1, room - 1)) + '…' : s, x, y, most);
}

function ruler(g, c, marks, x, left, width, view) {
  g.fillStyle = c.panel;
  g.fillRect(0, 0, width, RULER);
  g.strokeStyle = c.border;
  g.beginPath();
  g.moveTo(0, RULER - 0.5);
  g.lineTo(width, RULER - 0.5);
  g.moveTo(left + 0.5, 0);
  g.lineTo(left + 0.5, RULER);
  g.stroke();
  g.fillStyle = c.muted;
  g.textAlign = 'center';
  for (const t of marks.at) {
    const at = x(t);
    if (at > left + 24 && at < width - 24) g.fillText(mark(t, marks.step), at, RULER / 2);
  }
  g.textAlign = 'left';
  fit(g, duration((view.to - view.from) / 1000) + (left > 100 ? ' in view' : ''), 8, RULER / 2, left - 12);
}

/** A time since the beginning, as exact as the ruler's step. */
export function mark(us, step) {
  if (us === 0) return '0';
  if (step >= 1e6) return us >= 60e6 ? duration(us / 1000) : `${Math.round(us / 1e6)} s`;
  const [unit, size] = Math.abs(us) >= 1e6 ? ['s', 1e6] : Math.abs(us) >= 1000 ? ['ms', 1000] : ['µs', 1];
  return `${Number((us / size).toFixed(Math.max(0, Math.ceil(Math.log10(size / step)))))} ${unit}`;
}
