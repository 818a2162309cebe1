'use strict';
// Answers of the API as they change. All paths of a page share one EventSource; without
// one (an old head, a proxy that buffers) they are polled. Answers of a page that was
// left are kept a while, so that going back shows something at once.
import { useState, useEffect } from './lib.js';

/** @typedef {{body: any, error: string, status: number, at: number}} Answer */

const MAX_KEPT = 64;
const RETRY_MS = 2000;
const RENEW_MS = 3600_000; // the session's
const LONG_MS = 5000; // between looks at an answer that is too long for the stream

/** @type {Map<string, Answer>} */
const kept = new Map();
/** @type {Map<string, {every: number, hear: Set<() => void>}>} */
const wanted = new Map();
const watchers = new Set();

/** How the connection is: 'connecting', 'live', 'polling', 'lost' or 'signed-out'. */
let state = 'connecting';
let source = null;
let opened = ''; // the paths that are watched
let active = false; // a stream is open, or something is on its way or awaited
let generation = 0; // of what is watched: whatever was begun for another one ends
let timer = 0;
let failures = 0;
let canStream = typeof EventSource !== 'undefined';

function become(next) {
  if (next === state) return;
  state = next;
  for (const f of watchers) f(state);
}

/** The state of the connection, for the banner. */
export function useConnection() {
  const [s, set] = useState(state);
  useEffect(() => {
    watchers.add(set);
    set(state);
    return () => { watchers.delete(set); };
  }, []);
  return s;
}

/**
 * The newest answer to GET path; null: nothing is wanted.
 * @param {string|null} path relative, as api/v0/nodes
 * @param {number} every milliseconds between looks at the most
 * @returns {Answer|null} null until there is one
 */
export function useLive(path, every = 1000) {
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!path) return undefined;
    let w = wanted.get(path);
    if (!w) wanted.set(path, w = { every, hear: new Set() });
    w.every = Math.min(w.every, every);
    const hear = () => redraw((n) => n + 1);
    w.hear.add(hear);
    schedule();
    return () => {
      w.hear.delete(hear);
      if (w.hear.size === 0 && wanted.get(path) === w) wanted.delete(path);
      schedule();
    };
  }, [path, every]);
  return path ? kept.get(path) ?? null : null;
}

/** Keeps the session while the page is open. */
export function useSession() {
  useEffect(() => {
    const timer = setInterval(() => { fetch('session', { credentials: 'same-origin' }).then((r) => { if (r.status === 401) signedOut(); }, () => {}); }, RENEW_MS);
    return () => clearInterval(timer);
  }, []);
}

/** Ends the session: this browser may look no more. */
export async function signOut() {
  await fetch('sign-out', { method: 'POST', credentials: 'same-origin' });
  kept.clear();
  signedOut();
}

let asking = 0;

/** Whether all that the page wants was answered once. */
function answered() { return asking === 0 && !scheduled && [...wanted.keys()].every((p) => kept.has(p)); }

/** Whether the page at an address has had its first answers: for who looks at it by a program. */
export function useAnswered(at) {
  const [done, set] = useState('');
  useEffect(() => {
    const timer = setInterval(() => {
      if (!answered()) return;
      set(at);
      clearInterval(timer);
    }, 100);
    return () => clearInterval(timer);
  }, [at]);
  return done === at || state === 'signed-out';
}

/** Fetches once. Throws an Error with a status. */
export async function get(path, as = 'json', signal = undefined) {
  asking++;
  try {
    return await ask(path, as, signal);
  } finally {
    asking--;
  }
}

async function ask(path, as, signal) {
  const resp = await fetch(path, { credentials: 'same-origin', headers: { Accept: as === 'json' ? 'application/json' : 'text/plain' }, signal });
  if (resp.status === 401) become('signed-out');
  if (!resp.ok) throw Object.assign(new Error(await reason(resp)), { status: resp.status });
  return as === 'json' ? resp.json() : resp.text();
}

/** What an answer that is an error says. */
export async function reason(resp) {
  const text = (await resp.text()).slice(0, 4096).trim();
  if (text.startsWith('{')) {
    try { return JSON.parse(text).msg || text; } catch { /* it's no JSON: the text says it */ }
  }
  return text || `${resp.status} ${resp.statusText}`;
}

