import { describe, expect, it } from 'vitest';

import { DELAYS_MS, HEAL_MS, initialState, isOn, spread, step, trouble, WAIT_MS_MAX, type Command, type PublishEvent, type PublishState, type TroubleKind } from './publish';

function play(...events: PublishEvent[]): { state: PublishState; commands: readonly Command[] } {
  return events.reduce<{ state: PublishState; commands: readonly Command[] }>(({ state }, event) => step(state, event), { state: initialState, commands: [] });
}

const lost = (kind: TroubleKind, waitMs = 0): PublishEvent => ({ type: 'lost', trouble: trouble(kind, null, waitMs) });
const live: PublishEvent[] = [{ type: 'goLive' }, { type: 'connected' }];

describe('going live', () => {
  it('connects at once, and is live with the connection', () => {
    expect(play({ type: 'goLive' })).toMatchObject({ state: { phase: 'connecting' }, commands: [{ do: 'open', delayMs: 0 }] });
    expect(play(...live)).toMatchObject({ state: { phase: 'live', trouble: null, wasLive: true }, commands: [] });
  });

  it('twice is once', () => {
    expect(play(...live, { type: 'goLive' })).toMatchObject({ state: { phase: 'live' }, commands: [] });
  });

  it('can be given up before it worked, which ends nothing', () => {
    expect(play({ type: 'goLive' }, { type: 'end' })).toMatchObject({ state: { phase: 'ready' }, commands: [{ do: 'close', tell: true }] });
  });

  it('can be tried again after a failure', () => {
    expect(play({ type: 'goLive' }, lost('forbidden'), { type: 'goLive' })).toMatchObject({ state: { phase: 'connecting', trouble: null, tries: 0 } });
  });
});

describe('a short loss', () => {
  it('gets time to heal, and heals without a new connection', () => {
    expect(play(...live, { type: 'interrupted' })).toMatchObject({ state: { phase: 'reconnecting' }, commands: [{ do: 'doubt', delayMs: HEAL_MS }] });
    expect(play(...live, { type: 'interrupted' }, { type: 'connected' })).toMatchObject({ state: { phase: 'live', trouble: null }, commands: [] });
  });

  it('that does not heal connects anew, at first at once and then ever more slowly', () => {
    let { state, commands } = play(...live);
    for (const delayMs of DELAYS_MS) {
      ({ state, commands } = step(state, lost('interrupted')));
      expect(state.phase).toBe('reconnecting');
      expect(commands).toEqual([{ do: 'open', delayMs }]);
    }
    ({ state, commands } = step(state, lost('interrupted')));
    expect(state).toMatchObject({ phase: 'failed', trouble: { kind: 'interrupted' } });
    expect(commands).toEqual([{ do: 'close', tell: true }]);
  });

  it('is forgotten once the broadcast is steady, and only then', () => {
    const flapping = play(...live, lost('interrupted'), { type: 'connected' }, lost('interrupted'));
    expect(flapping.state.tries).toBe(2);
    expect(play(...live, lost('interrupted'), { type: 'connected' }, { type: 'steady' }).state.tries).toBe(0);
  });

  it('is tried at once when the network comes back', () => {
    expect(play(...live, lost('network'), { type: 'online' }).commands).toEqual([{ do: 'open', delayMs: 0 }]);
    expect(play(...live, { type: 'online' }).commands).toEqual([]);
  });
});

describe('refusals', () => {
  it('of an old token fetch a fresh one, but not for ever', () => {
    let { state } = play({ type: 'goLive' });
    for (const phase of ['connecting', 'connecting', 'failed']) {
      ({ state } = step(state, lost('tokenExpired')));
      expect(state.phase).toBe(phase);
    }
  });

  it('with a wait are kept to it, up to a bound', () => {
    expect(play({ type: 'goLive' }, lost('serverBusy', 5_000)).commands).toEqual([{ do: 'open', delayMs: 5_000 }]);
    expect(play({ type: 'goLive' }, lost('tooMany', 3_600_000)).commands).toEqual([{ do: 'open', delayMs: WAIT_MS_MAX }]);
  });

  it('that another try cannot mend end it', () => {
    const kinds: TroubleKind[] = ['signedOut', 'forbidden', 'channelGone', 'conflict', 'replaced', 'endedByServer', 'unacceptable', 'otherTab', 'browser'];
    for (const kind of kinds) {
      const { state, commands } = play(...live, lost(kind));
      expect(state, kind).toMatchObject({ phase: 'failed', trouble: { kind } });
      expect(commands).toEqual([{ do: 'close', tell: true }]);
    }
  });
});

describe('the end', () => {
  it('closes and tells the server', () => {
    expect(play(...live, { type: 'end' })).toMatchObject({ state: { phase: 'ended' }, commands: [{ do: 'close', tell: true }] });
    expect(play(...live, lost('network'), { type: 'end' })).toMatchObject({ state: { phase: 'ended', trouble: null } });
  });

  it('is not undone by what comes late', () => {
    for (const late of [{ type: 'connected' }, { type: 'interrupted' }, lost('network'), { type: 'steady' }, { type: 'online' }, { type: 'end' }] as PublishEvent[]) {
      expect(play(...live, { type: 'end' }, late), late.type).toMatchObject({ state: { phase: 'ended' }, commands: [] });
    }
  });

  it('is one of the states that are off', () => {
    expect(['ready', 'connecting', 'live', 'reconnecting', 'ended', 'failed'].filter((phase) => isOn({ ...initialState, phase: phase as PublishState['phase'] }))).toEqual([
      'connecting',
      'live',
      'reconnecting',
    ]);
  });
});

describe('waits', () => {
  it('are spread by a quarter either way', () => {
    expect([spread(1_000, 0), spread(1_000, 0.5), spread(0, 0.9)]).toEqual([750, 1_000, 0]);
    expect(spread(1_000, 0.999_999)).toBeLessThanOrEqual(1_250);
  });
});
