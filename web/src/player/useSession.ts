'use client';

import { useEffect, useState, useSyncExternalStore, type RefObject } from 'react';

import { reportOf } from './report';
import type { Session } from './session';
import { readStart } from './start';
import { initialView, type View } from './view';

const noSubscription = () => () => undefined;
const noView = () => initialView;

/** Runs a session for `channel` on the video element while the component lives. */
export function useSession(channel: string | null, video: RefObject<HTMLVideoElement | null>): [Session | null, View] {
  const [session, setSession] = useState<Session | null>(null);

  useEffect(() => {
    const element = video.current;
    if (channel === null || element === null) return;
    const running = new AbortController();
    const adopt = (started: Session, stop: () => void): void => {
      if (running.signal.aborted) {
        stop();
        return;
      }
      running.signal.addEventListener('abort', stop);
      window.headwater = reportOf(started);
      setSession(started);
    };
    start(channel, element, adopt);
    return () => {
      running.abort();
      delete window.headwater;
      setSession(null);
    };
  }, [channel, video]);

  const view = useSyncExternalStore(session?.subscribe ?? noSubscription, session?.snapshot ?? noView, noView);
  return [session, view];
}

/**
 * Hands over the session that plays already (`early.ts`). Where that script did not run a new one is loaded: alone, so
 * that nobody else pays for it.
 */
function start(channel: string, element: HTMLVideoElement, adopt: (session: Session, stop: () => void) => void): void {
  const early = window.headwaterEarly;
  delete window.headwaterEarly;
  early?.adopted();
  if (early?.channel === channel && early.video === element) {
    adopt(early.session, early.stop);
    return;
  }
  early?.stop();
  void import('./session').then(({ Session: Loaded }) => {
    const session = new Loaded(channel, element);
    adopt(session, session.start(readStart(channel)));
  });
}
