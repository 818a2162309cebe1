'use strict';
// Charts by uPlot, in the page's colours.
import { html, useRef, useEffect, useState } from './lib.js';
import uPlot from './vendor/uplot/uplot.js';
import { perBucket } from './histogram.js';
import { compact, count, duration, time as clock } from './format.js';

const dark = matchMedia('(prefers-color-scheme: dark)');

/** Counts changes of the theme: a canvas keeps the colours that it was drawn with. */
export function useTheme() {
  const [n, set] = useState(0);
  useEffect(() => {
    const hear = () => set((k) => k + 1);
    dark.addEventListener('change', hear);
    addEventListener('themechange', hear);
    return () => { dark.removeEventListener('change', hear); removeEventListener('themechange', hear); };
  }, []);
  return n;
}

/** A colour of the style sheet. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const palette = (i) => colour(`--c${1 + i % 8}`);

/** Marks of the axis of time: the date only where it changes. */
const CLOCK = [
  [3600, '{HH}:{mm}', '\n{YYYY}-{MM}-{DD}', null, null, null, null, null, 1],
  [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1],
  [0.001, '{mm}:{ss}.{fff}', null, null, null, null, null, null, 1],
];

const LEAST = 60; // seconds that an axis of time shows at least
const FEW = 12; // so few points of a line are drawn

/** The axis' bounds: of the values there are, and never without a width. uPlot guesses the end of a single one. */
function bounds(values, lo, hi, time) {
  if (lo == null) return time ? [Date.now() / 1000 - LEAST, Date.now() / 1000] : [0, 1];
  if (values.length === 1) lo = hi = values[0];
  return time ? [Math.min(lo, hi - LEAST), hi] : lo === hi ? [lo - 1, hi + 1] : [lo, hi];
}

const BINARY = Array.from({ length: 60 }, (_, i) => 2 ** i);

function axes(format, xFormat, binary = false) {
  const grid = { stroke: colour('--grid'), width: 1 };
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const base = { stroke: colour('--muted'), font, grid, ticks: { show: false } };
  return [
    { ...base, grid: { show: false }, size: 22, gap: 4, space: 70, values: xFormat ? (_, all) => all.map(xFormat) : CLOCK },
    {
      ...base, size: (_, texts) => 12 + 6.3 * Math.max(4, ...(texts ?? []).map((s) => s.length)), gap: 4, space: 26, incrs: binary ? BINARY : undefined,
      values: (_, all) => all.map((n) => (n == null ? '' : format(n))),
    },
  ];
}

/** Keeps one uPlot in an element: made anew when its shape changes, fed when its data does. */
function useChart(shape, data, make) {
  const el = useRef(null);
  const chart = useRef(null);
  const theme = useTheme();
  useEffect(() => {
    const box = el.current;
    const size = () => ({ width: Math.max(120, box.clientWidth), height: make.height });
    chart.current = new uPlot({ ...make.options(), ...size() }, data, box);
    const watch = new ResizeObserver(() => chart.current?.setSize(size()));
    watch.observe(box);
    return () => { watch.disconnect(); chart.current?.destroy(); chart.current = null; };
  }, [shape, theme]);
  useEffect(() => { chart.current?.setData(data); }, [data]);
  return el;
}

/**
 * Lines over time or over steps.
 * @param {{label: string, x: number[], series: {label: string, values: number[], dash?: boolean, fill?: boolean}[], format?: (n: number) => string,
 *   height?: number, max?: number, time?: boolean, stacked?: boolean, sync?: string}} props x in seconds, if time
 */
export function Lines({ label, x, series, format = compact, height = 130, max, time = true, stacked = false, sync }) {
  const drawn = stacked ? stack(series.map((s) => s.values)) : series.map((s) => s.values);
  const names = series.map((s) => s.label).join('\n');
  const shown = useRef([]);
  shown.current = series;
  const el = useChart(`${names}|${height}|${max}|${stacked}|${time}`, [x, ...drawn], {
    height,
    options: () => ({
      legend: { show: series.length > 1 },
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false }, ...(sync ? { sync: { key: sync } } : {}) },
      scales: { x: { time, range: (u, lo, hi) => bounds(u.data[0], lo, hi, time) }, y: { range: (_, lo, hi) => [Math.min(0, lo ?? 0), Math.max(hi ?? 0, max ?? 0) * 1.05 || 1] } },
      axes: axes(format, time ? undefined : compact, /B(\/s)?$/.test(format(1024))),
      series: [
        { label: time ? 'time' : 'step', value: (_, v) => (v == null ? 'latest' : time ? clock(v * 1000) : count(v)) },
        ...series.map((s, i) => ({
          label: s.label, stroke: s.dash ? colour('--muted') : palette(i), width: s.dash ? 1 : 1.5, dash: s.dash ? [4, 4] : undefined, spanGaps: true,
          fill: s.fill || stacked ? palette(i) + (stacked ? '66' : '1c') : undefined, points: { show: (_, __, from, to) => !s.dash && to - from < FEW, size: 4 },
          value: (_, v, k, at) => { const values = shown.current[k - 1]?.values ?? []; return format(at == null ? values.at(-1) : values[at]); },
        })),
      ],
      bands: stacked ? series.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
    }),
  });
  return html`<div class="chart lines" role="img" aria-label=${label + ': ' + series.map((s) => `${s.label} ${format(s.values.at(-1))}`).join(', ')} ref=${el}></div>`;
}

function stack(all) {
  const sums = [];
  return all.map((values) => values.map((v, i) => (sums[i] = (sums[i] ?? 0) + (v ?? 0))));
}

/** A bucket's bound in words. */
function bucket(bars, i, format) {
  const le = bars[i]?.le;
  if (le === undefined) return '';
  return Number.isFinite(le) ? '≤ ' + format(le) : i > 0 ? '> ' + format(bars[i - 1].le) : 'any';
}

/** A histogram, a bar a bucket. */
export function Histogram({ label, hist, height = 150, format = duration, bound = 'le_ms' }) {
  const bars = perBucket(hist?.buckets, hist?.count, bound);
  const keep = useRef(bars);
  keep.current = bars;
  const shape = `${label}|${bars.map((b) => b.le).join()}`;
  const el = useChart(shape, [bars.map((_, i) => i), bars.map((b) => b.count)], {
    height,
    options: () => ({
      legend: { show: true },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-0.7, bars.length - 0.3] }, y: { range: (_, lo, hi) => [0, (hi || 1) * 1.05] } },
      axes: axes(compact, (i) => (Number.isInteger(i) ? bucket(keep.current, i, format) : '')),
      series: [
        { label: 'bucket', value: (_, i) => (i == null ? 'any' : bucket(keep.current, i, format)) },
        { label: 'count', stroke: palette(0), fill: palette(0) + 'aa', paths: uPlot.paths.bars({ size: [0.86, 60] }), points: { show: false }, value: (_, v) => count(v ?? keep.current.reduce((n, b) => n + b.count, 0)) },
      ],
    }),
  });
  return html`<div class="chart" role="img" aria-label=${label} ref=${el}></div>`;
}
