/** Settings as they stand in the form, as texts, and what they mean. */

import type { Ladder, Settings } from '@/api/settings';
import { dashboard } from '@/strings/dashboard';

const problems = dashboard.settings.problems;
const TITLE_LONGEST = 200;
const RUNGS_MAX = 8;
const MINUTE_S = 60;

export interface RungDraft {
  readonly height: string;
  /** In kbit/s. */
  readonly bitrate: string;
}

export interface Draft {
  readonly title: string;
  readonly profile: string;
  /** Empty is that of the source. */
  readonly frameRate: string;
  readonly graceS: string;
  readonly dvrMinutes: string;
  readonly secondPublisher: string;
  readonly passthrough: boolean;
  readonly access: string | null;
  /** null is the usual ladder. */
  readonly rungs: readonly RungDraft[] | null;
  /** In kbit/s. */
  readonly audio: string;
}

/** What an own ladder begins with. */
export const FIRST_RUNGS: readonly RungDraft[] = [
  { height: '720', bitrate: '2500' },
  { height: '360', bitrate: '700' },
];

const kilobits = (bits: number): string => String(bits / 1_000);

export function draftOf(settings: Settings): Draft {
  const { ladder } = settings;
  return {
    title: settings.title,
    profile: settings.profile,
    frameRate: settings.frameRate === null ? '' : String(settings.frameRate),
    graceS: String(settings.graceS),
    dvrMinutes: String(settings.dvrS / MINUTE_S),
    secondPublisher: settings.secondPublisher,
    passthrough: settings.passthrough,
    access: settings.access,
    rungs: ladder === null ? null : ladder.rungs.map(({ height, bitrate }) => ({ height: String(height), bitrate: kilobits(bitrate) })),
    audio: kilobits(ladder?.audioBitrate ?? 128_000),
  };
}

/** The number that a text is, within its limits; null where it is none. */
function within(text: string, least: number, most: number, isWhole = true): number | null {
  const value = text.trim() === '' ? NaN : Number(text);
  return value >= least && value <= most && (!isWhole || Number.isInteger(value)) ? value : null;
}

/** The settings that a draft means, or the first problem in words. */
export function settingsOf(draft: Draft, before: Settings): Settings | string {
  const title = draft.title.trim();
  if (title === '' || Array.from(title).length > TITLE_LONGEST) return problems.title;
  const frameRate = draft.frameRate.trim() === '' ? null : within(draft.frameRate, 1, 120);
  if (frameRate === null && draft.frameRate.trim() !== '') return problems.frameRate;
  const graceS = within(draft.graceS, 0, 600);
  if (graceS === null) return problems.grace;
  // A length that was set elsewhere need not be whole minutes.
  const dvrS = draft.dvrMinutes === String(before.dvrS / MINUTE_S) ? before.dvrS : scaled(within(draft.dvrMinutes, 0, 720), MINUTE_S);
  if (dvrS === null) return problems.dvr;
  const ladder = ladderOf(draft);
  if (typeof ladder === 'string') return ladder;
  const { profile, secondPublisher, passthrough, access } = draft;
  return { title, profile, frameRate, graceS, dvrS, secondPublisher, passthrough, access, ladder, hasSlate: before.hasSlate };
}

function scaled(value: number | null, by: number): number | null {
  return value === null ? null : Math.round(value * by);
}

function ladderOf({ rungs, audio }: Draft): Ladder | string | null {
  if (rungs === null) return null;
  if (rungs.length === 0 || rungs.length > RUNGS_MAX) return problems.rungs;
  const read: { height: number; bitrate: number }[] = [];
  for (const [index, rung] of rungs.entries()) {
    const height = within(rung.height, 64, 4_320);
    const bitrate = scaled(within(rung.bitrate, 50, 100_000, false), 1_000);
    if (height === null || height % 2 === 1 || bitrate === null) return problems.rung(index + 1);
    const last = read.at(-1);
    if (last !== undefined && last.height <= height) return problems.order;
    read.push({ height, bitrate });
  }
  const audioBitrate = scaled(within(audio, 32, 512, false), 1_000);
  return audioBitrate === null ? problems.audio : { rungs: read, audioBitrate };
}
