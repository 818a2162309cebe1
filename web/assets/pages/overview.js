'use strict';
// The cluster at a glance: is it well, what is it busy with, what waits and why.
import { html } from '../lib.js';
import { useLive, listOf } from '../live.js';
import { href } from '../route.js';
import { Panel, Stat, Meter, Badge, Ref, Refs, Ago, Answered, Empty, Failure, Title } from '../ui.js';
import { Table } from '../table.js';
import { Lines } from '../charts.js';
import { bytes, compact, count, cut, duration, plain, resources, value, NONE } from '../format.js';

export function Overview() {
  const status = useLive('api/cluster_status', 1000);
  const heads = useLive('api/heads', 1000);
  const history = useLive('api/v0/history', 1000);
  const hints = useLive('api/v0/hints', 1000);
  const s = status?.body;
  return html`<${Title} side=${s && html`<span class="muted">gray ${plain(s.gray_version)}, up ${duration(s.uptime_ms)}</span>`}>Overview<//>
    <${Answered} answer=${status}>${s && html`
      <${Stats} s=${s} series=${history?.body?.data?.series} />
      <${Hints} rows=${listOf(hints).rows} />
      <${Load} answer=${history} />
      <div class="columns">
        <${Panel} title="Nodes" id="h-nodes" flush side=${html`<a href="#/nodes">all nodes</a>`}><${NodeTable} nodes=${s.nodes ?? []} dead=${s.dead_nodes ?? []} /><//>
        <${Panel} title="Heads" id="h-heads" flush><${Heads} answer=${heads} /><//>
      </div>
      <${Panel} title="Waiting" id="h-waiting" flush side=${html`<span class="muted">${count((s.pending ?? []).reduce((n, p) => n + (p.count ?? 0), 0))} in all</span>`}><${Waiting} pending=${s.pending ?? []} /><//>
      <${Latest} />`}<//>`;
}

const sum = (nodes, get) => nodes.reduce((n, x) => n + (get(x) ?? 0), 0);

function Stats({ s, series }) {
  const nodes = s.nodes ?? [];
  const dead = s.dead_nodes?.length ?? 0;
  const total = sum(nodes, (n) => n.resources_total?.CPU);
  const free = nodes.some((n) => n.resources_available) ? sum(nodes, (n) => n.resources_available?.CPU) : null;
  const waiting = sum(s.pending ?? [], (p) => p.count);
  const stuck = sum((s.pending ?? []).filter((p) => p.infeasible), (p) => p.count);
  const last = (name) => series?.[name]?.at(-1);
  return html`<div class="stats">
    <${Stat} label="Nodes" value=${count(nodes.length)} note=${dead ? `${dead} died lately` : 'all alive'} to="#/nodes" />
    <${Stat} label="CPUs in use" value=${free == null ? NONE : value(total - free)} note=${`of ${value(total)}`} />
    <${Stat} label="Object stores" value=${bytes(sum(nodes, (n) => n.object_store_used))} note=${`of ${bytes(sum(nodes, (n) => n.object_store_capacity))}`} to="#/objects" />
    <${Stat} label="Jobs running" value=${count(s.jobs?.RUNNING ?? 0)} note=${others(s.jobs, 'RUNNING')} to="#/jobs" />
    <${Stat} label="Actors alive" value=${count(s.actors?.ALIVE ?? 0)} note=${others(s.actors, 'ALIVE')} to="#/actors" />
    <${Stat} label="Tasks running" value=${compact(last('tasks_running'))} note=${`${compact(last('tasks_finished_per_s'))} finish a second`} to=${href(['tasks'], { state: 'RUNNING' })} />
    <${Stat} label="Waiting" value=${count(Math.max(waiting, last('tasks_waiting') ?? 0))} note=${stuck ? `${count(stuck)} can never be placed` : 'tasks, actors and jobs'} bad=${stuck > 0} />
  </div>`;
}

function others(counts, but) {
  const rest = Object.entries(counts ?? {}).filter(([k, n]) => k !== but && n > 0).map(([k, n]) => `${compact(n)} ${k.toLowerCase().replaceAll('_', ' ')}`);
  return rest.join(', ') || 'no others';
}

function Hints({ rows }) {
  if (!rows.length) return null;
  return html`<section class="hints" aria-label="What stands out">${rows.slice(0, 8).map((h) => html`<div key=${h.kind + h.sentence} class=${'notice ' + ({ ERROR: 'bad', INFO: 'run' }[h.severity] ?? 'wait')}>
    <b>${plain(h.kind).replaceAll('_', ' ')}</b> ${cut(plain(h.sentence), 800)} ${h.job_id && html`<${Ref} kind="job" id=${h.job_id} />`}
    ${h.way_out && html`<span class="way">${cut(plain(h.way_out), 600)}</span>`}</div>`)}</section>`;
}

function Load({ answer }) {
  const s = answer?.body?.data?.series;
  const x = (s?.time_ms ?? []).map((t) => t / 1000);
  if (!answer) return null;
  if (!x.length) return html`<${Failure} error=${answer.status === 404 ? '' : answer.error} />`;
  const lines = (...all) => all.filter(([name]) => s[name]?.length).map(([name, label, more]) => ({ label, values: s[name], ...more }));
  const dash = { dash: true };
  const fill = { fill: true };
  const charts = [
    ['CPUs', lines(['cpus_used', 'in use', fill], ['cpus_total', 'there are', dash]), value],
    ['Memory', lines(['memory_used', 'in use', fill], ['memory_total', 'there is', dash]), bytes],
    ['Object stores', lines(['store_used', 'in use', fill], ['store_total', 'there is', dash]), bytes],
    ['Tasks', lines(['tasks_running', 'running'], ['tasks_waiting', 'waiting']), compact],
    ['Tasks finished a second', lines(['tasks_finished_per_s', 'finished', fill]), compact],
    ['Transfers a second', lines(['transfer_bytes_per_s', 'between nodes', fill]), bytes],
  ].filter(([, series]) => series.length);
  return html`<div class="charts">${charts.map(([label, series, format]) => html`<${Panel} key=${label} title=${label} side=${html`<b>${format(series[0].values.at(-1))}</b>`}>
    <${Lines} label=${label} x=${x} series=${series} format=${format} height=${110} sync="load" /><//>`)}</div>`;
}

