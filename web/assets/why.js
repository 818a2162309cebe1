'use strict';
// What something waits for, or what it died of, as the cluster says it.
import { html } from './lib.js';
import { Badge, Facts, Panel, Pre, Ref, tone } from './ui.js';
import { cut, plain, resources } from './format.js';

const NODES = 24;
const kindOf = { task: 'task', actor: 'actor', job: 'job', node: 'node', object: 'object', process: 'worker', 'placement group': 'group' };

/** Whether it says no more than the state does. */
const said = (why) => ['ok', 'run'].includes(tone(why.state)) && !why.cause && !(why.chain?.length > 1) && !why.hints?.length;

/** @param {{why: any, title?: string}} props */
export function Why({ why, title = 'Why' }) {
  if (!why?.summary && !why?.chain?.length || said(why)) return null;
  return html`<${Panel} title=${title} side=${why.state && html`<${Badge} state=${why.state} />`}>
    <p class="sentence">${cut(plain(why.summary), 1000)}${why.infeasible && html` <b class="bad-text">No node could ever take it.</b>`}</p>
    ${why.chain?.length > 1 && html`<ol class="chain" aria-label="Chain of causes">${why.chain.slice(0, 50).map((s) => html`<li>${cut(plain(s), 600)}</li>`)}</ol>`}
    ${why.hints?.map((s) => html`<p class="notice wait">${cut(plain(typeof s === 'string' ? s : s.sentence), 600)}</p>`)}
    <${Facts} items=${[
    why.resources && ['Needs', resources(why.resources)],
    why.waits_for?.length && ['Waits for', html`<span class="refs">${why.waits_for.slice(0, 20).map((id) => html`<${Ref} key=${id} kind="task" id=${id.split(' ')[0]} text=${id} />`)}</span>`],
  ]} />
    ${why.cause && html`<h3>Cause</h3><p>${cut(plain(why.cause), 1000)}</p>`}
    ${why.related?.length > 0 && html`<p class="related">See also ${why.related.slice(0, 12).map((r) => html`<span key=${r.kind + r.id}>${
      kindOf[r.kind] ? html`<${Ref} kind=${kindOf[r.kind]} id=${r.id} />` : plain(r.id)} <small>${cut(plain(r.what), 120)}</small></span>`)}</p>`}
    ${why.nodes?.length > 0 && html`<${Verdicts} nodes=${why.nodes} more=${why.more_nodes ?? 0} />`}
    ${why.log_tail && html`<h3>Last lines of the log</h3><${Pre} text=${why.log_tail} />`}
  <//>`;
}

/** What each node says to a demand. */
function Verdicts({ nodes, more }) {
  return html`<table class="small" aria-label="What each node says"><tbody>${nodes.slice(0, NODES).map((n) => html`<tr key=${n.node_id}>
    <th scope="row"><${Ref} kind="node" id=${n.node_id} /></th><td><span class=${'dot ' + (n.fits ? 'ok' : 'bad')} aria-hidden="true"></span>${n.fits ? 'fits' : cut(plain(n.reason), 300)}</td></tr>`)}</tbody></table>
    ${more + Math.max(0, nodes.length - NODES) > 0 && html`<p class="muted">${more + Math.max(0, nodes.length - NODES)} more nodes</p>`}`;
}
