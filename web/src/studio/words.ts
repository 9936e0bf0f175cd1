/** Figures and durations as streamers read them. Pure. */

import { strings } from '@/strings';

import type { Health } from './health';

const words = strings.studio;

/** `h:mm:ss`, or `m:ss` within the first hour. */
export function durationWords(milliseconds: number): string {
  const all = Math.max(0, Math.floor(milliseconds / 1_000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes, seconds] = [Math.floor(all / 3_600), Math.floor(all / 60) % 60, all % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** The verdict in one sentence. */
export function healthWords({ grade, reason }: Pick<Health, 'grade' | 'reason'>): string {
  if (reason !== null) return words.health.summary[reason];
  return grade === 'good' ? words.health.summary.good : words.health.summary.fewPictures;
}

/** A share from 0 to 1, with a decimal while it is small. */
export function shareWords(share: number): string {
  const percent = share * 100;
  return words.health.percent(percent > 0 && percent < 10 ? percent.toFixed(1) : percent.toFixed(0));
}

/** Size and codec of what is sent, as far as they are known. */
export function sentWords({ width, height, codec }: Pick<Health, 'width' | 'height' | 'codec'>): string {
  if (width === null || height === null) return words.health.unknown;
  const size = words.health.sentAs(width, height);
  return codec === null ? size : words.health.withCodec(size, codec);
}
