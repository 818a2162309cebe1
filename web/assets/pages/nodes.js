'use strict';
// Nodes, and one node: what it has, what runs there, what it holds.
import { html } from '../lib.js';
import { useLive, listOf } from '../live.js';
import { apiPath, setParams } from '../route.js';
import { Panel, Facts, Meter, Title, Answered, Ago, Empty, Tabs } from '../ui.js';
import { List } from '../table.js';
import { NODE_COLUMNS } from './overview.js';
import { WORKER_COLUMNS } from './workers.js';
import { ACTOR_COLUMNS } from './actors.js';
import { TASK_COLUMNS } from './tasks.js';
import { OBJECT_COLUMNS } from './objects.js';
import { EVENT_COLUMNS } from './events.js';
import { amount, bytes, plain, time } from '../format.js';

export function Nodes({ params }) {
  return html`<${Title}>Nodes<//>
    <${List} label="nodes" path="api/v0/nodes" params=${params} columns=${NODE_COLUMNS} keyOf=${(n) => n.node_id} empty="No node has joined." />`;
}

const TABS = [['workers', 'Workers'], ['tasks', 'Tasks'], ['actors', 'Actors'], ['objects', 'Objects'], ['events', 'Events']];

export function Node({ id, params }) {
  const answer = useLive(apiPath('api/v0/nodes', { limit: 1 }, [['node_id', '=', id]]));
  const n = listOf(answer).rows[0];
  const tab = params.tab ?? 'workers';
  return html`<${Title} kind="Node" state=${n?.state}>${plain(id)}<//>
    <${Answered} answer=${answer}>${!n ? html`<${Empty}>There is no such node.<//>` : html`
      <div class="columns">
        <${Panel} title="Facts"><${Facts} items=${[
    ['Host', plain(n.hostname)], ['Address', plain(n.address)], ['Process', n.pid], ['Platform', n.platform], ['Joined', html`<${Ago} ms=${n.start_time_ms} />`],
    n.end_time_ms > 0 && ['Left', html`<${Ago} ms=${n.end_time_ms} />`], n.state_message && ['Because', plain(n.state_message)],
    n.drain_deadline_ms > 0 && ['Drains until', time(n.drain_deadline_ms)],
    Object.keys(n.labels ?? {}).length > 0 && ['Labels', plain(Object.entries(n.labels).map(([k, v]) => `${k}=${v}`).join(', '))],
  ]} /><//>
        <${Panel} title="Resources in use"><div class="meters">${Object.entries(n.resources_total ?? {}).filter(([k]) => !k.startsWith('node:') && k !== 'object_store_memory').map(([k, total]) => html`<div key=${k}>
          <span>${plain(k)}</span><${Meter} label=${k} used=${n.resources_available ? total - (n.resources_available[k] ?? 0) : null} total=${total} format=${(v) => amount(k, v)} warn=${/mem/i.test(k) ? 0.9 : 2} /></div>`)}
          <div><span>Object store</span><${Meter} label="object store" used=${n.state === 'DEAD' ? null : n.object_store_used} total=${n.object_store_capacity} format=${bytes} /></div></div><//>
      </div>
      <${Tabs} label="What is on this node" tabs=${TABS} now=${tab} choose=${(t) => setParams({ tab: t, q: '', sort: '', order: '', offset: '' })} />
      <${Here} key=${tab} tab=${tab} id=${id} params=${params} />`}<//>`;
}

function Here({ tab, id, params }) {
  const filters = [['node_id', '=', id]];
  const but = (columns) => columns.filter((c) => c.key !== 'node_id');
  const common = { params, filters, label: tab };
  if (tab === 'tasks') return html`<${List} ...${common} path="api/v0/tasks" columns=${but(TASK_COLUMNS)} keyOf=${(t) => t.task_id + t.attempt_number} />`;
  if (tab === 'actors') return html`<${List} ...${common} path="api/v0/actors" columns=${but(ACTOR_COLUMNS)} keyOf=${(a) => a.actor_id} />`;
  if (tab === 'objects') return html`<${List} ...${common} path="api/v0/objects" query=${{ detail: 1 }} every=${2000} columns=${but(OBJECT_COLUMNS)} keyOf=${(o) => o.object_id + o.node_id} />`;
  if (tab === 'events') return html`<${List} ...${common} path="api/v0/cluster_events" columns=${but(EVENT_COLUMNS)} keyOf=${(e) => e.event_id} />`;
  return html`<${List} ...${common} path="api/v0/workers" columns=${but(WORKER_COLUMNS)} keyOf=${(w) => w.worker_id} />`;
}

