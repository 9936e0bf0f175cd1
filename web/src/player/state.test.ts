import { describe, expect, it } from 'vitest';

import { initialState, NETWORK_DELAYS_MS, step, type Command, type PlayerEvent, type PlayerState } from './state';

const first = { id: 'b1', src: '/live/demo/index.m3u8' };
const second = { id: 'b2', src: '/live/demo/index.m3u8' };
const live: PlayerEvent = { type: 'polledLive', broadcast: first };
const liveAgain: PlayerEvent = { type: 'polledLive', broadcast: second };
const ended: PlayerEvent = { type: 'polledSilent', silence: 'ended' };
const offline: PlayerEvent = { type: 'polledSilent', silence: 'offline' };
const playing: PlayerEvent = { type: 'playing' };
/** What the first picture, and the first after an interruption, brings. */
const catchUp = { do: 'catchUp' };
const networkLost: PlayerEvent = { type: 'networkLost' };
const mediaBroken: PlayerEvent = { type: 'mediaBroken' };

/** Plays a script and tells the last state and all commands. */
function run(...events: PlayerEvent[]): { state: PlayerState; commands: Command[]; last: readonly Command[] } {
  let state = initialState;
  const commands: Command[] = [];
  let last: readonly Command[] = [];
  for (const event of events) {
    const next = step(state, event);
    state = next.state;
    last = next.commands;
    commands.push(...last);
  }
  return { state, commands, last };
}

function times(count: number, ...events: PlayerEvent[]): PlayerEvent[] {
  return Array.from({ length: count }, () => events).flat();
}

const attach = (broadcast = first, delayMs = 0): Command => ({ do: 'attach', broadcast, delayMs });

describe('starting', () => {
  it('a live channel is attached once, however often it is polled', () => {
    const { state, commands } = run(live, live, playing, live);
    expect(state.phase).toBe('live');
    expect(commands).toEqual([attach(), catchUp]);
  });

  it('a channel that is not live says so and starts by itself', () => {
    expect(run(offline).state.phase).toBe('offline');
    const { state, commands } = run(offline, offline, live, playing);
    expect(state.phase).toBe('live');
    expect(commands).toEqual([attach(), catchUp]);
  });

  it('playing is not believed before a broadcast is attached', () => {
    expect(run(offline, playing).state.phase).toBe('offline');
  });
});

describe('ending', () => {
  it('what was sent is played to its end before the viewer is told', () => {
    expect(run(live, playing, ended).state.phase).toBe('live');
    const { state, last } = run(live, playing, ended, { type: 'mediaEnded' });
    expect(state.phase).toBe('ended');
    expect(last).toEqual([{ do: 'detach' }]);
  });

  it('a stall or a lost network after the end is the end, not a fault', () => {
    for (const event of [{ type: 'stalled' }, networkLost, mediaBroken] as const) {
      expect(run(live, playing, ended, event).state.phase).toBe('ended');
      expect(run(live, playing, offline, event).state.phase).toBe('offline');
    }
  });

  it('a late answer does not start an ended broadcast again', () => {
    const { state, last } = run(live, playing, { type: 'mediaEnded' }, live);
    expect(state.phase).toBe('ended');
    expect(last).toEqual([]);
  });

  it('the next broadcast is attached anew, also while the last one still plays', () => {
    expect(run(live, playing, { type: 'mediaEnded' }, liveAgain).last).toEqual([attach(second)]);
    expect(run(live, playing, ended, liveAgain).last).toEqual([attach(second)]);
    expect(run(live, playing, liveAgain).state.phase).toBe('connecting');
  });

  it('a broadcast that goes on after a pause of the server goes on playing', () => {
    const { state, commands } = run(live, playing, offline, live);
    expect(state).toMatchObject({ phase: 'live', silence: null });
    expect(commands).toEqual([attach(), catchUp]);
  });
});

