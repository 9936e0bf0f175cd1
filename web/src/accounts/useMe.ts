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

/** How often it is asked again while the page is seen, in milliseconds: roles change, and sign-ins end elsewhere. */
const REFRESH_MS = 5_000;

/** Who is signed in, as the server says; asked again now and then, and when any request says that the sign-in is over. */
export function useMe(): SignedIn {
  const [known, setKnown] = useState<Known>({ status: 'loading', me: null });
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    const stop = new AbortController();
    const refresh = (): void => {
      fetchMe(stop.signal).then(
        (me) => { setKnown({ status: 'in', me }); },
        (error: unknown) => {
          if (!stop.signal.aborted) setKnown((before) => after(before, standing(error)));
        },
      );
    };
    const refreshIfSeen = (): void => {
      if (!document.hidden) refresh();
    };
    refresh();
    const timer = window.setInterval(refreshIfSeen, REFRESH_MS);
    return () => {
      stop.abort();
      window.clearInterval(timer);
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

/** A server that is away for a moment takes nobody's page away. */
function after(before: Known, status: 'out' | 'suspended' | 'unreachable'): Known {
  return status === 'unreachable' && before.status === 'in' ? before : { status, me: null };
}

function standing(error: unknown): 'out' | 'suspended' | 'unreachable' {
  if (!(error instanceof HttpError)) return 'unreachable';
  if (error.code === 'user_suspended') return 'suspended';
  return error.status === 401 ? 'out' : 'unreachable';
}
