'use client';

import { useSyncExternalStore } from 'react';

/** A document keeps its address; only what stands behind `#` may change. */
const subscribe = () => () => undefined;

/** One parameter of the page's query; null on the server, and where there is none. */
export function useParameter(name: string): string | null {
  return useSyncExternalStore(subscribe, () => new URLSearchParams(window.location.search).get(name), () => null);
}

/** Whether this is a browser: the exported page has no answers yet. */
export function useInBrowser(): boolean {
  return useSyncExternalStore(subscribe, () => true, () => false);
}
