'use strict';
// One task: what became of it, where its time went, its attempts, inputs, outputs, log and stack.
import { html } from '../lib.js';
import { useLive } from '../live.js';
import { Answered, Facts, Panel, Pre, Ref, Title, Badge, Ago, Empty, useNow } from '../ui.js';
import { Table } from '../table.js';
import { Why } from '../why.js';
import { Log } from '../log.js';
import { beginOf, ran, waited } from './tasks.js';
import { Stack } from './workers.js';
import { bytes, duration, exact, plain, shortName, time, NONE } from '../format.js';

const CAUSES = { inputs: 'waited for inputs', place: 'waited for a place', line: 'in line at the worker', result: 'result on its way', run: 'ran' };

export function Task({ id }) {
  const path = 'api/v0/tasks/' + encodeURIComponent(id);
  const answer = useLive(path);
  const d = answer?.body?.data ?? {};
  const t = d.task ?? d.attempts?.[0];
  return html`<${Title} kind="Task" state=${t?.state}>${t ? shortName(plain(t.name)) : plain(id)}<//>
    <${Answered} answer=${answer}>${!t ? html`<${Empty}>There is no such task, or it ended too long ago.<//>` : html`
      <div class="columns">
        <${Panel} title="Facts"><${Facts} items=${[
    ['Task', html`<span class="id">${plain(t.task_id ?? id)}</span>`], ['Function', plain(t.name)], ['Job', html`<${Ref} kind="job" id=${t.job_id} />`],
    t.actor_id && ['Actor', html`<${Ref} kind="actor" id=${t.actor_id} />`], t.parent_task_id && ['Submitted by', html`<${Ref} kind="task" id=${t.parent_task_id} />`],
    ['Owner', html`<${Ref} kind="worker" id=${t.owner} />`], ['Node', html`<${Ref} kind="node" id=${t.node_id} />`], ['Worker', html`<${Ref} kind="worker" id=${t.worker_id} />`],
    ['Submitted', html`<${Ago} ms=${t.creation_time_ms} />`], ['Began', time(beginOf(t)), exact(beginOf(t))], ['Ended', time(t.end_time_ms), exact(t.end_time_ms)],
    t.input_bytes > 0 && ['Inputs', bytes(t.input_bytes)], t.output_bytes > 0 && ['Outputs', bytes(t.output_bytes)],
  ]} /><//>
        <${Panel} title="Where its time went"><${Times} task=${t} waits=${d.waits ?? []} /><//>
      </div>
      <${Why} why=${told(t, d.why) ? null : d.why} />
      ${(t.error_message || d.stack) && html`<${Panel} title=${'Error' + (t.error_type ? ': ' + plain(t.error_type).toLowerCase().replaceAll('_', ' ') : '')}>
        ${t.error_message && html`<${Pre} text=${t.error_message} />`}${d.stack && html`<h3>Stack</h3><${Pre} text=${d.stack} />`}<//>`}
      <${Panel} title="Attempts" flush><${Table} label="Attempts" columns=${ATTEMPTS} rows=${d.attempts?.length ? d.attempts : [t]} keyOf=${(a) => a.attempt_number} /><//>
      <div class="columns">
        <${Panel} title="Inputs" flush>${objects(d.inputs, 'inputs', noInputs(t, d.inputs))}<//>
        <${Panel} title="Outputs" flush>${objects(d.outputs, 'outputs', 'None of its outputs is known.')}<//>
      </div>
      ${t.state === 'RUNNING' && t.worker_id && html`<${Stack} key=${t.worker_id} id=${t.worker_id} />`}
      <${Panel} title="Log" side=${d.log?.file && html`<span class="muted">${[d.log.node_id, d.log.file].filter(Boolean).map(plain).join(': ')}</span>`}>
        <${Log} key=${id} live=${path + '/logs'} label="the task's log" /><//>`}<//>`;
}

/** Whether the error says all. */
const told = (t, why) => Boolean(t.error_message) && !(why?.chain?.length > 1) && !why?.hints?.length;

const ended = (t) => ['FINISHED', 'FAILED'].includes(t.state);

