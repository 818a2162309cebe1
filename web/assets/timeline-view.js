'use strict';
// The timeline's canvas as a part of the page: zoom, pan, and what is pointed at.
import { html, useState, useEffect, useLayoutEffect, useRef, useMemo } from './lib.js';
import { at, pan, zoom } from './timeline-layout.js';
import { draw, place, rowAt, GUTTER, RULER, isBad } from './timeline-canvas.js';
import { useTheme } from './charts.js';
import { bytes, duration, plain, shortName } from './format.js';

const LINE = 40; // pixels that an arrow key scrolls
const RESTS_MS = 300; // a view that doesn't change
const CLICK = 4; // pixels that a pointer may move in a click

/**
 * @param {{data: any, laid: any, find: string, follow: boolean, chosen: any, choose: (mark: any) => void, seen: (view: import('./timeline-layout.js').View) => void}} props seen hears what is in view, once it rests
 */
export function Chart({ data, laid, find, follow, chosen, choose, seen }) {
  const box = useRef(null);
  const canvas = useRef(null);
  const [size, setSize] = useState({ width: 800, height: 400 });
  const [view, setView] = useState({ from: 0, to: laid.end || 1 });
  const [top, setTop] = useState(0);
  const [hover, setHover] = useState(null);
  const theme = useTheme();
  const placed = useMemo(() => place(laid.tracks), [laid]);
  const inner = size.height - RULER;
  const maxTop = Math.max(0, placed.height - inner);
  const height = Math.min(Math.max(placed.height + RULER + 8, 160), Math.max(260, innerHeight - 260));

  useLayoutEffect(() => {
    const el = box.current;
    const look = () => setSize({ width: el.clientWidth, height: el.clientHeight });
    look();
    const watch = new ResizeObserver(look);
    watch.observe(el);
    return () => watch.disconnect();
  }, []);

  useEffect(() => {
    const timer = setTimeout(() => seen(view), RESTS_MS);
    return () => clearTimeout(timer);
  }, [view]);
  const lastEnd = useRef(laid.end);
  useEffect(() => { // following keeps the end in sight, or all of it
    const was = lastEnd.current;
    lastEnd.current = laid.end;
    setView((v) => (v.from <= 0 && v.to >= was * 0.999 ? { from: 0, to: laid.end || 1 } : follow ? pan(v, laid.end - v.to, laid.end) : v));
    setHover(null);
  }, [laid, follow]);

  const scene = useRef(null);
  const rank = useMemo(() => new Map(laid.order.map((n, i) => [n, i])), [laid]);
  const marked = useMemo(() => (data.names ?? []).map((n) => !find || shortName(plain(n)).toLowerCase().includes(find)), [data, find]);
  scene.current = {
    placed, data, view, top: Math.min(top, maxTop), ...size, hover, chosen,
    tint: (name, of) => of[(rank.get(name) ?? 0) % 8], dim: (name) => (name === null ? find !== '' : !marked[name]),
  };
  useLayoutEffect(() => {
    const el = canvas.current;
    const ratio = devicePixelRatio || 1;
    if (el.width !== Math.round(size.width * ratio) || el.height !== Math.round(size.height * ratio)) {
      el.width = Math.round(size.width * ratio);
      el.height = Math.round(size.height * ratio);
    }
    const frame = requestAnimationFrame(() => {
      const g = el.getContext('2d');
      g.setTransform(ratio, 0, 0, ratio, 0, 0);
      draw(g, scene.current);
    });
    return () => cancelAnimationFrame(frame);
  });

  const left = GUTTER(size.width);
  const across = Math.max(1, size.width - left);
  const timeAt = (x, v = view) => v.from + (x - left) * (v.to - v.from) / across;
  /** What buttons and keys zoom about: what is chosen, if it's in sight. */
  const middle = () => {
    const t = chosen ? chosen.lane.start[chosen.index] : NaN;
    return t >= view.from && t <= view.to ? left + (t - view.from) * across / (view.to - view.from) : left + across / 2;
  };
  const zoomBy = (factor, x = middle()) => setView((v) => zoom(v, factor, timeAt(Math.max(left, x), v), laid.end));
  const panBy = (pixels) => setView((v) => pan(v, pixels * (v.to - v.from) / across, laid.end));
  const scrollBy = (pixels) => setTop((t) => Math.max(0, Math.min(maxTop, t + pixels)));
  const fit = () => { setView({ from: 0, to: laid.end || 1 }); setTop(0); };

  /** What is at a place of the canvas. */
  const find1 = (x, y) => {
    if (x < left || y < RULER) return null;
    const hit = rowAt(placed, y - RULER + scene.current.top);
    if (!hit?.lane) return null;
    const i = at(hit.lane, timeAt(x), 3 * (view.to - view.from) / across);
    return i < 0 ? null : { track: hit.row.track, lane: hit.lane, index: i, x, y };
  };

  const touch = useRef({ points: new Map(), moved: 0 });
  const place2 = (e) => { const r = canvas.current.getBoundingClientRect(); return { x: e.clientX - r.left, y: e.clientY - r.top }; };
  const down = (e) => {
    canvas.current.setPointerCapture(e.pointerId);
    if (touch.current.points.size === 0) touch.current.moved = 0;
    touch.current.points.set(e.pointerId, place2(e));
  };
  const move = (e) => {
    const p = place2(e);
    const { points } = touch.current;
    const was = points.get(e.pointerId);
    if (!was) { setHover(find1(p.x, p.y)); return; }
    const others = [...points].filter(([id]) => id !== e.pointerId).map(([, q]) => q);
    if (others.length) { // a pinch
      const gap = (a) => Math.max(20, Math.abs(a.x - others[0].x));
      zoomBy(gap(was) / gap(p), (p.x + others[0].x) / 2);
    } else {
      panBy(was.x - p.x);
      scrollBy(was.y - p.y);
    }
    touch.current.moved += Math.abs(p.x - was.x) + Math.abs(p.y - was.y);
    points.set(e.pointerId, p);
  };
  const up = (e) => {
    const p = place2(e);
    if (touch.current.points.delete(e.pointerId) && touch.current.moved < CLICK) choose(find1(p.x, p.y));
  };

  useEffect(() => { // not by a prop: it has to be able to keep the page from scrolling
    const el = canvas.current;
    const wheel = (e) => {
      if (e.altKey || (!e.ctrlKey && !e.metaKey && !e.shiftKey && Math.abs(e.deltaY) <= Math.abs(e.deltaX))) panBy(e.deltaX || e.deltaY);
      else if (e.shiftKey) scrollBy(e.deltaY || e.deltaX);
      else zoomBy(Math.exp(Math.max(-240, Math.min(240, e.deltaY)) * (e.ctrlKey ? 0.01 : 0.0025)), place2(e).x);
      e.preventDefault();
    };
    el.addEventListener('wheel', wheel, { passive: false });
    return () => el.removeEventListener('wheel', wheel);
  });

  const keys = {
    ArrowLeft: () => panBy(-across / 8), ArrowRight: () => panBy(across / 8), a: () => panBy(-across / 8), d: () => panBy(across / 8),
    ArrowUp: () => scrollBy(-LINE), ArrowDown: () => scrollBy(LINE), PageUp: () => scrollBy(-inner), PageDown: () => scrollBy(inner),
    '+': () => zoomBy(0.7), '=': () => zoomBy(0.7), w: () => zoomBy(0.7), '-': () => zoomBy(1 / 0.7), s: () => zoomBy(1 / 0.7), 0: fit, Home: fit,
    n: () => step(1), p: () => step(-1), Escape: () => choose(null),
    Enter: () => { const s = chosen && !chosen.track.spans && data.slices[chosen.lane.item[chosen.index]]; if (s) location.hash = '#/tasks/' + encodeURIComponent(s[4]); },
  };
  /** Chooses the next slice of the lane, or the first there is, and brings it into sight. */
  const step = (by) => {
    const lane = chosen?.lane ?? laid.tracks[0].lanes[0];
    const track = chosen?.track ?? laid.tracks[0];
    const index = chosen ? Math.max(0, Math.min(lane.start.length - 1, chosen.index + by)) : 0;
    choose({ track, lane, index });
    setView((v) => (lane.start[index] >= v.from && lane.start[index] <= v.to ? v : pan(v, lane.start[index] - (v.from + v.to) / 2, laid.end)));
  };
  const key = (e) => {
    const f = !e.ctrlKey && !e.metaKey && !e.altKey && keys[e.key];
    if (f) { f(); e.preventDefault(); }
  };

  return html`<div class="timeline">
    <div class="tools" role="group" aria-label="Zoom">
      <button aria-label="Zoom in" title="Zoom in ( + )" onClick=${() => zoomBy(0.5)}>+</button><button aria-label="Zoom out" title="Zoom out ( - )" onClick=${() => zoomBy(2)}>−</button>
      <button title="All of it ( 0 )" onClick=${fit}>Fit</button>
      <span class="muted keys">wheel zooms, drag pans, shift+wheel scrolls; keys: arrows, + − 0, n p for slices, Enter opens</span></div>
    <div class="canvas" ref=${box} style=${{ height: height + 'px' }}>
      <canvas ref=${canvas} tabindex="0" role="application" aria-label=${`Timeline of ${laid.tracks.length} rows. Arrows move, plus and minus zoom, n and p choose a task, Enter opens it.`}
        style=${{ width: size.width + 'px', height: size.height + 'px' }} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up}
        onPointerCancel=${(e) => touch.current.points.delete(e.pointerId)} onPointerLeave=${() => setHover(null)} onKeyDown=${key}></canvas>
      ${hover && html`<${Tip} data=${data} mark=${hover} width=${size.width} />`}
    </div></div>`;
}

function Tip({ data, mark, width }) {
  const item = mark.lane.item[mark.index];
  const s = mark.track.spans ? null : data.slices[item];
  const span = mark.track.spans ? data.spans[item] : null;
  if (!s && !span) return null;
  const style = { top: mark.y + 14 + 'px', ...(mark.x > width / 2 ? { right: width - mark.x + 8 + 'px' } : { left: mark.x + 12 + 'px' }) };
  if (span) return html`<div class="tip" style=${style}><b>${plain(span.kind)}</b>${bytes(span.bytes)} in ${duration(span.dur_us / 1000)}</div>`;
  return html`<div class="tip" style=${style}><b>${shortName(plain(data.names[s[1]]))}</b><span>${plain(s[4])}</span>
    <span>ran ${duration(s[3] / 1000)}${s[6] > 0 ? `, waited ${duration(s[6] / 1000)}` : ''}</span>${isBad(s[5]) && html`<span class="bad-text">${plain(s[5]).toLowerCase()}</span>`}</div>`;
}
