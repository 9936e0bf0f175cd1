/**
 * The decisions of publishing: events in, next state and commands out.
 *
 * Pure: knows no clock, no network and no WebRTC.
 */

/** What the streamer is told. */
export type Phase = 'ready' | 'connecting' | 'live' | 'reconnecting' | 'ended' | 'failed';

/** What stands in the way. */
export type TroubleKind =
  /** The server cannot be reached. */
  | 'network'
  /** The server answers, but no media gets through. */
  | 'media'
  /** Media stopped getting through. */
  | 'interrupted'
  /** The server has no room, or is about to stop; it says when to come back. */
  | 'serverBusy'
  /** Too many requests. */
  | 'tooMany'
  /** The token had run out. */
  | 'tokenExpired'
  | 'signedOut'
  | 'forbidden'
  | 'channelGone'
  /** Another publisher has the channel and keeps it. */
  | 'conflict'
  /** Another publisher took the channel over. */
  | 'replaced'
  /** An operator ended it, or the key that it ran on. */
  | 'endedByServer'
  /** The server wants another kind of stream. */
  | 'unacceptable'
  /** Another tab of this browser is live on the channel. */
  | 'otherTab'
  /** The browser cannot make such a connection. */
  | 'browser';

export interface Trouble {
  readonly kind: TroubleKind;
  /** The server's own words, where it gave some. */
  readonly said: string | null;
  /** How long the server asks to wait, in milliseconds. */
  readonly waitMs: number;
}

export interface PublishState {
  readonly phase: Phase;
  readonly trouble: Trouble | null;
  /** How many tries in a row did not lead to a steady broadcast. */
  readonly tries: number;
  /** How many tokens in a row were refused. */
  readonly staleTokens: number;
  /** Pictures got through since the streamer went live. */
  readonly wasLive: boolean;
}

export type PublishEvent =
  | { readonly type: 'goLive' }
  /** The streamer ends, or gives up waiting. */
  | { readonly type: 'end' }
  /** The connection stands. */
  | { readonly type: 'connected' }
  /** Media has got through for a while: earlier faults are forgotten. */
  | { readonly type: 'steady' }
  /** The connection stutters; it may heal by itself. */
  | { readonly type: 'interrupted' }
  /** The connection is gone, or the attempt for one failed. */
  | { readonly type: 'lost'; readonly trouble: Trouble }
  /** The network came back, says the browser. */
  | { readonly type: 'online' };

export type Command =
  /** Connect anew after a wait. Replaces any connection and any wait. */
  | { readonly do: 'open'; readonly delayMs: number }
  /** Close the connection after a wait unless it heals. */
  | { readonly do: 'doubt'; readonly delayMs: number }
  /** Nothing more: close everything; `tell` the server goodbye. */
  | { readonly do: 'close'; readonly tell: boolean };

export interface Step {
  readonly state: PublishState;
  readonly commands: readonly Command[];
}

/** The waits before tries 1, 2, …; after the last it fails. About two minutes in all. */
export const DELAYS_MS: readonly number[] = [0, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000, 15_000, 15_000, 15_000];
/** A connection that stutters gets so long to heal, in milliseconds. */
export const HEAL_MS = 4_000;
/** The longest wait that a server can impose, in milliseconds. */
export const WAIT_MS_MAX = 60_000;
/** So many fresh tokens in a row may be refused. */
const STALE_TOKENS_MAX = 2;

/** Another try mends none of these. */
const FINAL: ReadonlySet<TroubleKind> = new Set<TroubleKind>([
  'signedOut',
  'forbidden',
  'channelGone',
  'conflict',
  'replaced',
  'endedByServer',
  'unacceptable',
  'otherTab',
  'browser',
]);

export const initialState: PublishState = { phase: 'ready', trouble: null, tries: 0, staleTokens: 0, wasLive: false };

/** Is a broadcast running or being tried? */
export function isOn({ phase }: PublishState): boolean {
  return phase === 'connecting' || phase === 'live' || phase === 'reconnecting';
}

export function trouble(kind: TroubleKind, said: string | null = null, waitMs = 0): Trouble {
  return { kind, said, waitMs };
}

/** Decides. */
export function step(state: PublishState, event: PublishEvent): Step {
  if (event.type === 'goLive') return isOn(state) ? stay(state) : begin();
  if (!isOn(state)) return stay(state);
  switch (event.type) {
    case 'end':
      return end(state);
    case 'connected':
      return stay({ ...state, phase: 'live', trouble: null, staleTokens: 0, wasLive: true });
    case 'steady':
      return stay(state.phase === 'live' ? { ...state, tries: 0 } : state);
    case 'interrupted':
      return interrupted(state);
    case 'lost':
      return lost(state, event.trouble);
    case 'online':
      return state.phase === 'live' ? stay(state) : { state, commands: [{ do: 'open', delayMs: 0 }] };
  }
}

function stay(state: PublishState): Step {
  return { state, commands: [] };
}

function begin(): Step {
  return { state: { ...initialState, phase: 'connecting' }, commands: [{ do: 'open', delayMs: 0 }] };
}

/** Who never got through has nothing to end. */
function end(state: PublishState): Step {
  const phase = state.wasLive ? 'ended' : 'ready';
  return { state: { ...initialState, phase }, commands: [{ do: 'close', tell: true }] };
}

function interrupted(state: PublishState): Step {
  if (state.phase !== 'live') return stay(state);
  return { state: { ...state, phase: 'reconnecting', trouble: trouble('interrupted') }, commands: [{ do: 'doubt', delayMs: HEAL_MS }] };
}

function lost(before: PublishState, why: Trouble): Step {
  const staleTokens = why.kind === 'tokenExpired' ? before.staleTokens + 1 : 0;
  const usual = DELAYS_MS[before.tries];
  if (FINAL.has(why.kind) || staleTokens > STALE_TOKENS_MAX || usual === undefined) return fail(before, why);
  const phase = before.wasLive ? 'reconnecting' : 'connecting';
  const state = { ...before, phase, trouble: why, tries: before.tries + 1, staleTokens } as const;
  return { state, commands: [{ do: 'open', delayMs: Math.max(usual, Math.min(why.waitMs, WAIT_MS_MAX)) }] };
}

/** Everything is closed, and the server is told where it may still think that we are there. */
function fail(state: PublishState, why: Trouble): Step {
  return { state: { ...state, phase: 'failed', trouble: why }, commands: [{ do: 'close', tell: true }] };
}

/** A wait spread by a quarter either way, so that many streamers do not come back at one instant. `random` is in [0, 1). */
export function spread(delayMs: number, random: number): number {
  return Math.round(delayMs * (0.75 + random / 2));
}
