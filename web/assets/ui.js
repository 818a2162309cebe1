'use strict';
// The parts that pages are made of.
import { html, useState, useEffect } from './lib.js';
import { href } from './route.js';
import { NONE, ago, exact, percent, plain, cut, duration } from './format.js';

const TONES = {
  ok: ['ALIVE', 'CREATED', 'SUCCEEDED', 'FINISHED', 'LEADER', 'SEALED', 'INFO', 'IDLE', 'READY'],
  run: ['RUNNING', 'FOLLOWER', 'LEASED', 'SUBMITTED_TO_WORKER', 'PLACED', 'ACTOR'],
  wait: ['PENDING', 'PENDING_CREATION', 'PENDING_ARGS_AVAIL', 'PENDING_NODE_ASSIGNMENT', 'RESTARTING', 'RESCHEDULING', 'DRAINING', 'CANDIDATE',
    'WARNING', 'BLOCKED', 'SPILLED', 'WAITING', 'STARTING', 'REFUSED'],
  bad: ['DEAD', 'FAILED', 'UNREACHABLE', 'ERROR', 'CRASHED', 'LOST'],
};
const toneOf = new Map(Object.entries(TONES).flatMap(([tone, all]) => all.map((s) => [s, tone])));

/** What a state means for the eye: ok, run, wait, bad or off. */
export const tone = (state) => toneOf.get(String(state ?? '').toUpperCase()) ?? 'off';

const LABELS = {
  PENDING_ARGS_AVAIL: 'NEEDS INPUTS', PENDING_NODE_ASSIGNMENT: 'NEEDS A PLACE', SUBMITTED_TO_WORKER: 'IN LINE', PENDING_CREATION: 'PENDING',
};

export function Badge({ state, title }) {
  if (!state) return NONE;
  return html`<span class=${'badge ' + tone(state)} title=${title ?? state}><i aria-hidden="true"></i>${LABELS[state] ?? plain(state).replaceAll('_', ' ')}</span>`;
}

export function Panel({ title, side, children, flush, id }) {
  return html`<section class=${'panel' + (flush ? ' flush' : '')} aria-labelledby=${id}>
    ${title && html`<header><h2 id=${id}>${title}</h2>${side && html`<div class="side">${side}</div>`}</header>`}
    <div class="body">${children}</div>
  </section>`;
}

/** Pairs of a name and a value, those that are missing left out unless keep. */
export function Facts({ items }) {
  return html`<dl class="facts">${items.filter(Boolean).map(([name, v, title]) => html`<div key=${name}><dt>${name}</dt><dd title=${title}>${v ?? NONE}</dd></div>`)}</dl>`;
}

/** How much of something is used, as a bar and in words. */
export function Meter({ label, used, total, format, warn = 0.9 }) {
  const share = total > 0 ? Math.min(1, Math.max(0, used / total)) : 0;
  const text = used == null ? NONE : `${format(used)} / ${format(total)}`;
  return html`<div class="meter" role="meter" aria-label=${label} aria-valuemin="0" aria-valuemax=${total ?? 0} aria-valuenow=${used ?? 0} aria-valuetext=${text}
    title=${label + ': ' + percent(used, total)}>
    <span class=${'fill' + (share >= warn ? ' high' : '')}><b style=${{ width: `${(share * 100).toFixed(1)}%` }}></b></span><span class="text">${text}</span></div>`;
}

/** A number that matters, with what it's about. */
export function Stat({ label, value, note, to, bad }) {
  const body = html`<span class="label">${label}</span><span class=${'value' + (bad ? ' bad' : '')}>${value}</span>${note && html`<span class="note">${note}</span>`}`;
  return to ? html`<a class="stat" href=${to}>${body}</a>` : html`<div class="stat">${body}</div>`;
}

export function Empty({ children }) { return html`<p class="empty">${children}</p>`; }

export function Loading() { return html`<p class="empty" role="status">Loading…</p>`; }

