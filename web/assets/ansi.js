'use strict';
// Text with ANSI escapes as runs of styled text. Only colours, bold, faint, italic and
// underline are kept (SGR); every other escape and control character goes. Pure.

/** @typedef {{text: string, style: string}} Run style is a list of CSS classes */

// CSI…, OSC…BEL|ST, DCS/PM/APC…ST, two-byte escapes, lone controls, and marks that turn the direction of text.
const escape = /\u001b\[([0-?]*)[ -/]*([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[PX^_][^\u001b]*(?:\u001b\\)?|\u001b[ -/]*[0-~]?|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Parses one line. The state goes on from line to line.
 * @param {string} line
 * @param {State} state
 * @returns {Run[]}
 */
export function runs(line, state) {
  const out = [];
  let from = 0;
  const add = (to) => {
    if (to > from) out.push({ text: line.slice(from, to), style: state.style() });
  };
  for (const m of line.matchAll(escape)) {
    add(m.index);
    from = m.index + m[0].length;
    if (m[2] === 'm') state.apply(m[1]);
  }
  add(line.length);
  return out;
}

/** What escapes have set so far. */
export class State {
  constructor() { this.reset(); }

  reset() { this.flags = new Set(); this.fg = ''; this.bg = ''; }

  /** @param {string} args of an SGR escape */
  apply(args) {
    const codes = args.split(/[;:]/).slice(0, 32).map(Number);
    for (let i = 0; i < codes.length; i++) {
      const c = codes[i];
      if (c === 0) this.reset();
      else if (c === 38 || c === 48) { // a palette's or a true colour: its arguments are passed over
        const n = codes[i + 1] === 5 ? 2 : 4;
        const index = codes[i + 1] === 5 ? codes[i + 2] : -1;
        if (index >= 0 && index < 16) this.colour(c === 38, index);
        i += n;
      } else this.one(c);
    }
  }

  one(c) {
    const flag = { 1: 'bold', 2: 'faint', 3: 'italic', 4: 'underline' }[c];
    if (flag) this.flags.add(flag);
    else if (c === 22) { this.flags.delete('bold'); this.flags.delete('faint'); }
    else if (c === 23) this.flags.delete('italic');
    else if (c === 24) this.flags.delete('underline');
    else if (c >= 30 && c <= 37) this.colour(true, c - 30);
    else if (c >= 90 && c <= 97) this.colour(true, c - 90 + 8);
    else if (c >= 40 && c <= 47) this.colour(false, c - 40);
    else if (c >= 100 && c <= 107) this.colour(false, c - 100 + 8);
    else if (c === 39) this.fg = '';
    else if (c === 49) this.bg = '';
  }

  colour(front, index) {
    if (front) this.fg = `fg${index}`;
    else this.bg = `bg${index}`;
  }

  style() { return [...this.flags, this.fg, this.bg].filter(Boolean).map((s) => 'ansi-' + s).join(' '); }
}

/** The text alone. */
export function strip(text) { return String(text ?? '').replace(escape, ''); }

/** What a carriage return leaves of a line: progress bars overwrite themselves. */
export function settled(line) {
  const end = line.endsWith('\r') ? line.slice(0, -1) : line;
  return end.slice(end.lastIndexOf('\r') + 1);
}
