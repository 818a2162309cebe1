'use strict';
// Objects in the nodes' stores and directories, and who holds them.
import { html } from '../lib.js';
import { useLive } from '../live.js';
import { Title, Ref, Badge, Ago, Stat } from '../ui.js';
import { List, Chips, Choice, filtersOf } from '../table.js';
import { bytes, count, cut, plain, NONE } from '../format.js';

const HOLDERS = 3;

/** A call site without its directory. */
const fileOf = (site) => site.slice(site.lastIndexOf('/') + 1);

export const OBJECT_COLUMNS = [
  { key: 'object_id', title: 'Object', w: 130, show: (o) => html`<span class="id" title=${plain(o.object_id)}>${plain(o.object_id)}</span>` },
  { key: 'object_size', title: 'Size', w: 78, num: true, show: (o) => bytes(o.object_size) },
  { key: 'state', title: 'State', w: 104, show: (o) => html`<${Badge} state=${o.state} />` },
  { key: 'node_id', title: 'Node', w: 62, show: (o) => html`<${Ref} kind="node" id=${o.node_id} />` },
  { key: 'in_store', title: 'In store', w: 84, show: (o) => (o.in_store ? 'yes' : 'no') },
  { key: 'pins', title: 'Pins', w: 58, num: true },
  { key: 'owner', title: 'Owner', w: 74, show: (o) => html`<${Ref} kind="worker" id=${o.owner} />` },
  { key: 'held_by', title: 'Held by', w: 142, fixed: true, show: (o) => html`<${Holders} o=${o} />` },
  { key: 'function_name', title: 'Made by', w: 104 },
  { key: 'call_site', title: 'At', w: 108, show: (o) => html`<span title=${cut(plain(o.call_site), 500)}>${cut(fileOf(plain(o.call_site)), 80) || NONE}</span>` },
  { key: 'created_time_ms', title: 'Created', w: 92, show: (o) => html`<${Ago} ms=${o.created_time_ms} />` },
];

/** Who holds an object: the process and what it is. */
function Holders({ o }) {
  const all = o.held_by ?? (o.holders ?? []).map((name) => ({ name }));
  if (!all.length) return NONE;
  const text = all.map((h) => [h.name, h.kind?.toLowerCase(), h.process, h.job_id].filter(Boolean).join(' ')).join('\n');
  return html`<span class="refs" title=${cut(plain(text), 2000)}>${all.slice(0, HOLDERS).map((h) => html`<span key=${h.name} class="holder"><${Ref} kind=${h.kind === 'NODE' ? 'node' : h.kind === 'OBJECT' ? 'object' : 'worker'} id=${h.name} />
    <small>${plain([h.process ?? h.kind?.toLowerCase(), h.job_id].filter(Boolean).join(' '))}</small></span>`)}${all.length > HOLDERS && html`<small>and ${count(all.length - HOLDERS)} more</small>`}</span>`;
}

const NAMES = ['state', 'node_id', 'job_id', 'owner'];
const STATES = [['SEALED', 'Sealed'], ['PENDING', 'Pending'], ['SPILLED', 'Spilled']];

export function Objects({ params }) {
  const status = useLive('api/cluster_status', 2000);
  const nodes = status?.body?.nodes ?? [];
  return html`<${Title}>Objects<//>
    <div class="stats">${nodes.slice(0, 12).map((n) => html`<${Stat} key=${n.node_id} label=${`Store of ${n.node_id}`} value=${bytes(n.object_store_used)} note=${`of ${bytes(n.object_store_capacity)}`} to=${`#/nodes/${n.node_id}?tab=objects`} />`)}</div>
    <${List} label="objects" path="api/v0/objects" params=${params} query=${{ detail: 1 }} every=${2000} columns=${OBJECT_COLUMNS} keyOf=${(o) => `${o.object_id} ${o.node_id}`} filters=${filtersOf(params, NAMES)}
      tools=${html`<${Choice} name="state" label="State" params=${params} values=${STATES} /><${Chips} params=${params} names=${NAMES.slice(1)} />`} empty="No store has an object, and none is owed." />`;
}
