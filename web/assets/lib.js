'use strict';
// What every view is made of. Text only ever becomes text nodes: htm makes elements
// of templates at their place in the source, never of values.
import { h, render, Component } from './vendor/preact/preact.js';
import { useState, useEffect, useLayoutEffect, useRef, useMemo, useErrorBoundary } from './vendor/preact/hooks.js';
import htm from './vendor/htm/htm.js';

export const html = htm.bind(h);
export { render, Component, useState, useEffect, useLayoutEffect, useRef, useMemo, useErrorBoundary };
