/** Figures as people read them. Pure. */

import { strings } from '@/strings';

/** One picture quality of the stream. */
export interface Level {
  readonly index: number;
  /** In pixels; 0 for sound alone. */
  readonly height: number;
  /** In bits per second. */
  readonly bitrate: number;
}

/** A latency beyond this is a wrong clock, not a latency; in seconds. */
const LATENCY_SECONDS_MAX = 600;

export function bitrateWords(bitsPerSecond: number): string {
  const kilobits = bitsPerSecond / 1_000;
  if (kilobits < 1_000) return strings.player.kilobits(kilobits.toFixed(0));
  return strings.player.megabits((kilobits / 1_000).toFixed(1));
}

export function levelWords(level: Level): string {
  const bitrate = bitrateWords(level.bitrate);
  return level.height > 0 ? strings.player.level(level.height, bitrate) : strings.player.audioOnly(bitrate);
}

/** `seconds`, or null where it cannot be a latency: this machine's clock is wrong. */
export function plausibleLatency(seconds: number): number | null {
  return seconds >= 0 && seconds <= LATENCY_SECONDS_MAX ? seconds : null;
}

/** Closer to live than this is live, in seconds. */
export const LIVE_SECONDS = 3;

/** How far behind live the picture is. */
export function behindWords(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < LIVE_SECONDS) return strings.player.atLive;
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60)];
  return strings.player.behind(strings.player.duration(hours, minutes, whole % 60));
}

export function latencyWords(seconds: number | null): string {
  return seconds === null ? strings.player.unknownSeconds : strings.player.seconds(seconds.toFixed(1));
}
