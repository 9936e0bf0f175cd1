'use client';

import { useSyncExternalStore } from 'react';

/** How often pictures are asked for again, in milliseconds. */
export const REFRESH_MS = 10_000;

function subscribe(changed: () => void): () => void {
  const refresh = (): void => {
    if (!document.hidden) changed();
  };
  const timer = window.setInterval(refresh, REFRESH_MS);
  document.addEventListener('visibilitychange', refresh);
  return () => {
    window.clearInterval(timer);
    document.removeEventListener('visibilitychange', refresh);
  };
}

const now = (): number => Math.floor(Date.now() / REFRESH_MS);
const never = (): number => 0;

/** A number that grows every ten seconds while the page is visible, the same for all pages at a time. */
export function useVersion(): number {
  return useSyncExternalStore(subscribe, now, never);
}
