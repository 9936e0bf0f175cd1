/**
 * The player's decisions: events in, next state and commands out.
 *
 * Pure: knows no clock, no network, no video element and no player library.
 */

import type { Broadcast } from '@/api/live';

/** What the viewer is told. */
export type Phase = 'connecting' | 'live' | 'reconnecting' | 'offline' | 'ended' | 'failed';

/** Why it failed. */
export type Failure = 'network' | 'media' | 'unsupported' | 'signIn' | 'notMember' | 'putOut';

/** What the channel says when it is not live. */
export type Silence = 'ended' | 'offline';

export interface PlayerState {
  readonly phase: Phase;
  readonly failure: Failure | null;
  /** The broadcast that plays, or that we try to play. */
  readonly attached: Broadcast | null;
  /** Said by the channel while its last media still plays. */
  readonly silence: Silence | null;
  /** The broadcast that was seen to its end; a late answer must not start it again. */
  readonly finished: string | null;
  readonly networkTries: number;
  readonly mediaTries: number;
  readonly pollFailures: number;
}

export type PlayerEvent =
  | { readonly type: 'polledLive'; readonly broadcast: Broadcast }
  | { readonly type: 'polledSilent'; readonly silence: Silence }
  | { readonly type: 'pollFailed' }
  /** Pictures move. */
  | { readonly type: 'playing' }
  /** Pictures have moved long enough to forget earlier faults. */
  | { readonly type: 'steady' }
  /** Pictures ought to move and have not for a while. */
  | { readonly type: 'stalled' }
  /** The media was played to its end mark. */
  | { readonly type: 'mediaEnded' }
  /** Playlists or media cannot be fetched; the player library gave up. */
  | { readonly type: 'networkLost' }
  /** Media cannot be decoded; the player library gave up. */
  | { readonly type: 'mediaBroken' }
  /** Nothing here can play this stream. */
  | { readonly type: 'unsupported' }
  /** The channel is for members, and this viewer may not watch it (any more). */
  | { readonly type: 'keptOut'; readonly why: Failure }
  | { readonly type: 'retry' };

export type Command =
  /** Load this broadcast from nothing. Replaces whatever was attached or waiting. */
  | { readonly do: 'attach'; readonly broadcast: Broadcast; readonly delayMs: number }
  /** Load on where loading stopped. */
  | { readonly do: 'reload'; readonly delayMs: number }
  | { readonly do: 'recoverMedia' }
  /** After a start or an interruption: to live where the picture is too far behind. */
  | { readonly do: 'catchUp' }
  | { readonly do: 'detach' }
  | { readonly do: 'poll' };

export interface Step {
  readonly state: PlayerState;
  readonly commands: readonly Command[];
}

/** The waits before network tries 1, 2, …; after the last the player fails. About a minute in all. */
export const NETWORK_DELAYS_MS: readonly number[] = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000];
/** How often broken media is recovered in place before the broadcast is attached anew. */
const MEDIA_RECOVERIES_MAX = 2;
/** How often broken media is tried at all before the player fails. */
const MEDIA_TRIES_MAX = 4;
/** After so many failed polls in a row, with nothing playing, the viewer is told. */
const POLL_FAILURES_TOLD = 2;
/** After so many the player fails; polling goes on slowly. */
const POLL_FAILURES_MAX = 8;

export const initialState: PlayerState = {
  phase: 'connecting',
  failure: null,
  attached: null,
  silence: null,
  finished: null,
  networkTries: 0,
  mediaTries: 0,
  pollFailures: 0,
};

/** Decides. */
export function step(state: PlayerState, event: PlayerEvent): Step {
  switch (event.type) {
    case 'polledLive':
      return polledLive(state, event.broadcast);
    case 'polledSilent':
      return polledSilent(state, event.silence);
    case 'pollFailed':
      return pollFailed({ ...state, pollFailures: state.pollFailures + 1 });
    case 'playing':
      return playing(state);
    case 'steady':
      return stay({ ...state, networkTries: 0, mediaTries: 0 });
    case 'stalled':
      return stalled(state);
    case 'mediaEnded':
      return state.attached === null ? stay(state) : settle(state, state.silence ?? 'ended');
    case 'networkLost':
      return networkLost(state);
    case 'mediaBroken':
      return mediaBroken(state);
    case 'unsupported':
      return fail(state, 'unsupported');
    case 'keptOut':
      return fail({ ...state, attached: null }, event.why);
    case 'retry':
      return retry(state);
  }
}

