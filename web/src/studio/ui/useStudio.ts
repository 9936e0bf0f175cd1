'use client';

import { useEffect, useState, useSyncExternalStore } from 'react';

import { strings } from '@/strings';

import { reportOf } from '../report';
import { initialView, Studio, type StudioView } from '../studio';

const words = strings.studio.pattern;
const noSubscription = () => () => undefined;
const noView = () => initialView;

/** Runs a studio while the component lives. */
export function useStudio(): [Studio | null, StudioView] {
  const [studio, setStudio] = useState<Studio | null>(null);

  useEffect(() => {
    const started = new Studio(window.sessionStorage, { title: words.title, under: () => words.under });
    const stop = started.start();
    window.headwater = reportOf(started);
    // A studio opens devices, which only a page that is shown may do.
    // eslint-disable-next-line react-hooks/set-state-in-effect
    setStudio(started);
    return () => {
      stop();
      delete window.headwater;
      setStudio(null);
    };
  }, []);

  const view = useSyncExternalStore(studio?.subscribe ?? noSubscription, studio?.snapshot ?? noView, noView);
  return [studio, view];
}
