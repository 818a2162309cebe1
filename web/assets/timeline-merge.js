'use strict';
// Two answers of the timeline as one: the newest of a job, and an older part of it. Pure.

const keyOf = (id, name, task, start) => `${id} ${name} ${task} ${Math.round(start / 1000)}`;

/** When the first slice of an answer begins, in its own microseconds: what is older was left out. */
export function oldest(data) {
  return (data?.slices ?? []).reduce((t, s) => Math.min(t, s[2]), Infinity);
}

/**
 * Adds to an answer what it lacks of another one, whose times are shifted to its own.
 * @param {any} whole
 * @param {any} part
 */
export function merge(whole, part) {
  const shift = (part.from_ms - whole.from_ms) * 1000;
  const rows = [...whole.rows ?? []];
  const names = [...whole.names ?? []];
  const rowAt = indexes(rows.map((r) => r.id));
  const nameAt = indexes(names);
  const has = new Set((whole.slices ?? []).map((s) => keyOf(rows[s[0]]?.id, names[s[1]], s[4], s[2])));
  const slices = [...whole.slices ?? []];
  for (const s of part.slices ?? []) {
    const row = part.rows[s[0]];
    const name = part.names[s[1]];
    const start = s[2] + shift;
    if (!row || has.has(keyOf(row.id, name, s[4], start))) continue;
    slices.push([placeOf(rowAt, rows, row.id, row), placeOf(nameAt, names, name, name), start, ...s.slice(3)]);
  }
  const seen = new Set((whole.spans ?? []).map((s) => keyOf(s.node_id, s.kind, s.object_id, s.start_us)));
  const spans = [...whole.spans ?? []];
  for (const s of part.spans ?? []) {
    const start = s.start_us + shift;
    if (!seen.has(keyOf(s.node_id, s.kind, s.object_id, start))) spans.push({ ...s, start_us: start });
  }
  return { ...whole, rows, names, slices, spans };
}

const indexes = (all) => new Map(all.map((id, i) => [id, i]));

function placeOf(at, all, id, value) {
  let i = at.get(id);
  if (i === undefined) at.set(id, i = all.push(value) - 1);
  return i;
}
