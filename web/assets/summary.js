'use strict';
// The answer of tasks/summarize as rows, one a function. Pure.

/** @returns {{name: string, type: string, running: number, waiting: number, finished: number, failed: number, crashed: number, cancelled: number,
 *   rate: number, p50: number, p95: number, p99: number, wait95: number, run: any, wait: any}[]} */
export function functionsOf(body) {
  const summary = body?.data?.result?.result?.node_id_to_summary?.cluster?.summary ?? {};
  return Object.entries(summary).map(([key, f]) => {
    const states = f.state_counts ?? {};
    const of = (...names) => names.reduce((n, s) => n + (states[s] ?? 0), 0);
    return {
      name: f.func_or_class_name ?? key,
      type: f.type ?? '',
      running: f.running ?? of('RUNNING'),
      waiting: f.waiting ?? of('PENDING_ARGS_AVAIL', 'PENDING_NODE_ASSIGNMENT', 'SUBMITTED_TO_WORKER'),
      finished: f.finished ?? of('FINISHED'),
      failed: f.failed ?? of('FAILED'),
      crashed: f.crashed ?? 0,
      cancelled: f.cancelled ?? 0,
      rate: f.rate_per_s,
      p50: f.run?.p50_ms, p95: f.run?.p95_ms, p99: f.run?.p99_ms, wait95: f.wait?.p95_ms,
      run: f.run, wait: f.wait,
    };
  });
}
