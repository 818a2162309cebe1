'use strict';
// The page that the address names: '#/tasks/ID?state=FAILED' is
// {path: ['tasks', 'ID'], params: {state: 'FAILED'}}.
import { useState, useEffect } from './lib.js';

/** @typedef {{path: string[], params: Record<string, string>}} Route */

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const text = hash.replace(/^#\/?/, '');
  const at = text.indexOf('?');
  const path = (at < 0 ? text : text.slice(0, at)).split('/').filter(Boolean).map(decode);
  return { path, params: Object.fromEntries(new URLSearchParams(at < 0 ? '' : text.slice(at + 1))) };
}

function decode(s) {
  try { return decodeURIComponent(s); } catch { return s; }
}

/** The address of a page. Parameters that are empty are left out. */
export function href(path, params = {}) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) {
    if (v !== undefined && v !== null && v !== '') q.set(k, String(v));
  }
  const text = q.toString();
  return '#/' + path.map(encodeURIComponent).join('/') + (text ? '?' + text : '');
}

const changed = new EventTarget();

/** Changes parameters of the page in place: no new entry in the history. */
export function setParams(change) {
  const now = parse(location.hash);
  history.replaceState(null, '', href(now.path, { ...now.params, ...change }));
  changed.dispatchEvent(new Event('change'));
}

/** @returns {Route} the page as the address changes */
export function useRoute() {
  const [route, set] = useState(() => parse(location.hash));
  useEffect(() => {
    const hear = () => set(parse(location.hash));
    addEventListener('hashchange', hear);
    changed.addEventListener('change', hear);
    return () => {
      removeEventListener('hashchange', hear);
      changed.removeEventListener('change', hear);
    };
  }, []);
  return route;
}

/** A path of the API with a query; filters are [key, predicate, value]. */
export function apiPath(path, params = {}, filters = []) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) {
    if (v !== undefined && v !== null && v !== '') q.set(k, String(v));
  }
  for (const [key, op, v] of filters) {
    q.append('filter_keys', key);
    q.append('filter_predicates', op);
    q.append('filter_values', v);
  }
  const text = q.toString();
  return text ? `${path}?${text}` : path;
}
