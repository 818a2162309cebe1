'use strict';
// A list of the API as a table: paged, sorted and searched by the server. Of many rows
// only those in sight are in the document.
import { Component, html, useState, useRef, useLayoutEffect, useEffect } from './lib.js';
import { useLive, listOf } from './live.js';
import { apiPath, setParams } from './route.js';
import { Answered, Empty, Warnings } from './ui.js';
import { count, NONE, plain, cut } from './format.js';

const ROW = 30; // pixels, as in parts.css
const AROUND = 12; // rows drawn beyond those in sight
const WINDOWED = 120; // fewer rows are drawn all
const FEW = 20; // more rows scroll below their heading
const SIZES = [50, 100, 500, 1000, 10000];

/**
 * @typedef {object} Column
 * @property {string} key of the row, and what the server sorts by
 * @property {string} title
 * @property {(row: any) => any} [show] the cell; the value as text without
 * @property {number} w width in pixels; what is left over is shared out
 * @property {boolean} [num] aligned to the right
 * @property {boolean} [fixed] can't be sorted by
 * @property {boolean} [wrap] its text takes as many lines as it needs: only where few rows are
 */

/** @type {(c: Column, row: any) => any} */
const cell = (c, row) => (c.show ? c.show(row) : row[c.key] == null || row[c.key] === '' ? NONE : cut(plain(row[c.key]), 300));

/** Rows as a table. Sorting is the caller's, by sortBy. */
export function Table({ label, columns, rows, keyOf, sort, order, sortBy, first = 0, total = rows.length }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const windowed = rows.length > WINDOWED;
  useLayoutEffect(() => {
    const el = box.current;
    if (!el || !windowed) return undefined;
    let frame = 0;
    const look = () => {
      frame ||= requestAnimationFrame(() => { frame = 0; setView({ top: el.scrollTop, height: el.clientHeight }); });
    };
    look();
    el.addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => { cancelAnimationFrame(frame); el.removeEventListener('scroll', look); removeEventListener('resize', look); };
  }, [windowed]);
  const from = windowed ? Math.max(0, Math.min(rows.length, Math.floor(view.top / ROW)) - AROUND) : 0;
  const to = windowed ? Math.min(rows.length, Math.ceil((view.top + view.height) / ROW) + AROUND) : rows.length;
  const width = columns.reduce((n, c) => n + c.w, 0);
  return html`<div class=${'scroll' + (windowed ? ' tall' : rows.length > FEW ? ' long' : '')} ref=${box} tabindex="0" role="region" aria-label=${label}>
    <table style=${{ minWidth: width + 'px' }} aria-label=${label} aria-rowcount=${total + 1}>
      <colgroup>${columns.map((c) => html`<col key=${c.key} style=${{ width: c.w + 'px' }} />`)}</colgroup>
      <thead><tr aria-rowindex="1">${columns.map((c) => html`<${Heading} key=${c.key} c=${c} sort=${sort} order=${order} sortBy=${sortBy} />`)}</tr></thead>
      <tbody>
        ${from > 0 && html`<tr key="above" aria-hidden="true" class="gap"><td colspan=${columns.length} style=${{ height: from * ROW + 'px' }}></td></tr>`}
        ${rows.slice(from, to).map((row, i) => html`<${Row} key=${keyOf(row)} row=${row} columns=${columns} index=${first + from + i + 2} />`)}
        ${to < rows.length && html`<tr key="below" aria-hidden="true" class="gap"><td colspan=${columns.length} style=${{ height: (rows.length - to) * ROW + 'px' }}></td></tr>`}
      </tbody>
    </table></div>`;
}

/** A row is drawn anew when another answer has come, not whenever the table is scrolled. */
class Row extends Component {
  shouldComponentUpdate(next) { return next.row !== this.props.row || next.columns !== this.props.columns || next.index !== this.props.index; }

  render({ row, columns, index }) {
    return html`<tr aria-rowindex=${index}>${columns.map((c) => html`<td key=${c.key} class=${c.num ? 'num' : c.wrap ? 'wrap' : ''}>${cell(c, row)}</td>`)}</tr>`;
  }
}

function Heading({ c, sort, order, sortBy }) {
  const on = sort === c.key;
  if (!sortBy || c.fixed) return html`<th scope="col" class=${c.num ? 'num' : ''}>${c.title}</th>`;
  return html`<th scope="col" class=${c.num ? 'num' : ''} aria-sort=${on ? (order === 'desc' ? 'descending' : 'ascending') : 'none'}>
    <button onClick=${() => sortBy(c.key, on && order !== 'desc' ? 'desc' : 'asc')}>${c.title}<i aria-hidden="true">${on ? (order === 'desc' ? '▾' : '▴') : ''}</i></button></th>`;
}

