'use client';

import { useCallback, useEffect, useState } from 'react';

import { tellSignedOut } from '@/accounts/refusal';

/** The newest answer to a question, and whether the last try failed. */
export interface Answer<T> {
  readonly value: T | null;
  readonly error: unknown;
  /** Asks again. */
  readonly load: () => void;
}

/** Asks at once, when `ask` is another one, and every `everyMs` while the page is visible. `ask` must be kept (`useCallback`). */
export function useAnswer<T>(ask: (signal: AbortSignal) => Promise<T>, everyMs: number | null = null): Answer<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    const stop = new AbortController();
    const refresh = (): void => {
      ask(stop.signal).then(
        (said) => {
          if (stop.signal.aborted) return;
          setValue(said);
          setError(null);
        },
        (failed: unknown) => {
          if (stop.signal.aborted) return;
          setError(failed);
          tellSignedOut(failed);
        },
      );
    };
    const refreshIfSeen = (): void => {
      if (!document.hidden) refresh();
    };
    refresh();
    const timer = everyMs === null ? null : window.setInterval(refreshIfSeen, everyMs);
    return () => {
      stop.abort();
      if (timer !== null) window.clearInterval(timer);
    };
  }, [ask, everyMs, turn]);

  const load = useCallback(() => {
    setTurn((before) => before + 1);
  }, []);
  return { value, error, load };
}