function stay(state: PlayerState): Step {
  return { state, commands: [] };
}

function polledLive(before: PlayerState, broadcast: Broadcast): Step {
  const wasLost = before.pollFailures > 0;
  const state = { ...before, pollFailures: 0 };
  if (broadcast.id === state.finished) return stay(state);
  if (broadcast.id !== state.attached?.id) return attach(state, broadcast);
  const serverIsBack = wasLost && state.phase === 'failed' && state.failure === 'network';
  return serverIsBack ? attach(state, broadcast) : stay({ ...state, silence: null });
}

function polledSilent(before: PlayerState, silence: Silence): Step {
  const state = { ...before, pollFailures: 0 };
  const stillPlays = state.phase === 'live' && state.attached !== null;
  return stillPlays ? stay({ ...state, silence }) : settle(state, silence);
}

function pollFailed(state: PlayerState): Step {
  if (state.attached !== null) return stay(state);
  if (state.pollFailures >= POLL_FAILURES_MAX) return stay({ ...state, phase: 'failed', failure: 'network' });
  return stay(state.pollFailures >= POLL_FAILURES_TOLD ? { ...state, phase: 'reconnecting' } : state);
}

function playing(state: PlayerState): Step {
  if (state.attached === null) return stay(state);
  if (state.phase !== 'connecting' && state.phase !== 'reconnecting') return stay(state);
  return { state: { ...state, phase: 'live' }, commands: [{ do: 'catchUp' }] };
}

function stalled(state: PlayerState): Step {
  if (state.phase !== 'live') return stay(state);
  return state.silence === null ? stay({ ...state, phase: 'reconnecting' }) : settle(state, state.silence);
}

function networkLost(before: PlayerState): Step {
  const { attached, silence } = before;
  if (attached === null || before.phase === 'failed') return stay(before);
  if (silence !== null) return settle(before, silence);
  const delayMs = NETWORK_DELAYS_MS[before.networkTries];
  if (delayMs === undefined) return fail(before, 'network');
  const state = { ...interrupted(before), networkTries: before.networkTries + 1 };
  const loadOn = before.phase === 'live' && before.networkTries === 0;
  return { state, commands: [loadOn ? { do: 'reload', delayMs } : { do: 'attach', broadcast: attached, delayMs }] };
}

function mediaBroken(before: PlayerState): Step {
  const { attached, silence } = before;
  if (attached === null || before.phase === 'failed') return stay(before);
  if (silence !== null) return settle(before, silence);
  const mediaTries = before.mediaTries + 1;
  if (mediaTries > MEDIA_TRIES_MAX) return fail(before, 'media');
  const state = { ...interrupted(before), mediaTries };
  const inPlace = mediaTries <= MEDIA_RECOVERIES_MAX;
  return { state, commands: [inPlace ? { do: 'recoverMedia' } : { do: 'attach', broadcast: attached, delayMs: 0 }] };
}

/** A viewer who saw pictures is told "reconnecting", one who did not yet stays at "connecting". */
function interrupted(state: PlayerState): PlayerState {
  return state.phase === 'live' ? { ...state, phase: 'reconnecting' } : state;
}

function retry(state: PlayerState): Step {
  const fresh: PlayerState = { ...initialState, attached: state.attached, finished: state.finished };
  const commands: Command[] = [{ do: 'poll' }];
  if (state.attached !== null) commands.unshift({ do: 'attach', broadcast: state.attached, delayMs: 0 });
  return { state: fresh, commands };
}

function attach(state: PlayerState, broadcast: Broadcast): Step {
  const fresh: PlayerState = { ...initialState, attached: broadcast, finished: state.finished };
  return { state: fresh, commands: [{ do: 'attach', broadcast, delayMs: 0 }] };
}

/** Nothing plays any more, and the viewer is told what the channel said. */
function settle(state: PlayerState, silence: Silence): Step {
  const finished = silence === 'ended' && state.attached !== null ? state.attached.id : state.finished;
  const commands: Command[] = state.attached === null ? [] : [{ do: 'detach' }];
  return { state: { ...initialState, phase: silence, finished }, commands };
}

function fail(state: PlayerState, failure: Failure): Step {
  return { state: { ...state, phase: 'failed', failure, silence: null }, commands: [{ do: 'detach' }] };
}
