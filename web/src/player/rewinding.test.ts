import { describe, expect, it } from 'vitest';

import { Rewinding } from './rewinding';

const at = (seconds: number): Date => new Date(seconds * 1_000);

describe('rewinding', () => {
  it('counts from what is live, whatever the clock of this machine says', () => {
    const rewinding = new Rewinding();
    // Two seconds of latency on a clock that is an hour ahead, and half a second behind where live belongs.
    rewinding.look(at(100), 0.5, (102.5 + 3_600) * 1_000);
    const nowMs = (110 + 3_600) * 1_000;
    expect(rewinding.dateOf(10, nowMs)).toEqual(at(98));
    expect(rewinding.behind(at(98), nowMs)).toBe(10);
    expect(rewinding.behind(at(500), nowMs)).toBe(0);
  });

  it('keeps to what was wanted until it is on screen, and follows the picture then', () => {
    const rewinding = new Rewinding();
    expect(rewinding.isOn()).toBe(false);
    rewinding.begin(at(50), 100_000);
    rewinding.look(at(100), 0, 100_000);
    rewinding.look(null, null, 100_000);
    expect(rewinding.at()).toEqual(at(50));
    rewinding.look(at(51), 0, 101_000);
    rewinding.look(at(52), 0, 102_000);
    expect(rewinding.at()).toEqual(at(52));
    expect([rewinding.end(), rewinding.end(), rewinding.isOn()]).toEqual([true, false, false]);
  });

  it('a place that cannot be had gives way to what is on screen after a while', () => {
    const rewinding = new Rewinding();
    rewinding.begin(at(50), 100_000);
    rewinding.look(at(90), 0, 104_900);
    expect(rewinding.at()).toEqual(at(50));
    rewinding.look(at(90.2), 0, 105_000);
    expect(rewinding.at()).toEqual(at(90.2));
  });
});
