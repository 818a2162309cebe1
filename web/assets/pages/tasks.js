'use strict';
// Tasks: those that live, and the newest of those that ended.
import { html } from '../lib.js';
import { Title, Ref, Badge, Ago, Span } from '../ui.js';
import { List, Chips, Choice, filtersOf } from '../table.js';
import { cut, duration, plain, shortName, NONE } from '../format.js';

export const TASK_COLUMNS = [
  { key: 'task_id', title: 'Task', w: 130, show: (t) => html`<${Ref} kind="task" id=${t.task_id} />` },
  { key: 'name', title: 'Function', w: 162, show: (t) => html`<span title=${cut(plain(t.name), 500)}>${shortName(plain(t.name))}</span>` },
  { key: 'state', title: 'State', w: 154, show: (t) => html`<${Badge} state=${t.state} title=${stateTitle(t)} />` },
  { key: 'job_id', title: 'Job', w: 46, show: (t) => html`<${Ref} kind="job" id=${t.job_id} />` },
  { key: 'node_id', title: 'Node', w: 56, show: (t) => html`<${Ref} kind="node" id=${t.node_id} />` },
  { key: 'worker_id', title: 'Worker', w: 70, show: (t) => html`<${Ref} kind="worker" id=${t.worker_id} />` },
  { key: 'creation_time_ms', title: 'Submitted', w: 90, show: (t) => html`<${Ago} ms=${t.creation_time_ms} />` },
  { key: 'wait_ms', title: 'Waited', w: 78, num: true, show: (t) => waited(t) },
  { key: 'run_ms', title: 'Ran', w: 78, num: true, show: (t) => ran(t) },
  { key: 'attempt_number', title: 'Attempt', w: 76, num: true },
  { key: 'error_message', title: 'Error', w: 100, show: (t) => (t.error_type || t.error_message ? html`<span class="bad-text" title=${cut(plain(t.error_message), 1000)}>${
    cut(plain(t.error_message || t.error_type), 160)}</span>` : NONE) },
];

/** When it began; while it runs its owner knows only when it was sent to its worker. */
export const beginOf = (t) => (t.start_time_ms > 0 ? t.start_time_ms : t.state === 'RUNNING' ? t.submitted_time_ms : 0);

/** How long it has waited: unknown of one whose submission nobody has noted. */
export const waited = (t) => (t.creation_time_ms > 0 ? duration(t.state === 'RUNNING' && beginOf(t) > 0 ? beginOf(t) - t.creation_time_ms : t.wait_ms) : NONE);

/** How long it has run: nothing of one that hasn't begun. */
export const ran = (t) => (t.start_time_ms > 0 && t.run_ms > 0 ? duration(t.run_ms) : t.state === 'RUNNING' ? html`<${Span} from=${beginOf(t)} />` : NONE);

function stateTitle(t) { return [t.state, t.error_type].filter(Boolean).join(': '); }

export const STATES = [
  ['RUNNING', 'Running'], ['PENDING_NODE_ASSIGNMENT', 'Waits for a place'], ['PENDING_ARGS_AVAIL', 'Waits for inputs'], ['SUBMITTED_TO_WORKER', 'In line at a worker'],
  ['FINISHED', 'Finished'], ['FAILED', 'Failed'],
];

const NAMES = ['state', 'job_id', 'name', 'actor_id', 'node_id', 'worker_id'];

export function Tasks({ params }) {
  return html`<${Title}>Tasks<//>
    <${List} label="tasks" path="api/v0/tasks" params=${params} columns=${TASK_COLUMNS} keyOf=${(t) => `${t.task_id} ${t.attempt_number}`} filters=${filtersOf(params, NAMES)}
      tools=${html`<${Choice} name="state" label="State" params=${params} values=${STATES} /><${Chips} params=${params} names=${NAMES.slice(1)} />`} empty="No task is known." />`;
}