function heard(path, answer) {
  kept.delete(path);
  kept.set(path, answer);
  if (kept.size > MAX_KEPT) {
    for (const old of kept.keys()) {
      if (!wanted.has(old)) { kept.delete(old); break; }
    }
  }
  for (const f of wanted.get(path)?.hear ?? []) f();
}

let scheduled = false;
/** Opens the stream anew once all of a page's views have said what they want. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => { scheduled = false; connect(); }, 0);
}

function connect() {
  const key = [...wanted].map(([p, w]) => `${p} ${w.every}`).sort().join('\n');
  if (key === opened && active) return;
  opened = key;
  generation++;
  close();
  active = wanted.size > 0 && state !== 'signed-out';
  if (!active) return;
  if (canStream) stream();
  else poll();
}

function close() {
  source?.close();
  source = null;
  clearTimeout(timer);
}

function stream() {
  const q = new URLSearchParams();
  for (const path of wanted.keys()) q.append('path', '/' + path);
  q.set('every', String(Math.min(...[...wanted.values()].map((w) => w.every))));
  const es = source = new EventSource('api/v0/live?' + q);
  let any = false;
  es.addEventListener('open', () => { if (es === source) become('live'); });
  es.addEventListener('data', (e) => {
    if (es !== source) return;
    any = true;
    failures = 0;
    become('live');
    const m = JSON.parse(e.data);
    const path = String(m.path).replace(/^\//, '');
    const status = m.status ?? 200;
    if (status === 401) { signedOut(); return; }
    if (status === 413) { askAlone(path); return; }
    const bad = status >= 400;
    heard(path, { body: bad ? kept.get(path)?.body ?? null : m.body, error: bad ? m.error ?? textOf(m.body) : '', status, at: Date.now() });
  });
  es.addEventListener('error', () => {
    if (es !== source) return;
    close();
    broke(any);
  });
}

/** An answer that is too long for the stream is asked for by itself, and again when it has come. */
async function askAlone(path) {
  const now = generation;
  while (now === generation && wanted.has(path)) {
    try { await pollOne(path); } catch { return; } // the stream will break, too
    await new Promise((done) => { setTimeout(done, Math.max(LONG_MS, wanted.get(path)?.every ?? 0)); });
  }
}

const textOf = (body) => (typeof body === 'string' ? body : body?.msg ?? 'it failed');

/** A stream ended or never began: a plain request tells why. */
async function broke(any) {
  const path = wanted.keys().next().value;
  if (!path) return;
  failures++;
  const now = generation;
  try {
    await pollOne(path);
    if (now !== generation) return;
    if (!any && failures >= 2) { canStream = false; poll(); return; } // the API answers, its stream doesn't
    again(failures === 1 ? 200 : RETRY_MS);
  } catch (err) {
    if (now !== generation) return;
    if (err.status === 401) { signedOut(); return; }
    become('lost');
    again(RETRY_MS);
  }
}

function signedOut() {
  become('signed-out');
  generation++;
  active = false;
  close();
}

function again(ms) {
  const now = generation;
  timer = setTimeout(() => {
    if (now !== generation) return;
    active = false;
    connect();
  }, ms);
}

/** Answers and refusals are heard; only a server that can't be reached, or 401, throws. */
async function pollOne(path) {
  try {
    heard(path, { body: await get(path), error: '', status: 200, at: Date.now() });
  } catch (err) {
    if (!err.status || err.status === 401 || err.status === 503) throw err;
    heard(path, { body: null, error: err.message, status: err.status, at: Date.now() });
  }
}

async function poll() {
  const now = generation;
  try {
    for (const path of [...wanted.keys()]) {
      await pollOne(path);
      if (now !== generation) return;
    }
    become('polling');
  } catch (err) {
    if (now !== generation) return;
    if (err.status === 401) { signedOut(); return; }
    become('lost');
  }
  const every = Math.max(1000, Math.min(...[...wanted.values()].map((w) => w.every)));
  timer = setTimeout(() => { if (now === generation) poll(); }, state === 'lost' ? RETRY_MS : every);
}

/** The rows of a list's answer, and what is said about them. */
export function listOf(answer) {
  const list = answer?.body?.data?.result ?? {};
  const rows = Array.isArray(list.result) ? list.result : [];
  const warnings = [...(list.warnings ?? []), list.partial_failure_warning].filter(Boolean);
  return { rows, total: list.num_filtered ?? list.total ?? rows.length, all: list.total ?? rows.length, warnings, loaded: answer != null };
}
