'use strict';
// Buckets of counts. Pure.

/**
 * Counts a bucket, empty ones at both ends left out, those between them filled in.
 * Buckets that come as running sums (the last is the whole count) are taken apart.
 * @param {Record<string, number>[]} buckets in order, bounds above inclusive
 * @param {number} total
 * @param {string} bound the bound's name
 */
export function perBucket(buckets, total, bound = 'le_ms') {
  const all = (buckets ?? []).map((b) => ({ le: b[bound] ?? b.le ?? Infinity, count: b.count ?? 0 }));
  const sum = all.reduce((n, b) => n + b.count, 0);
  const rising = all.every((b, i) => i === 0 || b.count >= all[i - 1].count);
  if (all.length > 1 && rising && sum !== total && all.at(-1).count === total) {
    for (let i = all.length - 1; i > 0; i--) all[i].count -= all[i - 1].count;
  }
  let from = 0;
  let to = all.length;
  while (from < to && all[from].count === 0) from++;
  while (to > from && all[to - 1].count === 0) to--;
  return spread(all.slice(from, to));
}

/** Buckets whose bounds double, with those between that had no count and weren't sent. */
function spread(all) {
  const out = [];
  for (const b of all) {
    const last = out.at(-1);
    if (last && last.le > 0 && b.le > last.le * 2.01 && Number.isFinite(b.le)) {
      const steps = Math.log2(b.le / last.le);
      if (Math.abs(steps - Math.round(steps)) < 0.01 && steps < 64) {
        const base = last.le;
        for (let k = 1; k < Math.round(steps); k++) out.push({ le: base * 2 ** k, count: 0 });
      }
    }
    out.push(b);
  }
  return out;
}
