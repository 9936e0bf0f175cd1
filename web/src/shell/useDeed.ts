'use client';

import { useCallback, useEffect, useRef, useState } from 'react';

import { refusalWords, tellSignedOut } from '@/accounts/refusal';

/** Something that a person asks for, and what came of it, in words. */
export interface Deed {
  readonly busy: boolean;
  readonly problem: string | null;
  readonly done: string | null;
  /** Does it, and then says `done`; one at a time. */
  readonly run: (act: (signal: AbortSignal) => Promise<unknown>, done?: string) => void;
  /** Says why it is not even tried. */
  readonly refuse: (problem: string) => void;
  readonly clear: () => void;
}

export function useDeed(): Deed {
  const [busy, setBusy] = useState(false);
  const [problem, refuse] = useState<string | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const stop = useRef<AbortController | null>(null);

  useEffect(() => () => stop.current?.abort(), []);

  const run = useCallback((act: (signal: AbortSignal) => Promise<unknown>, words?: string) => {
    const mine = new AbortController();
    stop.current = mine;
    setBusy(true);
    refuse(null);
    setDone(null);
    act(mine.signal).then(
      () => {
        if (mine.signal.aborted) return;
        setBusy(false);
        setDone(words ?? null);
      },
      (error: unknown) => {
        if (mine.signal.aborted) return;
        setBusy(false);
        refuse(refusalWords(error));
        tellSignedOut(error);
      },
    );
  }, []);
  const refuseNow = useCallback((words: string) => {
    setDone(null);
    refuse(words);
  }, []);
  const clear = useCallback(() => {
    setDone(null);
    refuse(null);
  }, []);
  return { busy, problem, done, run, refuse: refuseNow, clear };
}
