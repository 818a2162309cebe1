'use strict';
// The frame: navigation, connection, theme, and the page of the address in it.
import { html, render, useState, useEffect, useRef, useErrorBoundary } from './lib.js';
import { useRoute, href } from './route.js';
import { PAGES, GROUPS, find } from './routes.js';
import { useConnection, useLive, useAnswered, useSession, signOut } from './live.js';
import { Icon } from './icons.js';
import { plain, cut } from './format.js';

const CONNECTION = {
  connecting: ['wait', 'Connecting'], live: ['ok', 'Live'], polling: ['ok', 'Polling'], lost: ['bad', 'Disconnected'], 'signed-out': ['bad', 'Not signed in'],
};

function App() {
  const route = useRoute();
  const connection = useConnection();
  useSession();
  const main = useRef(null);
  const at = route.path.join('/');
  const first = useRef(true);
  const found = find(route.path);
  const id = route.path[1];
  const ready = useAnswered(at + JSON.stringify(route.params));
  useEffect(() => {
    document.title = `${found ? (id ? cut(plain(id), 60) + ' · ' : '') + found.page.title : 'Not found'} · gray`;
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
    scrollTo(0, 0);
  }, [at]);
  useEffect(() => {
    addEventListener('keydown', toSearch);
    return () => removeEventListener('keydown', toSearch);
  }, []);
  const signedOut = connection === 'signed-out';
  return html`
    <a class="skip" href=${location.hash || '#/'} onClick=${(e) => { e.preventDefault(); main.current?.focus(); }}>Skip to content</a>
    <${Side} now=${found?.page.name === 'runs' ? 'training' : found?.page.name} connection=${connection} />
    <main id="main" tabindex="-1" ref=${main} data-page=${route.path[0] ?? 'overview'} data-ready=${String(ready)}>
      ${connection === 'lost' && html`<p class="banner bad" role="alert">No head answers. What is shown may be old; it goes on as soon as one does.</p>`}
      ${signedOut ? html`<${SignIn} />` : found ? html`<${Guarded} key=${at} view=${found.view} page=${found.page} id=${id} params=${route.params} />` : html`<${Missing} />`}
    </main>`;
}

/** A page that fails says so, and the others go on. */
function Guarded({ view: View, page, id, params }) {
  const [error] = useErrorBoundary((err) => console.error(err));
  if (error) return html`<p class="notice bad" role="alert">This page failed: ${String(error.message)}</p>`;
  return html`<${View} page=${page} id=${id} params=${params} />`;
}

function toSearch(e) {
  if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
  const field = document.querySelector('input[type=search]');
  if (field) { e.preventDefault(); field.focus(); field.select(); }
}

function Side({ now, connection }) {
  const [tone, text] = CONNECTION[connection];
  const nav = useRef(null);
  useEffect(() => { // of a narrow page the navigation scrolls sideways
    const link = nav.current?.querySelector('[aria-current]');
    if (link && nav.current.scrollWidth > nav.current.clientWidth) nav.current.scrollLeft = link.offsetLeft - nav.current.clientWidth / 2 + link.offsetWidth / 2;
  }, [now]);
  return html`<header class="frame">
    <a class="brand" href="#/" aria-label="gray: overview"><img src="assets/icon.svg" width="22" height="22" alt="" /><b>gray</b><${Cluster} off=${connection === 'signed-out'} /></a>
    <nav aria-label="Pages" ref=${nav}>${GROUPS.map((g) => html`<div class="group" key=${g} role="group" aria-label=${g}><span class="name" aria-hidden="true">${g}</span>
      ${PAGES.filter((p) => p.group === g).map((p) => html`<a key=${p.name} href=${href([p.name].filter(Boolean))} aria-current=${now === p.name ? 'page' : undefined}>
        <${Icon} name=${p.icon} />${p.title}</a>`)}</div>`)}</nav>
    <div class="foot"><span class=${'connection ' + tone} role="status"><i aria-hidden="true"></i>${text}</span>${connection !== 'signed-out' && html`<button class="plain" onClick=${signOut}>Sign out</button>`}<${Theme} /></div>
  </header>`;
}

function Cluster({ off }) {
  const answer = useLive(off ? null : 'api/version', 30_000);
  return html`<small title=${answer?.body?.gray_version}>${answer?.body?.cluster_id ?? ''}</small>`;
}

const THEMES = { '': 'light', light: 'dark', dark: '' };

function Theme() {
  const [theme, set] = useState(document.documentElement.dataset.theme ?? '');
  const turn = () => {
    const next = THEMES[theme];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    try { localStorage.setItem('gray.theme', next); } catch { /* it lasts as long as the page then */ }
    set(next);
    dispatchEvent(new Event('themechange'));
  };
  return html`<button class="theme" onClick=${turn} title="Light, dark, or as the system says">${{ '': 'Auto', light: 'Light', dark: 'Dark' }[theme]}<span class="hidden"> theme</span></button>`;
}

function SignIn() {
  return html`<div class="sign-in"><h1>Not signed in</h1>
    <p>On a machine that may use this cluster, run</p><pre class="text">gray dashboard --open</pre>
    <p>or open the link that <code>gray dashboard</code> prints. It works once, and lets this browser look at the cluster for twelve hours.</p>
    <button class="primary" onClick=${() => location.reload()}>Try again</button></div>`;
}

function Missing() {
  return html`<div class="sign-in"><h1>There is no such page</h1><p><a href="#/">Overview</a></p></div>`;
}

render(html`<${App} />`, document.getElementById('app'));
