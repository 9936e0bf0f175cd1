'use client';

import { useCallback, useEffect, useState } from 'react';

import { HttpError } from '@/api/http';
import { fetchMe, type Me } from '@/api/me';

import { SIGNED_OUT } from './refusal';

export type Known =
  | { readonly status: 'loading' | 'out' | 'suspended' | 'unreachable'; readonly me: null }
  | { readonly status: 'in'; readonly me: Me };

export interface SignedIn {
  readonly known: Known;
  /** Asks again. */
  readonly load: () => void;
}

/** Who is signed in, as the server says; asked again when any request says that the sign-in is over. */
export function useMe(): SignedIn {
  const [known, setKnown] = useState<Known>({ status: 'loading', me: null });
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    const stop = new AbortController();
    fetchMe(stop.signal).then(
      (me) => { setKnown({ status: 'in', me }); },
      (error: unknown) => {
        if (!stop.signal.aborted) setKnown({ status: standing(error), me: null });
      },
    );
    return () => {
      stop.abort();
    };
  }, [turn]);

  const load = useCallback(() => {
    setTurn((before) => before + 1);
  }, []);
  useEffect(() => {
    window.addEventListener(SIGNED_OUT, load);
    return () => {
      window.removeEventListener(SIGNED_OUT, load);
    };
  }, [load]);
  return { known, load };
}

function standing(error: unknown): 'out' | 'suspended' | 'unreachable' {
  if (!(error instanceof HttpError)) return 'unreachable';
  if (error.code === 'user_suspended') return 'suspended';
  return error.status === 401 ? 'out' : 'unreachable';
}
