'use strict';
// The text format of Prometheus, read. Pure.

/** @typedef {{name: string, type: string, help: string, samples: {name: string, labels: string, value: number}[]}} Family */

const MAX_SAMPLES = 100_000;
const SAMPLE = /^([a-zA-Z_:][\w:]*)(\{.*\})?\s+(\S+)/;

/** @param {string} text @returns {Family[]} in the order of the text */
export function parseMetrics(text) {
  const families = new Map();
  const family = (name) => {
    let f = families.get(name);
    if (!f) families.set(name, f = { name, type: 'untyped', help: '', samples: [] });
    return f;
  };
  let n = 0;
  for (const line of text.split('\n')) {
    const meta = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line);
    if (meta) {
      const f = family(meta[2]);
      if (meta[1] === 'TYPE') f.type = meta[3];
      else f.help = meta[3].replace(/\\(\\|n)/g, (_, c) => (c === 'n' ? ' ' : '\\'));
      continue;
    }
    const m = SAMPLE.exec(line);
    if (!m || line[0] === '#' || ++n > MAX_SAMPLES) continue;
    const base = m[1].replace(/_(bucket|sum|count)$/, '');
    const f = families.get(m[1]) ?? families.get(base) ?? family(m[1]);
    f.samples.push({ name: m[1], labels: (m[2] ?? '').slice(1, -1), value: number(m[3]) });
  }
  return [...families.values()].filter((f) => f.samples.length);
}

function number(s) { return s === '+Inf' ? Infinity : s === '-Inf' ? -Infinity : Number(s); }

/** The samples that tell most: of a histogram or summary only the counts and sums. */
export function heads(family) {
  return family.samples.filter((s) => !s.name.endsWith('_bucket') && !/(^|,)quantile="/.test(s.labels));
}

/** One number for a family: its samples' sum; of histograms the count. */
export function sumOf(family) {
  const all = heads(family).filter((s) => !s.name.endsWith('_sum') || family.type === 'counter' || family.type === 'gauge');
  return all.reduce((n, s) => n + (Number.isFinite(s.value) ? s.value : 0), 0);
}
