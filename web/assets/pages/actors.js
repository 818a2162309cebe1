'use strict';
// Actors, and one actor: its states, where it lived, what it died of, its calls.
import { html } from '../lib.js';
import { useLive, listOf } from '../live.js';
import { apiPath } from '../route.js';
import { Answered, Facts, Panel, Ref, Title, Badge, Ago, Empty, Span } from '../ui.js';
import { List, Chips, Choice, filtersOf } from '../table.js';
import { Why } from '../why.js';
import { TASK_COLUMNS } from './tasks.js';
import { cut, exact, plain, resources, shortName, time, NONE } from '../format.js';

export const ACTOR_COLUMNS = [
  { key: 'actor_id', title: 'Actor', w: 168, show: (a) => html`<${Ref} kind="actor" id=${a.actor_id} />` },
  { key: 'class_name', title: 'Class', w: 170, show: (a) => html`<span title=${cut(plain(a.class_name), 500)}>${shortName(plain(a.class_name))}</span>` },
  { key: 'name', title: 'Name', w: 130 },
  { key: 'state', title: 'State', w: 110, show: (a) => html`<${Badge} state=${a.state} title=${a.pending_reason || a.state} />` },
  { key: 'job_id', title: 'Job', w: 60, show: (a) => html`<${Ref} kind="job" id=${a.job_id} />` },
  { key: 'node_id', title: 'Node', w: 64, show: (a) => html`<${Ref} kind="node" id=${a.node_id} />` },
  { key: 'pid', title: 'Process', w: 80, num: true, show: (a) => a.pid || NONE },
  { key: 'num_restarts', title: 'Restarts', w: 84, num: true },
  { key: 'start_time_ms', title: 'Created', w: 100, show: (a) => html`<${Ago} ms=${a.start_time_ms} />` },
  { key: 'required_resources', title: 'Needs', w: 130, fixed: true, show: (a) => resources(a.required_resources) },
  { key: 'death_cause', title: 'Why', w: 300, show: (a) => { const w = a.death_cause || a.pending_reason; return w ? html`<span title=${cut(plain(w), 1000)}>${cut(plain(w), 160)}</span>` : NONE; } },
];

const STATES = [['ALIVE', 'Alive'], ['PENDING_CREATION', 'Pending'], ['RESTARTING', 'Restarting'], ['DEAD', 'Dead']];
const NAMES = ['state', 'job_id', 'node_id', 'class_name'];

export function Actors({ params }) {
  return html`<${Title}>Actors<//>
    <${List} label="actors" path="api/v0/actors" params=${params} columns=${ACTOR_COLUMNS} keyOf=${(a) => a.actor_id} filters=${filtersOf(params, NAMES)}
      tools=${html`<${Choice} name="state" label="State" params=${params} values=${STATES} /><${Chips} params=${params} names=${NAMES.slice(1)} />`} empty="There are no actors." />`;
}

export function Actor({ id, params }) {
  const detail = useLive('api/v0/actors/' + encodeURIComponent(id));
  const listed = useLive(detail?.status >= 400 ? apiPath('api/v0/actors', { limit: 1 }, [['actor_id', '=', id]]) : null);
  const d = detail?.body?.data ?? {};
  const a = d.actor ?? listOf(listed).rows[0];
  return html`<${Title} kind="Actor" state=${a?.state}>${a ? plain(a.name) || shortName(plain(a.class_name)) : plain(id)}<//>
    <${Answered} answer=${detail?.status >= 400 ? listed : detail}>${!a ? html`<${Empty}>There is no such actor.<//>` : html`
      <div class="columns">
        <${Panel} title="Facts"><${Facts} items=${[
    ['Actor', html`<span class="id">${plain(a.actor_id)}</span>`], ['Class', plain(a.class_name)], a.name && ['Name', plain(a.name)], a.ray_namespace && ['Namespace', plain(a.ray_namespace)],
    ['Job', html`<${Ref} kind="job" id=${a.job_id} />`], ['Node', html`<${Ref} kind="node" id=${a.node_id} />`], ['Process', a.pid || NONE],
    ['Created', html`<${Ago} ms=${a.start_time_ms} />`], [a.end_time_ms > 0 ? 'Lived' : 'Lives for', html`<${Span} from=${a.start_time_ms} to=${a.end_time_ms} />`],
    ['Restarts', a.num_restarts], ['Incarnation', a.incarnation], ['Needs', resources(a.required_resources)], ['Detached', a.is_detached ? 'yes' : 'no'],
    a.death_cause && [a.state === 'DEAD' ? 'Cause of death' : 'Died last of', html`<span class="bad-text">${cut(plain(a.death_cause), 2000)}</span>`], a.pending_reason && ['Waits', cut(plain(a.pending_reason), 1000)],
  ]} /><//>
        <${Panel} title="States"><${History} rows=${d.history ?? []} earlier=${d.earlier} actor=${a} /><//>
      </div>
      <${Why} why=${d.why} />
      <h2 class="section">Calls</h2>
      <${List} label="calls" path="api/v0/tasks" params=${params} filters=${[['actor_id', '=', id]]} columns=${TASK_COLUMNS.filter((c) => c.key !== 'job_id')}
        keyOf=${(t) => `${t.task_id} ${t.attempt_number}`} empty="No call of it is known." />`}<//>`;
}

/** The state machine's way, the newest state first. */
function History({ rows, earlier, actor }) {
  const all = rows.length ? [...rows].reverse() : [{ state: actor.state, node_id: actor.node_id, pid: actor.pid, time_ms: actor.end_time_ms || actor.start_time_ms }];
  return html`<ol class="history">${all.slice(0, 50).map((h, i) => html`<li key=${h.time_ms + h.state + i}>
    <${Badge} state=${h.state} /><time title=${exact(h.time_ms)}>${time(h.time_ms)}</time>
    <span class="muted">${h.node_id ? html`on <${Ref} kind="node" id=${h.node_id} />` : ''}${h.pid ? `, process ${h.pid}` : ''}${h.incarnation ? `, incarnation ${h.incarnation}` : ''}</span>
    ${h.message && html`<p>${cut(plain(h.message), 1000)}</p>`}</li>`)}
    ${earlier && html`<li class="muted">What was before isn’t known any more.</li>`}</ol>`;
}
