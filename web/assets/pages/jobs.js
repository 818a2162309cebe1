'use strict';
// Jobs, and one job: its output, and its tasks by function.
import { html, useState } from '../lib.js';
import { useLive } from '../live.js';
import { apiPath, href, setParams } from '../route.js';
import { Answered, Facts, Panel, Ref, Title, Badge, Ago, Empty, Span, Tabs } from '../ui.js';
import { List, Table, Choice, Chips, filtersOf } from '../table.js';
import { Histogram } from '../charts.js';
import { Log, LINES } from '../log.js';
import { Why } from '../why.js';
import { functionsOf } from '../summary.js';
import { TASK_COLUMNS, STATES } from './tasks.js';
import { ACTOR_COLUMNS } from './actors.js';
import { EVENT_COLUMNS } from './events.js';
import { compact, count, cut, duration, plain, shortName, value, NONE } from '../format.js';

const idOf = (j) => j.job_id ?? j.submission_id;

const COLUMNS = [
  { key: 'job_id', title: 'Job', w: 66, show: (j) => html`<${Ref} kind="job" id=${idOf(j)} />` },
  { key: 'submission_id', title: 'Submission', w: 190, show: (j) => html`<${Ref} kind="job" id=${j.submission_id} />` },
  { key: 'status', title: 'Status', w: 112, show: (j) => html`<${Badge} state=${j.status} title=${j.message} />` },
  { key: 'entrypoint', title: 'Entrypoint', w: 300, show: (j) => html`<span title=${cut(plain(j.entrypoint), 1000)}>${cut(plain(j.entrypoint), 160) || NONE}</span>` },
  { key: 'start_time', title: 'Began', w: 110, show: (j) => html`<${Ago} ms=${j.start_time} />` },
  { key: 'end_time', title: 'Took', w: 96, num: true, show: (j) => html`<${Span} from=${j.start_time} to=${j.end_time} />` },
  { key: 'driver_node_id', title: 'Driver on', w: 84, show: (j) => html`<${Ref} kind="node" id=${j.driver_node_id} />` },
  { key: 'type', title: 'Kind', w: 108, show: (j) => String(j.type ?? '').toLowerCase() || NONE },
  { key: 'message', title: 'Message', w: 300, show: (j) => (j.message ? html`<span title=${cut(plain(j.message), 1000)}>${cut(plain(j.message), 200)}</span>` : NONE) },
];

