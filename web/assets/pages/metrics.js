'use strict';
// What Prometheus would read of the whole cluster, and how it moves while one looks.
import { html, useState, useEffect, useRef, useMemo } from '../lib.js';
import { get } from '../live.js';
import { setParams } from '../route.js';
import { Title, Panel, Empty, Failure, Loading } from '../ui.js';
import { Table } from '../table.js';
import { Lines } from '../charts.js';
import { parseMetrics, heads, sumOf } from '../metrics-text.js';
import { bytes, compact, count, cut, duration, plain, time, value, NONE } from '../format.js';

const FIRST_MS = 500; // a rate needs two samples
const EVERY_MS = 3000;
const POINTS = 300;
const SERIES = 8;

/** The families, and for each series the values since the page was opened. */
function useMetrics() {
  const [state, set] = useState({ families: null, error: '' });
  const times = useRef([]);
  const past = useRef(new Map());
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const ask = async () => {
      try {
        const families = parseMetrics(await get('metrics/cluster', 'text', stop.signal)).sort((a, b) => rank(a) - rank(b));
        keep(times.current, past.current, families);
        set({ families, error: '' });
      } catch (err) {
        if (stop.signal.aborted) return;
        set((old) => ({ ...old, error: err.message }));
      }
      timer = setTimeout(ask, times.current.length < 3 ? FIRST_MS : EVERY_MS);
    };
    ask();
    return () => { stop.abort(); clearTimeout(timer); };
  }, []);
  return { ...state, times: times.current, past: past.current };
}

function keep(times, past, families) {
  const n = times.length;
  times.push(Date.now() / 1000);
  for (const f of families) {
    for (const s of heads(f)) {
      const key = `${s.name}{${s.labels}}`;
      let values = past.get(key);
      if (!values) past.set(key, values = new Array(n).fill(null));
      values.push(s.value);
    }
  }
  const over = times.length > POINTS;
  if (over) times.shift();
  for (const [key, values] of past) {
    while (values.length < n + 1) values.push(null);
    if (over) values.shift();
    if (values.every((v) => v === null)) past.delete(key);
  }
}

const isMoment = (name) => /(^|_)(time|timestamp)_seconds$/.test(name);

/** The process's own metrics come after the cluster's and those of jobs. */
const rank = (f) => (/^(go|process|promhttp)_/.test(f.name) ? 1 : 0);

const formatOf = (name) => (isMoment(name) ? (v) => time(v * 1000) : /bytes/.test(name) ? bytes : /seconds/.test(name) && !/_count$/.test(name) ? (v) => duration(v * 1000) : value);

export function Metrics({ params }) {
  const { families, error, times, past } = useMetrics();
  const q = (params.q ?? '').toLowerCase();
  const shown = useMemo(() => (families ?? []).filter((f) => !q || f.name.toLowerCase().includes(q) || f.help.toLowerCase().includes(q)), [families, q]);
  const one = shown.find((f) => f.name === params.name) ?? shown.find((f) => f.name.startsWith('gray_')) ?? shown[0];
  return html`<${Title} side=${html`<a class="button" href="metrics/cluster">As Prometheus reads it</a>`}>Metrics<//>
    <${Failure} error=${error} />
    ${!families ? !error && html`<${Loading} />` : html`
      ${one && html`<${One} family=${one} times=${times} past=${past} />`}
      <div class="toolbar"><input class="search" type="search" placeholder="Search  ( / )" aria-label="Search metrics" value=${params.q ?? ''} onInput=${(e) => setParams({ q: e.currentTarget.value })} />
        <span class="where">${count(shown.length)} metrics, ${count(shown.reduce((n, f) => n + f.samples.length, 0))} series</span></div>
      ${shown.length ? html`<${Table} label="metrics" rows=${shown} keyOf=${(f) => f.name} columns=${columns(one?.name)} />` : html`<${Empty}>Nothing fits.<//>`}`}`;
}

function columns(chosen) {
  return [
    { key: 'name', title: 'Metric', w: 330, show: (f) => html`<button class="link id" aria-pressed=${f.name === chosen} onClick=${() => setParams({ name: f.name })}>${cut(plain(f.name), 120)}</button>` },
    { key: 'type', title: 'Type', w: 90 },
    { key: 'series', title: 'Series', w: 76, num: true, show: (f) => compact(f.samples.length) },
    { key: 'sum', title: 'In all', w: 110, num: true, show: (f) => (isMoment(f.name) || /_resources(_|$)/.test(f.name) ? NONE : f.type === 'histogram' || f.type === 'summary' ? `${compact(sumOf(f))} ×` : formatOf(f.name)(sumOf(f))) },
    { key: 'help', title: 'What it is', w: 480, show: (f) => html`<span title=${plain(f.help)}>${cut(plain(f.help), 240)}</span>` },
  ];
}

/** One metric's series, those with the greatest values, while the page is open; counters by the second. */
function One({ family, times, past }) {
  const counts = family.type === 'counter' || family.type === 'histogram' || family.type === 'summary';
  const all = heads(family).filter((s) => !s.name.endsWith('_sum') || !counts || family.type === 'counter');
  const top = [...all].sort((a, b) => b.value - a.value).slice(0, SERIES);
  const format = formatOf(counts && family.type !== 'counter' ? family.name + '_count' : family.name);
  const series = top.map((s) => {
    const values = past.get(`${s.name}{${s.labels}}`) ?? [];
    return { label: cut(plain(s.labels) || family.name, 70), values: counts ? values.map((v, i) => (i === 0 || v == null || values[i - 1] == null ? null : Math.max(0, v - values[i - 1]) / (times[i] - times[i - 1]))) : values };
  });
  return html`<${Panel} title=${plain(family.name)} side=${html`<span class="muted">${counts ? 'a second' : family.type}${all.length > SERIES ? `, ${SERIES} of ${count(all.length)} series` : ''}</span>`}>
    <p class="muted help">${cut(plain(family.help), 400)}</p>
    <${Lines} label=${family.name} x=${[...times]} series=${series} format=${format} height=${150} /><//>`;
}
