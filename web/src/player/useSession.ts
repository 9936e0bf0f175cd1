'use client';

import { useEffect, useState, useSyncExternalStore, type RefObject } from 'react';

import { initialView, Session, type View } from './session';

const noSubscription = () => () => undefined;
const noView = () => initialView;

/** Runs a session for `channel` on the video element while the component lives. */
export function useSession(channel: string | null, video: RefObject<HTMLVideoElement | null>): [Session | null, View] {
  const [session, setSession] = useState<Session | null>(null);

  useEffect(() => {
    if (channel === null || video.current === null) return;
    const started = new Session(channel, video.current);
    const stop = started.start();
    window.headwater = {
      get state() {
        return started.snapshot().player.phase;
      },
      stats: () => started.stats(),
    };
    // The session belongs to an element that exists only after the first render.
    // eslint-disable-next-line react-hooks/set-state-in-effect
    setSession(started);
    return () => {
      stop();
      delete window.headwater;
      setSession(null);
    };
  }, [channel, video]);

  const view = useSyncExternalStore(session?.subscribe ?? noSubscription, session?.snapshot ?? noView, noView);
  return [session, view];
}
