'use strict';
// Placement groups, drawn over the nodes that they reserve.
import { html, useState } from '../lib.js';
import { useLive, listOf } from '../live.js';
import { Title, Panel, Ref, Badge, Ago, Answered } from '../ui.js';
import { List } from '../table.js';
import { count, cut, plain, resources, NONE } from '../format.js';

const DRAWN = 2000; // bundles

const COLUMNS = [
  { key: 'placement_group_id', title: 'Group', w: 170, show: (g) => html`<span class="id">${plain(g.placement_group_id)}</span>` },
  { key: 'name', title: 'Name', w: 140 },
  { key: 'state', title: 'State', w: 116, show: (g) => html`<${Badge} state=${g.state} />` },
  { key: 'strategy', title: 'Strategy', w: 144 },
  { key: 'bundles', title: 'Bundles', w: 80, num: true, fixed: true, show: (g) => count(g.bundles?.length ?? 0) },
  { key: 'creator_job_id', title: 'Job', w: 64, show: (g) => html`<${Ref} kind="job" id=${g.creator_job_id} />` },
  { key: 'generation', title: 'Placements', w: 96, num: true },
  { key: 'create_time_ms', title: 'Created', w: 100, show: (g) => html`<${Ago} ms=${g.create_time_ms} />` },
  { key: 'pending_reason', title: 'Why', w: 340, show: (g) => { const w = g.pending_reason || g.removal_cause; return w ? html`<span title=${cut(plain(w), 1000)}>${cut(plain(w), 200)}</span>` : NONE; } },
];

export function Groups({ params }) {
  const status = useLive('api/cluster_status', 2000);
  const groups = useLive('api/v0/placement_groups?limit=200', 1000);
  return html`<${Title}>Placement groups<//>
    <${Answered} answer=${groups}><${Drawn} groups=${listOf(groups).rows.filter((g) => g.state !== 'REMOVED')} nodes=${status?.body?.nodes ?? []} /><//>
    <${List} label="placement groups" path="api/v0/placement_groups" params=${params} columns=${COLUMNS} keyOf=${(g) => g.placement_group_id} empty="There are no placement groups." />`;
}

/** A column a node, with its bundles as boxes: one colour a group. */
function Drawn({ groups, nodes }) {
  const [over, setOver] = useState('');
  const bundles = groups.flatMap((g, i) => (g.bundles ?? []).map((b) => ({ ...b, group: g, tint: 1 + i % 8 }))).slice(0, DRAWN);
  if (!bundles.length) return null;
  const unplaced = bundles.filter((b) => !b.node_id);
  const ids = [...new Set([...nodes.map((n) => n.node_id), ...bundles.map((b) => b.node_id).filter(Boolean)])];
  const of = new Map(nodes.map((n) => [n.node_id, n]));
  const box = (b) => html`<${Box} key=${b.group.placement_group_id + b.bundle_index} b=${b} dim=${over && over !== b.group.placement_group_id} hover=${setOver} />`;
  return html`<${Panel} title="Bundles on nodes" side=${html`<${Legend} groups=${groups} hover=${setOver} />`}>
    <div class="nodes-drawn">${ids.map((id) => html`<section key=${id} class="column" aria-label=${'Bundles on ' + id}>
      <header><${Ref} kind="node" id=${id} /><small>${of.has(id) ? resources({ CPU: of.get(id).resources_total?.CPU }) : ''}</small></header>
      <div class="boxes">${bundles.filter((b) => b.node_id === id).map(box)}</div></section>`)}
      ${unplaced.length > 0 && html`<section class="column unplaced" aria-label="Bundles without a node"><header>no node yet</header><div class="boxes">${unplaced.map(box)}</div></section>`}
    </div><//>`;
}

function Box({ b, dim, hover }) {
  const g = b.group;
  const name = plain(g.name || g.placement_group_id);
  const text = `${name}, bundle ${b.bundle_index}: ${resources(b.unit_resources)}${b.node_id ? ' on ' + b.node_id : '; ' + plain(g.pending_reason ?? 'not placed')}`;
  return html`<div class=${`box tint${b.tint}` + (dim ? ' dim' : '')} title=${text} onMouseEnter=${() => hover(g.placement_group_id)} onMouseLeave=${() => hover('')}>
    <b>${cut(name, 24)}<small>#${b.bundle_index}</small></b><span>${resources(b.unit_resources)}</span></div>`;
}

function Legend({ groups, hover }) {
  return html`<ul class="legend line">${groups.slice(0, 12).map((g, i) => html`<li key=${g.placement_group_id} onMouseEnter=${() => hover(g.placement_group_id)} onMouseLeave=${() => hover('')}>
    <i class=${`tint${1 + i % 8}`} aria-hidden="true"></i>${cut(plain(g.name || g.placement_group_id), 30)}</li>`)}</ul>`;
}
