'use strict';
// The output of a job, task or process: its latest lines, followed.
import { html, useState, useEffect, useRef, useLayoutEffect, useMemo } from './lib.js';
import { reason, useLive } from './live.js';
import { runs, State, settled } from './ansi.js';
import { count } from './format.js';
import { Empty, Failure, Loading } from './ui.js';

const MAX_LINES = 20_000;
const MAX_LINE = 4000; // characters of a line that are shown
const MAX_KEPT = 64_000; // characters of an unfinished line that are kept
const ROW = 18; // pixels, as in parts.css
const POLL_MS = 2000;

/** So many lines of a log's end are asked for to begin with. */
export const LINES = 5000;

/** The lines of a text that grows, the oldest ones dropped. */
export class Lines {
  constructor() { this.clear(); }

  clear() { this.all = []; this.dropped = 0; this.open = ''; this.cut = 0; }

  /** @param {string} text more of it */
  add(text) {
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      this.grow(text.slice(from, at));
      this.all.push(this.line());
      this.open = '';
      this.cut = 0;
      from = at + 1;
    }
    this.grow(text.slice(from));
    if (this.all.length > MAX_LINES * 1.1) {
      const over = this.all.length - MAX_LINES;
      this.all.splice(0, over);
      this.dropped += over;
    }
  }

  grow(text) {
    const room = MAX_KEPT - this.open.length;
    this.open += text.slice(0, room);
    this.cut += Math.max(0, text.length - room);
  }

  line() {
    const text = settled(this.open);
    const more = this.cut + Math.max(0, text.length - MAX_LINE);
    return more ? { text: text.slice(0, MAX_LINE), more } : { text, more: 0 };
  }

  /** All lines, the one that isn't finished included. */
  lines() { return this.open ? [...this.all, this.line()] : this.all; }
}

/** Follows an output: an answer that goes on, or one that is asked for again and again. */
function useTail({ stream, live }) {
  const answer = useLive(live ?? null, POLL_MS);
  const lines = useRef(new Lines());
  const [view, set] = useState({ n: 0, error: '', loaded: false });
  useEffect(() => {
    lines.current.clear();
    set({ n: 0, error: '', loaded: false });
    if (!stream) return undefined;
    const stop = new AbortController();
    let frame = 0;
    let failure = '';
    const show = (error) => {
      failure = error;
      frame ||= requestAnimationFrame(() => { frame = 0; set((v) => ({ n: v.n + 1, error: failure, loaded: true })); });
    };
    follow(stream, stop.signal, lines.current, show);
    return () => { stop.abort(); cancelAnimationFrame(frame); };
  }, [stream, live]);
  const length = useRef(0);
  useEffect(() => {
    if (!live || !answer) return;
    const logs = answer.body?.logs ?? '';
    if (logs.length < length.current) { lines.current.clear(); length.current = 0; }
    lines.current.add(logs.slice(length.current));
    length.current = logs.length;
    set((v) => ({ n: v.n + 1, error: answer.status === 404 ? '' : answer.error, loaded: true }));
  }, [live, answer]);
  return { lines: lines.current.lines(), dropped: lines.current.dropped, error: view.error, loaded: view.loaded };
}

/** Reads an answer as it comes, to its end; one that breaks is read anew. */
export async function follow(path, signal, lines, show) {
  while (!signal.aborted) {
    try {
      const resp = await fetch(path, { credentials: 'same-origin', signal });
      if (!resp.ok) throw new Error(await reason(resp));
      lines.clear(); // it begins with the latest lines
      show('');
      const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        lines.add(value);
        show('');
      }
    } catch (err) {
      if (signal.aborted) return;
      show(err.message);
    }
    await new Promise((done) => { setTimeout(done, POLL_MS); });
  }
}

/**
 * @param {{stream?: string, live?: string, whole?: string, label: string}} props stream: the path of text that goes on; live: of {logs}, which is watched; whole: of all of it
 */
export function Log({ stream, live, whole, label }) {
  const { lines, dropped, error, loaded } = useTail({ stream, live });
  const [follows, setFollows] = useState(true);
  const [find, setFind] = useState('');
  const shown = useMemo(() => (find ? lines.filter((l) => l.text.toLowerCase().includes(find.toLowerCase())) : lines), [lines, lines.length, find]);
  return html`<div class="log">
    <div class="toolbar">
      <input class="search" type="search" placeholder="Find lines" aria-label=${'Find lines in ' + label} value=${find} onInput=${(e) => setFind(e.currentTarget.value)} />
      <label class="check"><input type="checkbox" checked=${follows} onChange=${(e) => setFollows(e.currentTarget.checked)} />Follow</label>
      <span class="where">${loaded && `${count(shown.length)} ${shown.length === 1 ? 'line' : 'lines'}`}${dropped > 0 && ` (the ${count(dropped)} before them aren't shown)`}</span>
      ${whole && html`<a class="where" href=${whole}>all of it</a>`}
    </div>
    ${error && html`<${Failure} error=${error} />`}
    ${!loaded ? html`<${Loading} />` : shown.length === 0 ? !error && html`<${Empty}>${find ? 'No line has that.' : 'Nothing was written.'}<//>`
    : html`<${Text} lines=${shown} follows=${follows} stop=${() => setFollows(false)} label=${label} />`}
  </div>`;
}

/** Lines of which only those in sight are in the document. */
function Text({ lines, follows, stop, label }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 400 });
  const last = useRef(0);
  useLayoutEffect(() => {
    const el = box.current;
    if (follows) el.scrollTop = el.scrollHeight;
    last.current = el.scrollTop;
    setView({ top: el.scrollTop, height: el.clientHeight });
  }, [lines.length, follows]);
  const scrolled = (e) => {
    const el = e.currentTarget;
    if (el.scrollTop < last.current - 4 && follows) stop();
    last.current = el.scrollTop;
    setView({ top: el.scrollTop, height: el.clientHeight });
  };
  const from = Math.max(0, Math.min(lines.length, Math.floor(view.top / ROW)) - 20);
  const to = Math.min(lines.length, Math.ceil((view.top + view.height) / ROW) + 20);
  const state = new State();
  return html`<div class="lines" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-live="off" aria-label=${label}>
    <div style=${{ height: lines.length * ROW + 'px' }}><div style=${{ transform: `translateY(${from * ROW}px)` }}>
      ${lines.slice(from, to).map((l, i) => html`<div key=${from + i} class="line">${runs(l.text, state).map((r) => (r.style ? html`<span class=${r.style}>${r.text}</span>` : r.text))}${
    l.more > 0 && html`<em>… ${count(l.more)} more characters</em>`}</div>`)}
    </div></div></div>`;
}
