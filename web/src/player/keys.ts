/** Which key does what. Pure. */

export type KeyAction =
  | 'togglePlay'
  | 'toggleMute'
  | 'toggleFullScreen'
  | 'toLive'
  | 'volumeUp'
  | 'volumeDown'
  | 'seekBack'
  | 'seekForward'
  | 'toStart';

/** What has the focus, as far as keys go. */
export type Focus = 'page' | 'button' | 'field' | 'text';

const KEYS: Readonly<Record<string, KeyAction>> = {
  ' ': 'togglePlay',
  k: 'togglePlay',
  m: 'toggleMute',
  f: 'toggleFullScreen',
  l: 'toLive',
  ArrowUp: 'volumeUp',
  ArrowDown: 'volumeDown',
  ArrowLeft: 'seekBack',
  ArrowRight: 'seekForward',
  Home: 'toStart',
  End: 'toLive',
};

/**
 * The action of `key`, or null where the key belongs to what has the focus: space to a button, arrows
 * and space to a slider or a menu, everything to a text field.
 */
export function keyAction(key: string, focus: Focus): KeyAction | null {
  const action = KEYS[key.length === 1 ? key.toLowerCase() : key];
  if (action === undefined || focus === 'text') return null;
  if (key === ' ' && focus !== 'page') return null;
  if ((key.startsWith('Arrow') || key === 'Home' || key === 'End') && focus === 'field') return null;
  return action;
}

/** Reads the focus from an event's target. */
export function focusOf(target: EventTarget | null): Focus {
  if (!(target instanceof HTMLElement)) return 'page';
  if (target.isContentEditable || target.matches('textarea, input:not([type="range"])')) return 'text';
  if (target.matches('select, input')) return 'field';
  return target.matches('button, a[href], summary') ? 'button' : 'page';
}
