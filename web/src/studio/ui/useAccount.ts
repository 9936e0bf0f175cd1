'use client';

import { useCallback, useEffect, useState } from 'react';

import { fetchAccount, signIn, signOut, type Account } from '@/api/account';
import { HttpError } from '@/api/http';
import { strings } from '@/strings';

const words = strings.studio.signIn;
/** Where a server does not say how long to wait, in seconds. */
const WAIT_S = 30;

export interface SignedIn {
  readonly status: 'loading' | 'out' | 'in' | 'unreachable';
  readonly account: Account | null;
  /** Tries a token; the reason in words where it fails, else null. */
  readonly signIn: (token: string) => Promise<string | null>;
  readonly signOut: () => void;
  /** Asks again. */
  readonly retry: () => void;
}

/** Who is signed in, as the server says. */
export function useAccount(): SignedIn {
  const [status, setStatus] = useState<SignedIn['status']>('loading');
  const [account, setAccount] = useState<Account | null>(null);
  const [tries, setTries] = useState(0);

  const know = useCallback((found: Account | null) => {
    setAccount(found);
    setStatus(found === null ? 'out' : 'in');
  }, []);

  useEffect(() => {
    const stop = new AbortController();
    fetchAccount(stop.signal).then(know, () => {
      if (!stop.signal.aborted) setStatus('unreachable');
    });
    return () => {
      stop.abort();
    };
  }, [know, tries]);

  const tryToken = useCallback(
    async (token: string) => {
      try {
        know(await signIn(token, new AbortController().signal));
        return null;
      } catch (error) {
        return refusalWords(error);
      }
    },
    [know],
  );
  const leave = useCallback(() => {
    void signOut(new AbortController().signal).then(
      () => { know(null); },
      () => { setStatus('unreachable'); },
    );
  }, [know]);
  const retry = useCallback(() => {
    setStatus('loading');
    setTries((before) => before + 1);
  }, []);

  return { status, account, signIn: tryToken, signOut: leave, retry };
}

function refusalWords(error: unknown): string {
  if (!(error instanceof HttpError)) return words.failed;
  if (error.status === 429) return words.tooMany(error.retryAfterS ?? WAIT_S);
  return error.status < 500 ? words.unknown : words.failed;
}
