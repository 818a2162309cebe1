'use strict';
// Before the first paint, so that a dark page never flashes white.
{
  const kept = (() => { try { return localStorage.getItem('gray.theme'); } catch { return null; } })();
  if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
}
