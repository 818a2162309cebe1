'use strict';
// The pages: what the navigation shows, and which view draws which address.
import { Overview } from './pages/overview.js';
import { Nodes, Node } from './pages/nodes.js';
import { Workers, Worker } from './pages/workers.js';
import { Groups } from './pages/groups.js';
import { Jobs, Job } from './pages/jobs.js';
import { Tasks } from './pages/tasks.js';
import { Task } from './pages/task.js';
import { Actors, Actor } from './pages/actors.js';
import { Objects } from './pages/objects.js';
import { Timeline } from './pages/timeline.js';
import { Runs, Run } from './pages/runs.js';
import { Events } from './pages/events.js';
import { Metrics } from './pages/metrics.js';

/** @typedef {{name: string, title: string, group: string, icon: string, page: any, one?: any, kind?: string}} Page */

/** @type {Page[]} name is the first part of the address; one draws what has an id. */
export const PAGES = [
  { name: '', title: 'Overview', group: 'Cluster', icon: 'overview', page: Overview },
  { name: 'nodes', title: 'Nodes', group: 'Cluster', icon: 'nodes', page: Nodes, one: Node },
  { name: 'workers', title: 'Workers', group: 'Cluster', icon: 'workers', page: Workers, one: Worker },
  { name: 'groups', title: 'Placement groups', group: 'Cluster', icon: 'groups', page: Groups },
  { name: 'jobs', title: 'Jobs', group: 'Work', icon: 'jobs', page: Jobs, one: Job },
  { name: 'tasks', title: 'Tasks', group: 'Work', icon: 'tasks', page: Tasks, one: Task },
  { name: 'actors', title: 'Actors', group: 'Work', icon: 'actors', page: Actors, one: Actor },
  { name: 'objects', title: 'Objects', group: 'Work', icon: 'objects', page: Objects },
  { name: 'timeline', title: 'Timeline', group: 'Work', icon: 'timeline', page: Timeline },
  { name: 'training', title: 'Training', group: 'Runs', icon: 'training', page: Runs, kind: 'training' },
  { name: 'agents', title: 'Agents', group: 'Runs', icon: 'agents', page: Runs, kind: 'agents' },
  { name: 'events', title: 'Events', group: 'Watch', icon: 'events', page: Events },
  { name: 'metrics', title: 'Metrics', group: 'Watch', icon: 'metrics', page: Metrics },
];

/** Pages that the navigation doesn't show. */
const HIDDEN = [
  { name: 'runs', title: 'Runs', group: 'Runs', icon: 'training', page: Runs, one: Run },
];

export const GROUPS = [...new Set(PAGES.map((p) => p.group))];

/** @param {string[]} path @returns {{page: Page, view: any}|null} */
export function find(path) {
  const page = [...PAGES, ...HIDDEN].find((p) => p.name === (path[0] ?? ''));
  const view = path.length > 1 ? page?.one : page?.page;
  return view ? { page, view } : null;
}
