'use strict';
// Numbers, times and names as people read them. Pure; what is missing is “–”.

export const NONE = '–';

const known = (n) => typeof n === 'number' && Number.isFinite(n);

/** @param {number} n three significant digits at least, no more decimals than that */
function short(n) {
  const abs = Math.abs(n);
  if (abs >= 100 || Number.isInteger(n)) return String(Math.round(n));
  return String(Number(n.toFixed(abs >= 10 ? 1 : 2)));
}

/** A count with thin grouping: 1,234,567. */
export function count(n) { return known(n) ? Math.round(n).toLocaleString('en-US') : NONE; }

/** A count that fits a narrow place: 12.3k, 4.1M. */
export function compact(n) {
  if (!known(n)) return NONE;
  for (const [unit, size] of [['G', 1e9], ['M', 1e6], ['k', 1e3]]) {
    if (Math.abs(n) >= size * (unit === 'k' ? 10 : 1)) return short(n / size) + unit;
  }
  return Math.abs(n) >= 1000 ? count(n) : short(n);
}

/** A measured value: four significant digits. */
export function value(n) {
  if (!known(n)) return NONE;
  const abs = Math.abs(n);
  if (abs !== 0 && (abs < 1e-3 || abs >= 1e7)) return n.toExponential(2);
  return abs >= 1000 ? Math.round(n).toLocaleString('en-US') : String(Number(n.toPrecision(4)));
}

/** Bytes in binary units: 1.5 GiB. */
export function bytes(n) {
  if (!known(n)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let i = 0;
  while (Math.abs(n) >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${short(n)} ${units[i]}`;
}

/** A duration in milliseconds: 830 µs, 1.52 s, 2 h 5 m. */
export function duration(ms) {
  if (!known(ms)) return NONE;
  if (ms < 0) return '-' + duration(-ms);
  if (ms === 0) return '0';
  if (ms < 0.001) return `${short(ms * 1e6)} ns`;
  if (ms < 1) return `${short(ms * 1000)} µs`;
  if (ms < 1000) return `${short(ms)} ms`;
  if (ms < 60_000) return `${short(ms / 1000)} s`;
  const s = Math.floor(ms / 1000);
  if (s < 3600) return pair(Math.floor(s / 60), 'm', s % 60, 's');
  if (s < 86400) return pair(Math.floor(s / 3600), 'h', Math.floor(s % 3600 / 60), 'm');
  return pair(Math.floor(s / 86400), 'd', Math.floor(s % 86400 / 3600), 'h');
}

function pair(a, unitA, b, unitB) { return b ? `${a} ${unitA} ${b} ${unitB}` : `${a} ${unitA}`; }

/** How long before now a time was. Times of 0 are unknown. */
export function ago(ms, now = Date.now()) {
  if (!known(ms) || ms <= 0) return NONE;
  const d = now - ms;
  if (d < 1000) return 'now';
  const [unit, size] = d < 60_000 ? ['s', 1000] : d < 3600_000 ? ['m', 60_000] : d < 86_400_000 ? ['h', 3600_000] : ['d', 86_400_000];
  return `${Math.floor(d / size)} ${unit} ago`;
}

const two = (n) => String(n).padStart(2, '0');

/** A time of day, with the date unless that is today. */
export function time(ms, now = Date.now()) {
  if (!known(ms) || ms <= 0) return NONE;
  const t = new Date(ms);
  const clock = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  return t.toDateString() === new Date(now).toDateString() ? clock : `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${clock}`;
}

/** A time to the millisecond, for tooltips. */
export function exact(ms) {
  return known(ms) && ms > 0 ? new Date(ms).toISOString().replace('T', ' ') : '';
}

export function percent(part, whole) {
  return known(part) && known(whole) && whole > 0 ? `${Math.round(100 * part / whole)} %` : NONE;
}

const inBytes = (name) => /memory/i.test(name);

/** One amount of a resource. */
export function amount(name, n) { return inBytes(name) ? bytes(n) : value(n); }

/** Resources in one line: CPU 2, memory 1 GiB. */
export function resources(all) {
  const parts = Object.entries(all ?? {}).filter(([k]) => !k.startsWith('node:')).map(([k, n]) => `${k} ${amount(k, n)}`);
  return parts.length ? parts.join(', ') : NONE;
}

/** Text cut in its middle of nowhere, saying how much is missing. */
export function cut(text, most) {
  const s = String(text ?? '');
  return s.length <= most ? s : `${s.slice(0, most)}… ${count(s.length - most)} more`;
}

/** A function's name without its package's path: a.b/c/pkg.F → pkg.F. */
export function shortName(name) {
  const s = String(name ?? '');
  const at = s.slice(0, 512).search(/[[(<]/); // type arguments keep their paths to themselves
  const head = at < 0 ? s : s.slice(0, at);
  return cut(s.slice(head.lastIndexOf('/') + 1), 120);
}

/** Text from users without a terminal's colours; other control characters are made visible. */
export function plain(text) {
  return String(text ?? '').replace(/\u001b\[[\d;:]*m/g, '').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