/** Which objects a task took is known while it lives. */
const noInputs = (t, known) => (known ? 'It takes no objects: its input came with it.' : `Which objects it took is known only until it ends. ${t.input_bytes > 0 ? `Its input had ${bytes(t.input_bytes)}.` : ''}`);

const ATTEMPTS = [
  { key: 'attempt_number', title: 'Attempt', w: 76, num: true },
  { key: 'state', title: 'State', w: 150, show: (t) => html`<${Badge} state=${t.state} title=${t.error_type} />` },
  { key: 'node_id', title: 'Node', w: 70, show: (t) => html`<${Ref} kind="node" id=${t.node_id} />` },
  { key: 'worker_id', title: 'Worker', w: 90, show: (t) => html`<${Ref} kind="worker" id=${t.worker_id} />` },
  { key: 'creation_time_ms', title: 'Submitted', w: 100, show: (t) => html`<span title=${exact(t.creation_time_ms)}>${time(t.creation_time_ms)}</span>` },
  { key: 'start_time_ms', title: 'Began', w: 100, show: (t) => html`<span title=${exact(beginOf(t))}>${time(beginOf(t))}</span>` },
  { key: 'wait_ms', title: 'Waited', w: 86, num: true, show: (t) => waited(t) },
  { key: 'run_ms', title: 'Ran', w: 86, num: true, show: (t) => ran(t) },
  { key: 'error_message', title: 'Error', w: 280, show: (t) => (t.error_message || t.error_type ? html`<span class="bad-text" title=${plain(t.error_message).slice(0, 1000)}>${
    plain(t.error_message || t.error_type).slice(0, 160)}</span>` : NONE) },
];

/** Waiting by cause and running, as one bar. */
function Times({ task, waits }) {
  const parts = waits.filter((w) => w.ms > 0).map((w) => ({ cause: w.cause, ms: w.ms }));
  if (!parts.length && task.wait_ms > 0) parts.push(task.state === 'PENDING_ARGS_AVAIL' ? { cause: 'inputs', ms: task.wait_ms } : { cause: 'place', ms: task.wait_ms });
  const now = useNow();
  const ranMs = task.run_ms > 0 ? task.run_ms : task.state === 'RUNNING' && beginOf(task) > 0 ? now - beginOf(task) : 0;
  if (ranMs > 0) {
    const at = parts.findIndex((p) => p.cause === 'result');
    parts.splice(at < 0 ? parts.length : at, 0, { cause: 'run', ms: ranMs, text: ended(task) ? 'ran' : 'has run' });
  }
  const all = parts.reduce((n, p) => n + p.ms, 0);
  if (!all) return html`<${Empty}>It isn't known yet.<//>`;
  return html`<div class="split" role="img" aria-label=${parts.map((p) => `${p.text ?? CAUSES[p.cause] ?? p.cause} ${duration(p.ms)}`).join(', ')}>
      ${parts.map((p) => html`<b key=${p.cause} class=${'part ' + p.cause} style=${{ flexGrow: p.ms / all }}></b>`)}</div>
    <ul class="legend">${parts.map((p) => html`<li key=${p.cause}><i class=${'part ' + p.cause} aria-hidden="true"></i>${p.text ?? CAUSES[p.cause] ?? plain(p.cause)}<b>${duration(p.ms)}</b></li>`)}
      <li class="sum">in all<b>${duration(all)}</b></li></ul>`;
}

function objects(rows, label, empty) {
  if (!rows?.length) return html`<${Empty}>${empty}<//>`;
  return html`<${Table} label=${label} columns=${OBJECTS} rows=${rows} keyOf=${(o) => o.object_id} />`;
}

const OBJECTS = [
  { key: 'object_id', title: 'Object', w: 190, show: (o) => html`<${Ref} kind="object" id=${o.object_id} />` },
  { key: 'size', title: 'Size', w: 86, num: true, show: (o) => (['PENDING', 'FAILED'].includes(o.state) ? NONE : bytes(o.size)) },
  { key: 'state', title: 'State', w: 110, show: (o) => html`<${Badge} state=${o.state} />` },
  { key: 'node_ids', title: 'On', w: 110, show: (o) => (o.node_ids?.length ? html`<span class="refs">${o.node_ids.slice(0, 8).map((n) => html`<${Ref} key=${n} kind="node" id=${n} />`)}</span>` : NONE) },
];
