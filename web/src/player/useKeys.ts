'use client';

import { useEffect } from 'react';

import { focusOf, keyAction, type KeyAction } from './keys';

/** Calls `act` for the player's keys, wherever on the page the focus is. `act` must be stable. */
export function useKeys(act: (action: KeyAction) => void): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const action = keyAction(event.key, focusOf(event.target));
      if (action === null) return;
      event.preventDefault();
      act(action);
    };
    document.addEventListener('keydown', pressed);
    return () => {
      document.removeEventListener('keydown', pressed);
    };
  }, [act]);
}
