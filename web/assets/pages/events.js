'use strict';
// What happened to nodes, jobs, actors, groups and heads.
import { html } from '../lib.js';
import { Title, Badge, Refs } from '../ui.js';
import { List, Chips, Choice, filtersOf } from '../table.js';
import { cut, exact, plain, time, NONE } from '../format.js';

export const EVENT_COLUMNS = [
  { key: 'time_ms', title: 'Time', w: 140, show: (e) => html`<time title=${exact(e.time_ms)}>${time(e.time_ms)}</time>` },
  { key: 'severity', title: 'Severity', w: 110, show: (e) => html`<${Badge} state=${e.severity} />` },
  { key: 'kind', title: 'Kind', w: 150, show: (e) => plain(e.kind).toLowerCase().replaceAll('_', ' ') || NONE },
  { key: 'message', title: 'What happened', w: 440, show: (e) => html`<span title=${cut(plain(e.message), 2000)}>${cut(plain(e.message), 300) || NONE}</span>` },
  { key: 'ids', title: 'Of', w: 200, fixed: true, show: (e) => html`<${Refs} row=${e} />` },
];

const NAMES = ['severity', 'source_type', 'kind', 'node_id', 'job_id', 'actor_id'];
const SEVERITIES = [['INFO', 'Info'], ['WARNING', 'Warning'], ['ERROR', 'Error']];
const SOURCES = ['HEAD', 'NODE', 'JOB', 'ACTOR', 'GROUP', 'WORKER', 'STORE'].map((s) => [s, s[0] + s.slice(1).toLowerCase()]);

export function Events({ params }) {
  return html`<${Title}>Events<//>
    <${List} label="events" path="api/v0/cluster_events" params=${params} columns=${EVENT_COLUMNS} keyOf=${(e) => e.event_id} filters=${filtersOf(params, NAMES)}
      tools=${html`<${Choice} name="severity" label="Severity" params=${params} values=${SEVERITIES} /><${Choice} name="source_type" label="Of" params=${params} values=${SOURCES} />
        <${Chips} params=${params} names=${NAMES.slice(2)} />`} empty="Nothing has happened." />`;
}