const STATUSES = ['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'STOPPED'].map((s) => [s, s[0] + s.slice(1).toLowerCase()]);

export function Jobs({ params }) {
  return html`<${Title}>Jobs<//>
    <${List} label="jobs" path="api/v0/jobs" params=${params} columns=${COLUMNS} keyOf=${idOf} filters=${filtersOf(params, ['status'])}
      tools=${html`<${Choice} name="status" label="Status" params=${params} values=${STATUSES} />`} empty="No job was submitted." />`;
}

const TABS = [['functions', 'Functions'], ['log', 'Log'], ['tasks', 'Tasks'], ['actors', 'Actors'], ['events', 'Events']];

export function Job({ id, params }) {
  const answer = useLive('api/jobs/' + encodeURIComponent(id));
  const j = answer?.body;
  const job = j?.job_id ?? id;
  const over = ['SUCCEEDED', 'FAILED', 'STOPPED'].includes(j?.status);
  const why = useLive(j && j.status !== 'RUNNING' && j.status !== 'SUCCEEDED' ? apiPath('api/why', { id }) : null, 2000);
  const tab = params.tab ?? 'functions';
  return html`<${Title} kind="Job" state=${j?.status} side=${j && html`<a class="button" href=${href(['timeline'], { job_id: job })}>Timeline</a>`}>${plain(j?.submission_id ?? job)}<//>
    <${Answered} answer=${answer}>${j && html`
      <${Panel}><${Facts} items=${[
    ['Job', html`<span class="id">${plain(job)}</span>`], ['Entrypoint', html`<code>${cut(plain(j.entrypoint), 2000) || NONE}</code>`], ['Began', html`<${Ago} ms=${j.start_time} />`],
    [over ? 'Took' : 'So far', html`<${Span} from=${j.start_time} to=${j.end_time} />`], ['Driver', html`<${Ref} kind="node" id=${j.driver_node_id} />${j.driver_info?.pid ? `, process ${j.driver_info.pid}` : ''}`],
    j.driver_exit_code != null && ['Exit code', j.driver_exit_code],
    j.message && ['Message', cut(plain(j.message), 2000)],
    Object.keys(j.metadata ?? {}).length > 0 && ['Metadata', cut(plain(Object.entries(j.metadata).map(([k, v]) => `${k}=${v}`).join(', ')), 1000)],
  ]} /><//>
      <${Why} why=${why?.body} />
      <${Tabs} label="What the job did" tabs=${TABS} now=${tab} choose=${(t) => setParams({ tab: t, q: '', sort: '', order: '', offset: '', state: '' })} />
      <${Tab} key=${tab} tab=${tab} id=${id} job=${job} type=${j.type} params=${params} />`}<//>`;
}

function Tab({ tab, id, job, type, params }) {
  const filters = [['job_id', '=', job]];
  const but = (columns) => columns.filter((c) => c.key !== 'job_id');
  if (tab === 'log' && type === 'DRIVER') return html`<${Panel}><${Empty}>It wasn't submitted: its output went to its own terminal.<//><//>`;
  if (tab === 'log') return html`<${Panel}><${Log} key=${id} stream=${apiPath('api/v0/logs/stream', { job_id: job, lines: LINES })} whole=${apiPath('api/v0/logs/file', { job_id: job })} label="the job's log" /><//>`;
  if (tab === 'tasks') {
    return html`<${List} label="tasks" path="api/v0/tasks" params=${params} filters=${[...filters, ...filtersOf(params, ['state', 'name'])]} columns=${but(TASK_COLUMNS)}
      tools=${html`<${Choice} name="state" label="State" params=${params} values=${STATES} /><${Chips} params=${params} names=${['name']} />`} keyOf=${(t) => `${t.task_id} ${t.attempt_number}`} />`;
  }
  if (tab === 'actors') return html`<${List} label="actors" path="api/v0/actors" params=${params} filters=${filters} columns=${but(ACTOR_COLUMNS)} keyOf=${(a) => a.actor_id} />`;
  if (tab === 'events') return html`<${List} label="events" path="api/v0/cluster_events" params=${params} filters=${filters} columns=${EVENT_COLUMNS} keyOf=${(e) => e.event_id} />`;
  return html`<${Functions} job=${job} />`;
}

/** The job's tasks by function, and the latencies of the chosen one. */
function Functions({ job }) {
  const answer = useLive(apiPath('api/v0/tasks/summarize', {}, [['job_id', '=', job]]));
  const rows = functionsOf(answer?.body);
  const [sort, setSort] = useState(['finished', 'desc']);
  const [chosen, choose] = useState('');
  const [key, order] = sort;
  const sorted = [...rows].sort((a, b) => (typeof a[key] === 'string' ? String(a[key]).localeCompare(b[key]) : (a[key] ?? -1) - (b[key] ?? -1)) * (order === 'desc' ? -1 : 1));
  const one = rows.find((f) => f.name === chosen) ?? sorted[0];
  return html`<${Answered} answer=${answer}>${!rows.length ? html`<${Empty}>It has submitted nothing.<//>` : html`
    <${Panel} flush><${Table} label="Tasks by function" rows=${sorted} keyOf=${(f) => f.name} columns=${functionColumns(job, one?.name, choose)} sort=${key} order=${order} sortBy=${(k, o) => setSort([k, o])} /><//>
    <div class="columns">
      <${Panel} title=${html`Run time of <b>${shortName(plain(one.name))}</b>`} side=${quantiles(one.run)}><${Latency} hist=${one.run} label="run time" /><//>
      <${Panel} title=${html`Wait of <b>${shortName(plain(one.name))}</b>`} side=${quantiles(one.wait)}><${Latency} hist=${one.wait} label="waiting time" /><//>
    </div>`}<//>`;
}

function Latency({ hist, label }) {
  return hist?.count > 0 ? html`<${Histogram} label=${`Histogram of the ${label}`} hist=${hist} />` : html`<${Empty}>None has ended yet.<//>`;
}

/** Of none there is no quantile. */
const quantile = (hist, name) => (hist?.count > 0 ? duration(hist[name]) : NONE);

function quantiles(hist) {
  if (!(hist?.count > 0)) return null;
  return html`<span class="muted">p50 ${duration(hist.p50_ms)} · p95 ${duration(hist.p95_ms)} · p99 ${duration(hist.p99_ms)}</span>`;
}

function functionColumns(job, chosen, choose) {
  const to = (f, state, n) => (n > 0 ? html`<a href=${href(['tasks'], { job_id: job, name: f.name, state })}>${compact(n)}</a>` : '0');
  return [
    { key: 'name', title: 'Function', w: 150, show: (f) => html`<button class="link" aria-pressed=${f.name === chosen} title=${cut(plain(f.name), 500)} onClick=${() => choose(f.name)}>${shortName(plain(f.name))}</button>` },
    { key: 'running', title: 'Running', w: 82, num: true, show: (f) => to(f, 'RUNNING', f.running) },
    { key: 'waiting', title: 'Waiting', w: 78, num: true, show: (f) => compact(f.waiting) },
    { key: 'finished', title: 'Finished', w: 88, num: true, show: (f) => html`<span title=${count(f.finished)}>${to(f, 'FINISHED', f.finished)}</span>` },
    { key: 'failed', title: 'Failed', w: 70, num: true, show: (f) => html`<span class=${f.failed ? 'bad-text' : ''}>${to(f, 'FAILED', f.failed)}</span>` },
    { key: 'crashed', title: 'Crashed', w: 84, num: true, show: (f) => compact(f.crashed) },
    { key: 'cancelled', title: 'Cancelled', w: 92, num: true, show: (f) => compact(f.cancelled) },
    { key: 'rate', title: '/s', w: 56, num: true, show: (f) => value(f.rate) },
    { key: 'p50', title: 'Ran p50', w: 86, num: true, show: (f) => quantile(f.run, 'p50_ms') },
    { key: 'p95', title: 'p95', w: 78, num: true, show: (f) => quantile(f.run, 'p95_ms') },
    { key: 'p99', title: 'p99', w: 78, num: true, show: (f) => quantile(f.run, 'p99_ms') },
    { key: 'wait95', title: 'Waited p95', w: 96, num: true, show: (f) => quantile(f.wait, 'p95_ms') },
  ];
}
