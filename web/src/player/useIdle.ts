'use client';

import { useEffect, useState, type RefObject } from 'react';

/** Controls fade after so long without a hand on them, in milliseconds. */
const IDLE_MS = 3_000;
const SIGNS = ['pointermove', 'pointerdown', 'keydown', 'focusin'] as const;

/** Whether nobody has touched `root` for a while. */
export function useIdle(root: RefObject<HTMLElement | null>): boolean {
  const [idle, setIdle] = useState(false);

  useEffect(() => {
    const element = root.current;
    if (element === null) return;
    let timer = 0;
    const wake = (): void => {
      setIdle(false);
      window.clearTimeout(timer);
      timer = window.setTimeout(() => {
        setIdle(true);
      }, IDLE_MS);
    };
    wake();
    for (const sign of SIGNS) element.addEventListener(sign, wake);
    return () => {
      window.clearTimeout(timer);
      for (const sign of SIGNS) element.removeEventListener(sign, wake);
    };
  }, [root]);

  return idle;
}
