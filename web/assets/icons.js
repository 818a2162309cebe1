'use strict';
// Line icons of the navigation, 16 × 16.
import { html } from './lib.js';

const PATHS = {
  overview: 'M2 9h4V2H2zM2 14h4v-3H2zM8 14h6V7H8zM8 5h6V2H8z',
  nodes: 'M2 3h12v4H2zM2 9h12v4H2zM4.5 5h.01M4.5 11h.01',
  workers: 'M4 4h8v8H4zM6 1.5V4M10 1.5V4M6 12v2.5M10 12v2.5M1.5 6H4M1.5 10H4M12 6h2.5M12 10h2.5',
  groups: 'M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z',
  jobs: 'M2 5h12v8H2zM6 5V3h4v2M2 8.5h12',
  tasks: 'M3 4l1 1 2-2M8.5 4H14M3 8l1 1 2-2M8.5 8H14M3 12l1 1 2-2M8.5 12H14',
  actors: 'M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8M2.8 14c.4-3 2.500-4.300 5.200-4.300s4.800 1.300 5.200 4.300',
  objects: 'M8 1.600l5.600 3.200v6.400L8 14.400l-5.600-3.200V4.800zM2.400 4.800L8 8l5.600-3.200M8 8v6.400',
  timeline: 'M2 3.500h6M5 8h7M3.500 12.500h4M10 12.500h4M11 3.500h3',
  training: 'M2 2v12h12M4.500 5c1 5 4 6.500 9 7',
  agents: 'M3 5h10v8H3zM8 5V2.500M6 8.500v1M10 8.500v1M1.500 8v3M14.500 8v3',
  events: 'M3 2h10v12H3zM5.500 5h5M5.500 8h5M5.500 11h3',
  metrics: 'M2 14h12M4 14V9M8 14V3M12 14V6',
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><path d=${PATHS[name] ?? ''} /></svg>`;
}