export function Failure({ error }) { return error ? html`<p class="notice bad" role="alert">${cut(plain(error), 2000)}</p>` : null; }

/** What an answer leaves out, as the cluster says it. */
export function Warnings({ list }) {
  return list?.length ? html`<ul class="notice wait warnings">${list.slice(0, 8).map((w) => html`<li>${cut(plain(w), 400)}</li>`)}</ul>` : null;
}

/** What is there in place of a view's content: nothing yet, an error, or the content. */
export function Answered({ answer, children }) {
  if (!answer) return html`<${Loading} />`;
  if (answer.error && answer.body == null) return html`<${Failure} error=${answer.error} />`;
  return html`<${Failure} error=${answer.error} />${children}`;
}

let clocks = new Set();
let ticking = 0;
/** The time, again each second. */
export function useNow() {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    clocks.add(set);
    ticking ||= setInterval(() => { const t = Date.now(); for (const f of clocks) f(t); }, 1000);
    return () => {
      clocks.delete(set);
      if (clocks.size === 0) { clearInterval(ticking); ticking = 0; }
    };
  }, []);
  return now;
}

/** How long ago a time was; it goes on by itself. */
export function Ago({ ms }) {
  const now = useNow();
  return html`<time title=${exact(ms)}>${ago(ms, now)}</time>`;
}

/** How long something took, or takes since it began. */
export function Span({ from, to }) {
  const now = useNow();
  if (!(from > 0)) return NONE;
  const d = (to > 0 ? to : now) - from;
  return html`<span title=${exact(from)}>${duration(to > 0 || d < 1000 ? Math.max(0, d) : Math.floor(d / 1000) * 1000)}</span>`;
}

const REFS = {
  node: (id) => ['nodes', id], job: (id) => ['jobs', id], task: (id) => ['tasks', id], actor: (id) => ['actors', id], run: (id) => ['runs', id],
  worker: (id) => ['workers', id],
};

/** A link to the page of a thing by its id. */
export function Ref({ kind, id, text }) {
  if (!id) return NONE;
  const shown = cut(plain(text ?? id), 80);
  if (kind === 'object') return html`<a class="id" href=${href(['objects'], { q: id })}>${shown}</a>`;
  if (kind === 'group') return html`<a class="id" href=${href(['groups'], { q: id })}>${shown}</a>`;
  return html`<a class="id" href=${href(REFS[kind](id))} title=${plain(id)}>${shown}</a>`;
}

/** Ids of these are long: a link to one says what it is. */
const LONG = ['actor', 'task'];

/** Links to what a row names. */
export function Refs({ row, kinds = ['node', 'job', 'actor', 'task', 'worker'] }) {
  const all = kinds.filter((k) => row[`${k}_id`]).map((k) => html`<${Ref} key=${k} kind=${k} id=${row[`${k}_id`]} text=${LONG.includes(k) ? k : undefined} />`);
  return all.length ? html`<span class="refs">${all}</span>` : NONE;
}

/** Views of which one is shown. The choice is kept in the address by the caller. */
export function Tabs({ tabs, now, choose, label }) {
  const move = (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!step) return;
    const i = tabs.findIndex(([id]) => id === now);
    const next = tabs[(i + step + tabs.length) % tabs.length][0];
    choose(next);
    e.currentTarget.querySelector(`[data-tab="${next}"]`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>${tabs.map(([id, text]) => html`
    <button key=${id} role="tab" data-tab=${id} aria-selected=${id === now} tabindex=${id === now ? 0 : -1} onClick=${() => choose(id)}>${text}</button>`)}</div>`;
}

/** The head of a page. */
export function Title({ kind, children, state, side }) {
  return html`<div class="title"><h1>${kind && html`<small>${kind}</small>`}${children}</h1>${state && html`<${Badge} state=${state} />`}<div class="side">${side}</div></div>`;
}

/** Text in a box, as it came. */
export function Pre({ text, most = 20_000 }) { return html`<pre class="text">${cut(plain(text), most)}</pre>`; }
