'use strict';
// What every view is made of. Text only ever becomes text nodes: htm makes elements
// of templates at their place in the source, never of values.
import { h, render, Fragment, createContext } from './vendor/preact/preact.js';
import { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useContext, useErrorBoundary } from './vendor/preact/hooks.js';
import htm from './vendor/htm/htm.js';

export const html = htm.bind(h);
export { render, Fragment, createContext, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useContext, useErrorBoundary };
