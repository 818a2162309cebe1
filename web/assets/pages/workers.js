'use strict';
// Processes of jobs: drivers, workers, and those of actors.
import { html, useState } from '../lib.js';
import { get, useLive, listOf } from '../live.js';
import { apiPath, href } from '../route.js';
import { Answered, Empty, Facts, Failure, Panel, Pre, Ref, Title, Badge } from '../ui.js';
import { List, Chips, filtersOf } from '../table.js';
import { Log, LINES } from '../log.js';
import { cut, plain, NONE } from '../format.js';

export const WORKER_COLUMNS = [
  { key: 'worker_id', title: 'Worker', w: 80, show: (w) => html`<${Ref} kind="worker" id=${w.worker_id} />` },
  { key: 'worker_type', title: 'Kind', w: 76, show: (w) => (w.actor_id ? 'actor' : String(w.worker_type ?? '').toLowerCase() || NONE) },
  { key: 'state', title: 'State', w: 114, show: (w) => html`<${Badge} state=${String(w.state ?? '').toUpperCase()} />` },
  { key: 'running', title: 'Runs', w: 182, show: (w) => (w.running ? html`<span title=${plain(w.running)}>${cut(plain(w.running), 120)}</span>` : NONE) },
  { key: 'node_id', title: 'Node', w: 58, show: (w) => html`<${Ref} kind="node" id=${w.node_id} />` },
  { key: 'job_id', title: 'Job', w: 50, show: (w) => html`<${Ref} kind="job" id=${w.job_id} />` },
  { key: 'actor_id', title: 'Actor', w: 170, show: (w) => html`<${Ref} kind="actor" id=${w.actor_id} />` },
  { key: 'pid', title: 'Process', w: 84, num: true },
  { key: 'log', title: 'Log', w: 220, show: (w) => (w.log ? html`<span class="muted" title=${plain(w.log)}>${cut(plain(w.log), 100)}</span>` : NONE) },
];

export function Workers({ params }) {
  const names = ['node_id', 'job_id'];
  return html`<${Title}>Workers<//>
    <${List} label="workers" path="api/v0/workers" params=${params} columns=${WORKER_COLUMNS} keyOf=${(w) => w.worker_id} filters=${filtersOf(params, names)}
      tools=${html`<${Chips} params=${params} names=${names} />`} empty="No process of a job runs." />`;
}

export function Worker({ id }) {
  const answer = useLive(apiPath('api/v0/workers', { limit: 1 }, [['worker_id', '=', id]]), 1000);
  const w = listOf(answer).rows[0];
  const tasks = href(['tasks'], { worker_id: id });
  return html`<${Title} kind=${w?.worker_type === 'DRIVER' ? 'Driver' : 'Worker'} state=${w && String(w.state).toUpperCase()} side=${html`<a class="button" href=${tasks}>Its tasks</a>`}>${plain(id)}<//>
    <${Answered} answer=${answer}>${!w ? html`<${Empty}>There is no such process any more. What it ran is among the <a href=${tasks}>tasks</a>.<//>` : html`
      <${Panel}><${Facts} items=${[
    ['Node', html`<${Ref} kind="node" id=${w.node_id} />`], ['Job', html`<${Ref} kind="job" id=${w.job_id} />`], w.actor_id && ['Actor', html`<${Ref} kind="actor" id=${w.actor_id} />`],
    ['Process', w.pid], ['Runs', w.running ? cut(plain(w.running), 500) : NONE], ['Log', plain(w.log) || NONE],
  ]} /><//>
      <${Stack} key=${id} id=${id} />
      ${w.log && html`<${Panel} title="Log"><${Log} key=${id} stream=${apiPath('api/v0/logs/stream', { worker_id: id, lines: LINES })} whole=${apiPath('api/v0/logs/file', { worker_id: id })} label="the process's log" /><//>`}`}<//>`;
}

/** Goroutines, those in the job's own main package first, the one that was asked last. */
function inOrder(stacks) {
  const rank = (g) => (/^main\./m.test(g) ? 0 : g.includes('runtime/pprof.writeGoroutineStacks') ? 2 : 1);
  return stacks.trim().split('\n\n').sort((a, b) => rank(a) - rank(b)).join('\n\n');
}

/** What the goroutines of a process do, when asked. */
export function Stack({ id }) {
  const [state, set] = useState({ text: '', error: '', busy: false });
  const take = async () => {
    set({ text: '', error: '', busy: true });
    try {
      set({ text: inOrder(await get(`api/v0/workers/${encodeURIComponent(id)}/stack`, 'text')), error: '', busy: false });
    } catch (err) {
      set({ text: '', error: err.message, busy: false });
    }
  };
  return html`<${Panel} title="Goroutines" side=${html`<button disabled=${state.busy} onClick=${take}>${state.busy ? 'Asking…' : state.text ? 'Again' : 'What do they do?'}</button>`}>
    <${Failure} error=${state.error} />${state.text ? html`<${Pre} text=${state.text} most=${200_000} />` : html`<p class="muted">Their stacks are taken when you ask; the process goes on meanwhile.</p>`}<//>`;
}
