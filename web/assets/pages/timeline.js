'use strict';
// What ran when and where: a row a worker, over all nodes.
import { html, useState, useEffect, useMemo } from '../lib.js';
import { get, useLive, listOf } from '../live.js';
import { apiPath, href, setParams } from '../route.js';
import { Title, Empty, Failure, Loading, Ref, Warnings } from '../ui.js';
import { Chart } from '../timeline-view.js';
import { layout } from '../timeline-layout.js';
import { merge, oldest } from '../timeline-merge.js';
import { isBad } from '../timeline-canvas.js';
import { bytes, count, cut, duration, plain, shortName } from '../format.js';

const LIMIT = 50_000;
const EVERY_MS = 2000;

/** The newest slices of a job, again and again while they are followed. */
function useSlices(job, follow) {
  const [answer, set] = useState({ data: null, error: '' });
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const ask = async () => {
      try {
        const body = await get(apiPath('api/v0/timeline', { job_id: job, limit: LIMIT }), 'json', stop.signal);
        set({ data: body?.data ?? {}, error: '' });
      } catch (err) {
        if (stop.signal.aborted) return;
        set((old) => ({ data: old.data, error: err.message }));
      }
      if (follow && !stop.signal.aborted) timer = setTimeout(ask, EVERY_MS);
    };
    ask();
    return () => { stop.abort(); clearTimeout(timer); };
  }, [job, follow]);
  return answer;
}

/** Older slices of a job than its newest ones, of the times that are in view; null: they are all there. */
function useOlder(job, data, view) {
  const [part, set] = useState(null);
  useEffect(() => { set(null); }, [job]);
  const edge = useMemo(() => (data?.dropped > 0 ? oldest(data) : 0), [data]);
  const from = Math.floor(Math.max(0, view.from) / 1000);
  const to = Math.ceil(Math.min(view.to, edge) / 1000);
  const wanted = Boolean(job) && from < to;
  useEffect(() => {
    if (!wanted) return undefined;
    const stop = new AbortController();
    get(apiPath('api/v0/timeline', { job_id: job, limit: LIMIT, from_ms: data.from_ms + from, to_ms: data.from_ms + to }), 'json', stop.signal)
      .then((body) => set(body?.data ?? null), () => { /* what is there stays */ });
    return () => stop.abort();
  }, [job, wanted, from, to, data?.from_ms]);
  return part;
}

export function Timeline({ params }) {
  const jobs = listOf(useLive(apiPath('api/v0/jobs', { limit: 1000 }), 5000)).rows;
  const newest = [...jobs].sort((a, b) => (b.start_time ?? 0) - (a.start_time ?? 0));
  const job = params.job_id ?? '';
  const [follow, setFollow] = useState(false);
  const [find, setFind] = useState('');
  const [chosen, choose] = useState(null);
  const [view, setView] = useState({ from: 0, to: 0 });
  const { data: latest, error } = useSlices(job, follow);
  const older = useOlder(job, latest, view);
  const data = useMemo(() => (latest && older ? merge(latest, older) : latest), [latest, older]);
  const left = older ? older.dropped : data?.dropped;
  const laid = useMemo(() => layout(data), [data]);
  useEffect(() => { choose(null); }, [data]);
  return html`<${Title}>Timeline<//>
    <div class="toolbar">
      <select aria-label="Job" value=${job} onChange=${(e) => setParams({ job_id: e.currentTarget.value })}><option value="">all jobs</option>
        ${newest.slice(0, 200).map((j) => html`<option key=${j.job_id} value=${j.job_id}>${j.job_id} ${cut(plain(j.submission_id ?? ''), 40)} (${String(j.status).toLowerCase()})</option>`)}</select>
      <input class="search" type="search" placeholder="Mark functions  ( / )" aria-label="Mark functions" value=${find} onInput=${(e) => setFind(e.currentTarget.value)} />
      <label class="check"><input type="checkbox" checked=${follow} onChange=${(e) => setFollow(e.currentTarget.checked)} />Follow</label>
      <span class="where">${data && `${count(data.slices?.length ?? 0)} tasks on ${count(laid.tracks.filter((t) => !t.spans).length)} workers`}</span>
      ${job && html`<a class="where" href=${href(['tasks'], { job_id: job })}>as a table</a>`}
    </div>
    <${Failure} error=${error} />
    <${Warnings} list=${[left > 0 && `${count(left)} older tasks are left out${job ? ': zoom into their time to see them' : '; choose a job to see its older ones'}`, ...(data?.warnings ?? [])].filter(Boolean)} />
    ${!data ? !error && html`<${Loading} />` : laid.tracks.length === 0 ? html`<${Empty}>${job ? 'Nothing of this job has run yet.' : 'Nothing has run yet.'}<//>`
    : html`<${Chart} key=${job} data=${data} laid=${laid} find=${find.toLowerCase()} follow=${follow} chosen=${chosen} choose=${choose}
        seen=${setView} />
      <${Names} data=${data} order=${laid.order} find=${find} setFind=${setFind} />`}
    ${chosen && data && html`<${Chosen} data=${data} mark=${chosen} />`}`;
}

function Names({ data, order, find, setFind }) {
  return html`<ul class="legend line" aria-label="Functions">${order.slice(0, 16).map((n, i) => { const name = shortName(plain(data.names[n])); return html`<li key=${n}>
    <button class="link" aria-pressed=${find === name} onClick=${() => setFind(find === name ? '' : name)}><i class=${`tint${1 + i % 8}`} aria-hidden="true"></i>${name}</button></li>`; })}
    <li><i class="part bad" aria-hidden="true"></i>failed</li></ul>`;
}

/** What was clicked. */
function Chosen({ data, mark }) {
  const item = mark.lane.item[mark.index];
  if (mark.track.spans) {
    const s = data.spans[item];
    if (!s) return null;
    return html`<div class="chosen" role="status"><b>${plain(s.kind)}</b><span>object <${Ref} kind="object" id=${s.object_id} /></span><span>${bytes(s.bytes)} in ${duration(s.dur_us / 1000)}</span>
      <span>${[s.from && `from ${plain(s.from)}`, s.to && `to ${plain(s.to)}`].filter(Boolean).join(' ')}</span></div>`;
  }
  const s = data.slices[item];
  if (!s) return null;
  return html`<div class="chosen" role="status"><b>${shortName(plain(data.names[s[1]]))}</b><span>task <${Ref} kind="task" id=${s[4]} /></span><span>on ${plain(mark.track.label)}</span>
    <span>began at ${duration(s[2] / 1000)}</span><span>ran ${duration(s[3] / 1000)}</span>${s[6] > 0 && html`<span>after waiting ${duration(s[6] / 1000)}</span>`}
    ${isBad(s[5]) && html`<span class="bad-text">${plain(s[5]).toLowerCase()}</span>`}</div>`;
}
