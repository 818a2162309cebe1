'use strict';
// What training and agents report: runs, and one run's curves.
import { html } from '../lib.js';
import { useLive } from '../live.js';
import { Answered, Facts, Panel, Ref, Title, Badge, Ago, Empty, Span, Stat } from '../ui.js';
import { List } from '../table.js';
import { Lines, Histogram } from '../charts.js';
import { bytes, compact, count, duration, plain, shortName, value, NONE } from '../format.js';

const seconds = (s) => duration(s * 1000);
const perSecond = (format) => (v) => `${format(v)}/s`;

/** Values with a unit and a place; all others follow as they are. */
const KNOWN = {
  loss: ['Loss', value], accuracy: ['Accuracy', value], return: ['Return', value], episodes: ['Episodes', compact], episode_length: ['Episode length', value],
  samples_per_s: ['Samples a second', perSecond(compact)], bytes_per_s: ['Bytes a second', perSecond(bytes)], staleness: ['Staleness', value],
};
const SPLIT = [['data_s', 'data'], ['compute_s', 'compute'], ['communicate_s', 'communicate'], ['wait_s', 'wait']];
const isSplit = new Set(SPLIT.map(([k]) => k));
const formatOf = (key) => KNOWN[key]?.[1] ?? (key.endsWith('_s') && !key.endsWith('_per_s') ? seconds : key.endsWith('bytes') ? bytes : value);
const titleOf = (key) => KNOWN[key]?.[0] ?? shortName(plain(key)).replaceAll('_', ' ');

const last = (key, title, w) => ({ key: 'last.' + key, title, w, num: true, fixed: true, show: (r) => (r.last?.[key] == null ? NONE : formatOf(key)(r.last[key])) });

const COMMON = [
  { key: 'name', title: 'Run', w: 124, show: (r) => html`<${Ref} kind="run" id=${r.run_id} text=${r.name || r.run_id} />` },
  { key: 'state', title: 'State', w: 118, show: (r) => html`<${Badge} state=${r.state} />` },
  { key: 'job_id', title: 'Job', w: 50, show: (r) => html`<${Ref} kind="job" id=${r.job_id} />` },
  { key: 'step', title: 'Step', w: 118, num: true, show: (r) => (r.total_steps > 0 ? `${count(r.step)} of ${count(r.total_steps)}` : count(r.step)) },
];
const TIMES = [
  { key: 'start_time_ms', title: 'Began', w: 88, show: (r) => html`<${Ago} ms=${r.start_time_ms} />` },
  { key: 'end_time_ms', title: 'Took', w: 80, num: true, show: (r) => html`<${Span} from=${r.start_time_ms} to=${r.end_time_ms} />` },
];
const COLUMNS = {
  training: [...COMMON, last('loss', 'Loss', 80), last('accuracy', 'Accuracy', 92), last('samples_per_s', 'Samples', 92), last('bytes_per_s', 'Bytes', 100), last('staleness', 'Staleness', 96), ...TIMES],
  agents: [...COMMON, last('return', 'Return', 90), last('episodes', 'Episodes', 90), last('episode_length', 'Length', 86), last('samples_per_s', 'Samples', 96), last('loss', 'Loss', 90), ...TIMES],
};

export function Runs({ params, page }) {
  const kind = page.kind;
  const columns = COLUMNS[kind] ?? [...COMMON, ...TIMES];
  return html`<${Title}>${page.title}<//>
    <${List} label="runs" path="api/v0/runs" params=${params} columns=${columns} keyOf=${(r) => r.run_id} filters=${kind ? [['kind', '=', kind]] : []}
      empty=${kind === 'agents' ? 'No agent has reported a run.' : 'No training has reported a run.'} />`;
}

export function Run({ id }) {
  const answer = useLive('api/v0/runs/' + encodeURIComponent(id));
  const d = answer?.body?.data ?? {};
  const r = d.run;
  const series = d.series ?? {};
  const keys = Object.keys(series).filter((k) => series[k]?.length);
  const plainKeys = [...Object.keys(KNOWN).filter((k) => keys.includes(k)), ...keys.filter((k) => !KNOWN[k] && !isSplit.has(k)).sort()];
  return html`<${Title} kind=${r?.kind === 'agents' ? "Agents' run" : 'Training run'} state=${r?.state}>${plain(r?.name || id)}<//>
    <${Answered} answer=${answer}>${!r ? html`<${Empty}>There is no such run.<//>` : html`
      <${Panel}><${Facts} items=${[
    ['Run', html`<span class="id">${plain(r.run_id ?? id)}</span>`], ['Job', html`<${Ref} kind="job" id=${r.job_id} />`], ['Began', html`<${Ago} ms=${r.start_time_ms} />`],
    [r.end_time_ms > 0 ? 'Took' : 'So far', html`<${Span} from=${r.start_time_ms} to=${r.end_time_ms} />`], ['Step', r.total_steps > 0 ? `${count(r.step)} of ${count(r.total_steps)}` : count(r.step)],
  ]} />${r.total_steps > 0 && html`<progress max=${r.total_steps} value=${r.step ?? 0} aria-label="Steps done"></progress>`}<//>
      <div class="stats">${plainKeys.slice(0, 8).map((k) => html`<${Stat} key=${k} label=${titleOf(k)} value=${formatOf(k)(series[k].at(-1)?.[2] ?? r.last?.[k])} />`)}</div>
      <div class="charts wide">${plainKeys.slice(0, 60).map((k) => html`<${Curve} key=${k} name=${k} points=${series[k]} />`)}
        <${Split} series=${series} />
        ${Object.entries(d.histograms ?? {}).map(([k, buckets]) => html`<${Panel} key=${'h-' + k} title=${titleOf(k) + ', how often'}>
          <${Histogram} label=${`Histogram of ${titleOf(k)}`} hist=${{ buckets, count: buckets.reduce((n, b) => n + b.count, 0) }} bound="le" format=${value} /><//>`)}
      </div>
      ${!keys.length && html`<${Empty}>It has reported nothing yet.<//>`}`}<//>`;
}

function Curve({ name, points }) {
  const format = formatOf(name);
  return html`<${Panel} title=${titleOf(name)} side=${html`<b>${format(points.at(-1)[2])}</b>`}>
    <${Lines} label=${titleOf(name)} time=${false} x=${points.map((p) => p[0])} series=${[{ label: titleOf(name), values: points.map((p) => p[2]) }]} format=${format} height=${170} sync="run" /><//>`;
}

/** Where a step's time goes, one on top of the other. */
function Split({ series }) {
  const there = SPLIT.filter(([k]) => series[k]?.length);
  if (!there.length) return null;
  const steps = [...new Set(there.flatMap(([k]) => series[k].map((p) => p[0])))].sort((a, b) => a - b);
  const lines = there.map(([k, label]) => {
    const at = new Map(series[k].map((p) => [p[0], p[2]]));
    let v = null;
    return { label, values: steps.map((s) => (v = at.get(s) ?? v)) };
  });
  return html`<${Panel} title="Time of a step"><${Lines} label="Time of a step" time=${false} x=${steps} series=${lines} format=${seconds} height=${170} stacked sync="run" /><//>`;
}