/**
 * A list of the API. Page, order and search are in the address, with a prefix if a page
 * has several lists.
 * @param {{path: string, params: Record<string, string>, columns: Column[], keyOf: (row: any) => string, filters?: string[][], label: string,
 *   empty?: any, tools?: any, every?: number, query?: object, prefix?: string, size?: number}} props
 */
export function List({ path, params, columns, keyOf, filters = [], label, empty = 'There are none.', tools, every = 1000, query = {}, prefix = '', size = 100 }) {
  const p = (name) => params[prefix + name] ?? '';
  const set = (change) => setParams(Object.fromEntries(Object.entries(change).map(([k, v]) => [prefix + k, v])));
  const limit = Math.min(10000, Number(p('limit')) || size);
  const offset = Math.max(0, Number(p('offset')) || 0);
  const rate = limit > 1000 ? 5000 : limit > 100 ? Math.max(2000, every) : every;
  const full = apiPath(path, { ...query, limit, offset: offset || '', sort: p('sort'), order: p('sort') && p('order'), q: p('q') }, filters);
  const narrowed = Boolean(p('q') || params.state || params.status || params.severity);
  const answer = useLast(useLive(full, rate), path);
  const { rows, total, all, warnings } = listOf(answer);
  return html`<div class="list">
    <div class="toolbar">
      <${Search} value=${p('q')} label=${'Search ' + label} set=${(q) => set({ q, offset: '' })} />
      ${tools}
      <${Pager} offset=${offset} limit=${limit} shown=${rows.length} total=${total} all=${narrowed ? all : total} set=${set} size=${size} loaded=${answer != null} />
    </div>
    <${Warnings} list=${warnings} />
    <${Answered} answer=${answer}>
      ${rows.length ? html`<${Table} label=${label} columns=${columns} rows=${rows} keyOf=${keyOf} sort=${p('sort')} order=${p('order')} first=${offset} total=${total}
        sortBy=${(sort, order) => set({ sort, order, offset: '' })} />`
    : html`<${Empty}>${narrowed ? 'Nothing fits.' : empty}<//>`}
    <//></div>`;
}

/** The last answer of this list stays in sight while the next page's is on its way. */
function useLast(answer, list) {
  const last = useRef({ list, answer: null });
  if (answer || last.current.list !== list) last.current = { list, answer };
  return last.current.answer;
}

function Search({ value, set, label }) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => { setText(value); }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (e) => {
    const q = e.currentTarget.value;
    setText(q);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set(q), 250);
  };
  return html`<input class="search" type="search" placeholder="Search  ( / )" aria-label=${label} value=${text} maxlength="200" onInput=${type} />`;
}

function Pager({ offset, limit, shown, total, all, set, size, loaded }) {
  const last = Math.max(offset + shown, Math.min(total, offset + shown));
  const text = !loaded ? '' : shown === 0 ? '0' : `${count(offset + 1)}–${count(last)} of ${count(Math.max(total, last))}`;
  return html`<div class="pager" aria-label="Pages" role="group">
    <span class="where" aria-live="polite">${text}${loaded && all > total ? ` (${count(all)} in all)` : ''}</span>
    ${(total > SIZES[0] || limit !== size) && html`<select aria-label="Rows a page" value=${limit} onChange=${(e) => set({ limit: e.currentTarget.value, offset: '' })}>
      ${[...new Set([...SIZES, limit])].sort((a, b) => a - b).map((n) => html`<option key=${n} value=${n}>${count(n)}</option>`)}</select>`}
    <button aria-label="Previous page" disabled=${offset === 0} onClick=${() => set({ offset: Math.max(0, offset - limit) || '' })}>‹</button>
    <button aria-label="Next page" disabled=${offset + shown >= total} onClick=${() => set({ offset: offset + limit })}>›</button>
  </div>`;
}

/** A choice among a column's values, kept in the address. */
export function Choice({ name, label, params, values }) {
  const now = params[name] ?? '';
  const all = now && !values.some(([v]) => v === now) ? [[now, now], ...values] : values;
  return html`<select aria-label=${label} value=${now} onChange=${(e) => setParams({ [name]: e.currentTarget.value, offset: '' })}>
    <option value="">${label}: all</option>${all.map(([v, text]) => html`<option key=${v} value=${v}>${cut(plain(text), 60)}</option>`)}</select>`;
}

/** Filters of the address that a page was opened with, which can be taken off. */
export function filtersOf(params, names) {
  return names.filter((n) => params[n]).map((n) => [n, '=', params[n]]);
}

export function Chips({ params, names }) {
  return names.filter((n) => params[n]).map((n) => html`<button key=${n} class="chip" title="Take this filter off" onClick=${() => setParams({ [n]: '', offset: '' })}>
    ${n.replace(/_id$/, '').replaceAll('_', ' ')}: ${cut(plain(params[n]), 60)} <span aria-hidden="true">×</span></button>`);
}