describe('network', () => {
  it('a playing broadcast loads on first and is attached anew after', () => {
    const { state, commands } = run(live, playing, networkLost, networkLost);
    expect(state.phase).toBe('reconnecting');
    expect(commands.slice(2)).toEqual([{ do: 'reload', delayMs: 500 }, attach(first, 1_000)]);
  });

  it('a broadcast that never played stays at connecting', () => {
    expect(run(live, networkLost, networkLost).state.phase).toBe('connecting');
  });

  it('tries are bounded, and then it fails and stops loading', () => {
    const { state, last } = run(live, playing, ...times(NETWORK_DELAYS_MS.length + 1, networkLost));
    expect(state).toMatchObject({ phase: 'failed', failure: 'network' });
    expect(last).toEqual([{ do: 'detach' }]);
  });

  it('a fault that returns after each first picture is bounded too', () => {
    const { state } = run(live, playing, ...times(NETWORK_DELAYS_MS.length + 1, networkLost, playing));
    expect(state.phase).toBe('failed');
  });

  it('steady playing makes earlier faults forgotten', () => {
    const events = times(3 * NETWORK_DELAYS_MS.length, networkLost, playing, { type: 'steady' });
    expect(run(live, playing, ...events).state.phase).toBe('live');
  });

  it('a failed player starts again when the server was away and is back', () => {
    const failed = [live, ...times(NETWORK_DELAYS_MS.length + 1, networkLost)];
    expect(run(...failed, live).state.phase).toBe('failed');
    expect(run(...failed, { type: 'pollFailed' }, live).last).toEqual([attach()]);
  });

  it('unanswered polls are told after two and fail after eight', () => {
    expect(run({ type: 'pollFailed' }).state.phase).toBe('connecting');
    expect(run(...times(2, { type: 'pollFailed' })).state.phase).toBe('reconnecting');
    expect(run(...times(8, { type: 'pollFailed' })).state).toMatchObject({ phase: 'failed', failure: 'network' });
    expect(run(...times(8, { type: 'pollFailed' }), offline).state).toMatchObject({ phase: 'offline', failure: null });
  });

  it('unanswered polls do not disturb what plays', () => {
    expect(run(live, playing, ...times(20, { type: 'pollFailed' })).state.phase).toBe('live');
  });
});

describe('media', () => {
  it('is recovered in place twice, then attached anew, then fails', () => {
    const { state, commands } = run(live, playing, ...times(5, mediaBroken));
    expect(commands.slice(2)).toEqual([
      { do: 'recoverMedia' },
      { do: 'recoverMedia' },
      attach(),
      attach(),
      { do: 'detach' },
    ]);
    expect(state).toMatchObject({ phase: 'failed', failure: 'media' });
  });

  it('a failed broadcast is not tried again by itself, the next one is', () => {
    const failed = [live, ...times(5, mediaBroken)];
    expect(run(...failed, { type: 'pollFailed' }, live).last).toEqual([]);
    expect(run(...failed, liveAgain).last).toEqual([attach(second)]);
  });

  it('a start that took long is made up for', () => {
    const { state, last } = run(live, playing);
    expect(state.phase).toBe('live');
    expect(last).toEqual([catchUp]);
    expect(run(live, playing, playing).last).toEqual([]);
  });

  it('a stall is told, and its end too', () => {
    expect(run(live, playing, { type: 'stalled' }).state.phase).toBe('reconnecting');
    const { state, last } = run(live, playing, { type: 'stalled' }, playing);
    expect(state.phase).toBe('live');
    expect(last).toEqual([catchUp]);
  });
});

describe('the viewer asks again', () => {
  it('the broadcast is attached and the channel polled', () => {
    const { state, last } = run(live, ...times(5, mediaBroken), { type: 'retry' });
    expect(state).toMatchObject({ phase: 'connecting', failure: null, mediaTries: 0 });
    expect(last).toEqual([attach(), { do: 'poll' }]);
  });

  it('without a broadcast the channel is polled', () => {
    expect(run(...times(8, { type: 'pollFailed' }), { type: 'retry' }).last).toEqual([{ do: 'poll' }]);
  });
});