export function NodeTable({ nodes, dead = [] }) {
  const all = [...nodes, ...dead];
  if (!all.length) return html`<${Empty}>No node has joined.<//>`;
  return html`<${Table} label="Nodes" keyOf=${(n) => n.node_id} rows=${all} columns=${NODE_COLUMNS.filter((c) => c.brief)} />`;
}

const used = (n, name) => (n.resources_available ? (n.resources_total?.[name] ?? 0) - (n.resources_available[name] ?? 0) : null);

/** Columns of nodes; those that are brief suffice at a glance. */
export const NODE_COLUMNS = [
  { key: 'node_id', title: 'Node', w: 58, brief: true, show: (n) => html`<${Ref} kind="node" id=${n.node_id} />` },
  { key: 'state', title: 'State', w: 92, brief: true, show: (n) => html`<${Badge} state=${n.state} title=${n.state_message} />` },
  { key: 'hostname', title: 'Host', w: 130 },
  { key: 'cpu', title: 'CPU', w: 108, fixed: true, brief: true, show: (n) => html`<${Meter} label="CPU" used=${used(n, 'CPU')} total=${n.resources_total?.CPU} format=${value} warn=${2} />` },
  { key: 'memory', title: 'Memory', w: 220, fixed: true, show: (n) => html`<${Meter} label="memory" used=${used(n, 'memory')} total=${n.resources_total?.memory} format=${bytes} />` },
  { key: 'object_store_used', title: 'Object store', w: 176, brief: true,
    show: (n) => html`<${Meter} label="object store" used=${n.state === 'DEAD' ? null : n.object_store_used} total=${n.object_store_capacity} format=${bytes} />` },
  { key: 'workers', title: 'Workers', w: 76, num: true, brief: true, show: (n) => html`<a href=${href(['workers'], { node_id: n.node_id })}>${count(n.workers)}</a>` },
  { key: 'address', title: 'Address', w: 150 },
  { key: 'platform', title: 'Platform', w: 110 },
  { key: 'start_time_ms', title: 'Joined', w: 110, show: (n) => html`<${Ago} ms=${n.start_time_ms} />` },
];

const HEAD_COLUMNS = [
  { key: 'id', title: 'Head', w: 152, show: (h) => html`<span class="id" title=${h.error}>${cut(plain(h.id), 40)}</span>` },
  { key: 'state', title: 'State', w: 122, show: (h) => html`<${Badge} state=${h.state} title=${h.error || h.state} />` },
  { key: 'address', title: 'Address', w: 130 },
  { key: 'lag', title: 'Lag', w: 48, num: true, show: (h) => (h.state === 'UNREACHABLE' ? NONE : html`<span title=${`has applied ${count(h.applied_index)} entries`}>${count(h.lag)}</span>`) },
  { key: 'term', title: 'Term', w: 54, num: true, show: (h) => (h.term ? count(h.term) : NONE) },
];

function Heads({ answer }) {
  const rows = answer?.body?.heads ?? [];
  return html`<${Answered} answer=${answer}><${Table} label="Heads" keyOf=${(h) => h.id} columns=${HEAD_COLUMNS} rows=${rows} /><//>`;
}

const WAITING = 100; // rows
const WAITING_COLUMNS = [
  { key: 'what', title: 'What', w: 190, wrap: true },
  { key: 'count', title: 'Count', w: 70, num: true, show: (p) => count(p.count) },
  { key: 'resources', title: 'Needs', w: 130, wrap: true, show: (p) => resources(p.resources) },
  { key: 'job_id', title: 'Job', w: 64, show: (p) => html`<${Ref} kind="job" id=${p.job_id} />` },
  { key: 'node_id', title: 'At', w: 64, show: (p) => html`<${Ref} kind="node" id=${p.node_id} />` },
  { key: 'reason', title: 'Why', w: 520, wrap: true, show: (p) => html`<span title=${plain(p.reason)}>${p.infeasible && html`<b class="bad-text">no node could ever take it: </b>`}${cut(plain(p.reason), 600) || NONE}</span>` },
];

function Waiting({ pending }) {
  if (!pending.length) return html`<${Empty}>Nothing waits for a place.<//>`;
  return html`<${Table} label="What waits" keyOf=${(p) => [p.what, p.job_id, p.node_id, JSON.stringify(p.resources)].join()} columns=${WAITING_COLUMNS} rows=${pending.slice(0, WAITING)} />`;
}

function Latest() {
  const answer = useLive('api/v0/cluster_events?limit=8', 2000);
  const { rows } = listOf(answer);
  if (!rows.length) return null;
  return html`<${Panel} title="Latest events" id="h-events" flush side=${html`<a href="#/events">all events</a>`}>
    <table class="small" aria-label="Latest events"><tbody>${rows.map((e) => html`<tr key=${e.event_id}><td class="when"><${Ago} ms=${e.time_ms} /></td>
      <td><${Badge} state=${e.severity} /></td><td class="wide">${cut(plain(e.message), 300)}</td><td><${Refs} row=${e} kinds=${['node', 'job', 'actor']} /></td></tr>`)}</tbody></table><//>`;
}
