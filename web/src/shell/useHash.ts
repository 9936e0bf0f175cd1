'use client';

import { useSyncExternalStore } from 'react';

function subscribe(changed: () => void): () => void {
  window.addEventListener('hashchange', changed);
  return () => {
    window.removeEventListener('hashchange', changed);
  };
}

/** What stands behind `#` in the address, if it is one of `parts`; else the first of them. */
export function usePart<T extends string>(parts: readonly [T, ...T[]]): T {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash.slice(1), () => '');
  return parts.find((part) => part === hash) ?? parts[0];
}
