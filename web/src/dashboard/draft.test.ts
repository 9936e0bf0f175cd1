import { describe, expect, it } from 'vitest';

import { parseSettings, settingsBody, type Settings } from '@/api/settings';
import { dashboard } from '@/strings/dashboard';

import { draftOf, settingsOf, type Draft } from './draft';

const words = dashboard.settings.problems;
const body = {
  name: 'news', title: 'News', profile: 'low', frame_rate: null, grace_s: 60, second_publisher: 'replace', dvr_s: 7200, passthrough: true, slate: false,
  ladder: { rungs: [{ height: 720, bitrate: 2_500_000 }, { height: 360, bitrate: 700_000 }], audio_bitrate: 128_000 },
};
const settings = parseSettings(body);
const change = (part: Partial<Draft>): Settings | string => settingsOf({ ...draftOf(settings), ...part }, settings);

describe('the settings form', () => {
  it('says what the API says, and back', () => {
    expect(settingsOf(draftOf(settings), settings)).toEqual(settings);
    expect({ name: 'news', slate: false, ...settingsBody(settings) }).toEqual(body);
  });

  it('keeps a length that is no whole number of minutes', () => {
    const odd = { ...settings, dvrS: 90 };
    expect(settingsOf(draftOf(odd), odd)).toEqual(odd);
  });

  it('takes an empty frame rate for that of the source, and the usual ladder for none', () => {
    expect(change({ frameRate: ' ' })).toMatchObject({ frameRate: null });
    expect(change({ frameRate: '25' })).toMatchObject({ frameRate: 25 });
    expect(change({ rungs: null })).toMatchObject({ ladder: null });
  });

  it('sends an access policy only where the server has one', () => {
    expect(settingsBody(settings)).not.toHaveProperty('access');
    const known = parseSettings({ ...body, access: 'members' });
    expect(settingsBody(known)).toMatchObject({ access: 'members' });
  });

  it('refuses what the API would refuse, with the reason', () => {
    const rung = (height: string, bitrate: string) => ({ rungs: [{ height, bitrate }] });
    const cases: [Partial<Draft>, string][] = [
      [{ title: '  ' }, words.title],
      [{ title: 'x'.repeat(201) }, words.title],
      [{ frameRate: '0' }, words.frameRate],
      [{ frameRate: '29.97' }, words.frameRate],
      [{ frameRate: 'fast' }, words.frameRate],
      [{ graceS: '601' }, words.grace],
      [{ graceS: '' }, words.grace],
      [{ dvrMinutes: '721' }, words.dvr],
      [{ rungs: [] }, words.rungs],
      [{ rungs: Array.from({ length: 9 }, (_, at) => ({ height: String(1000 - 2 * at), bitrate: '900' })) }, words.rungs],
      [rung('361', '700'), words.rung(1)],
      [rung('62', '700'), words.rung(1)],
      [rung('360', '49'), words.rung(1)],
      [rung('360', ''), words.rung(1)],
      [{ rungs: [{ height: '360', bitrate: '700' }, { height: '720', bitrate: '2500' }] }, words.order],
      [{ rungs: [{ height: '360', bitrate: '700' }, { height: '360', bitrate: '500' }] }, words.order],
      [{ audio: '31' }, words.audio],
    ];
    for (const [part, problem] of cases) expect(change(part), JSON.stringify(part)).toBe(problem);
  });
});
