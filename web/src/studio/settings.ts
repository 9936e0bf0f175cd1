/** What a streamer chose, and what it asks of devices and encoder. Pure. */

import { isRecord } from '@/api/http';

export const SOURCES = ['camera', 'screen', 'pattern'] as const;
export type SourceKind = (typeof SOURCES)[number];

/** Picture heights on offer, in pixels, at 16:9. */
export const HEIGHTS = [360, 480, 720, 1080] as const;
export type Height = (typeof HEIGHTS)[number];

/** Frame rates on offer, in pictures per second. */
export const FRAME_RATES = [15, 24, 30, 50, 60] as const;
export type FrameRate = (typeof FRAME_RATES)[number];

/** Picture bitrates on offer, in kbit/s. */
export const BITRATES = [500, 1_000, 1_500, 2_500, 4_000, 6_000, 8_000] as const;

/** What gives way when the connection or the computer is too slow. */
export const PREFERENCES = ['balanced', 'smooth', 'sharp'] as const;
export type Preference = (typeof PREFERENCES)[number];

/** What the browser does to the voice. All of it harms music. */
export interface Processing {
  readonly echo: boolean;
  readonly noise: boolean;
  readonly gain: boolean;
}

export interface Settings {
  readonly source: SourceKind | null;
  /** A device's id; null leaves it to the browser. */
  readonly camera: string | null;
  /** Is a microphone used? Null before that was chosen. */
  readonly withMicrophone: boolean | null;
  /** A device's id; null leaves it to the browser. */
  readonly microphone: string | null;
  readonly processing: Processing;
  /** Factor on the microphone's sound. */
  readonly gain: number;
  readonly muted: boolean;
  /** The sound of the shared screen, where the browser gives it. */
  readonly systemSound: boolean;
  /** The beep of the test pattern. */
  readonly beep: boolean;
  readonly height: Height;
  readonly frameRate: FrameRate;
  /** The most that the picture may take, in kbit/s; null follows size and frame rate. */
  readonly bitrate: number | null;
  readonly preference: Preference;
  /** Shows the preview mirrored; viewers never see it so. */
  readonly mirrored: boolean;
}

export const GAIN_MAX = 2;

export const firstSettings: Settings = {
  source: null,
  camera: null,
  withMicrophone: null,
  microphone: null,
  processing: { echo: true, noise: true, gain: true },
  gain: 1,
  muted: false,
  systemSound: true,
  beep: true,
  height: 720,
  frameRate: 30,
  bitrate: null,
  preference: 'balanced',
  mirrored: false,
};

/** The width of a picture of that height, in pixels: 16:9, and even. */
export function widthOf(height: Height): number {
  return Math.round((height * 16) / 9 / 2) * 2;
}

/** kbit/s for each height at 30 pictures per second. */
const USUAL_BITRATES: Record<Height, number> = { 360: 800, 480: 1_200, 720: 2_500, 1080: 4_500 };

/** What the picture may take, in kbit/s. More pictures cost more, but not in proportion. */
export function pictureBitrate({ bitrate, height, frameRate }: Pick<Settings, 'bitrate' | 'height' | 'frameRate'>): number {
  if (bitrate !== null) return bitrate;
  return Math.round((USUAL_BITRATES[height] * (0.5 + frameRate / 60)) / 100) * 100;
}

/** Nothing is done to the sound: the microphone hears music. */
export function isMusic({ processing }: Pick<Settings, 'processing'>): boolean {
  return !processing.echo && !processing.noise && !processing.gain;
}

/** What to ask of a camera. Sizes are wishes: a lesser camera is better than none. */
export function cameraConstraints(settings: Settings, device: string | null): MediaTrackConstraints {
  const { height, frameRate } = settings;
  return {
    ...(device === null ? {} : { deviceId: { exact: device } }),
    width: { ideal: widthOf(height) },
    height: { ideal: height },
    frameRate: { ideal: frameRate },
  };
}

/** What to ask of a microphone. */
export function microphoneConstraints(settings: Settings, device: string | null): MediaTrackConstraints {
  const { processing } = settings;
  return {
    ...(device === null ? {} : { deviceId: { exact: device } }),
    echoCancellation: processing.echo,
    noiseSuppression: processing.noise,
    autoGainControl: processing.gain,
    channelCount: { ideal: isMusic(settings) ? 2 : 1 },
  };
}

/** What to ask of a shared screen. Its sound must not be treated as a voice. */
export function screenOptions(settings: Settings): DisplayMediaStreamOptions {
  const sound = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  return {
    video: { width: { max: widthOf(settings.height) }, height: { max: settings.height }, frameRate: { ideal: settings.frameRate } },
    audio: settings.systemSound ? sound : false,
  };
}

/** By how much the encoder shrinks a picture that came larger than wished. */
export function shrinkBy(trackHeight: number | undefined, wished: Height): number {
  return trackHeight === undefined ? 1 : Math.max(1, trackHeight / wished);
}

/** The words of WebRTC for a preference. */
export function degradation(preference: Preference): RTCDegradationPreference {
  return ({ balanced: 'balanced', smooth: 'maintain-framerate', sharp: 'maintain-resolution' } as const)[preference];
}

/** What is in the picture, for the encoder. */
export function contentHint({ source, preference }: Pick<Settings, 'source' | 'preference'>): string {
  if (preference === 'smooth') return 'motion';
  return source === 'screen' ? 'detail' : 'motion';
}

/** Reads settings that were kept; whatever does not fit is as at first. */
export function parseSettings(kept: unknown): Settings {
  if (!isRecord(kept)) return firstSettings;
  const first = firstSettings;
  const processing = isRecord(kept.processing) ? kept.processing : {};
  return {
    source: oneOf(SOURCES, kept.source, first.source),
    camera: text(kept.camera),
    withMicrophone: typeof kept.withMicrophone === 'boolean' ? kept.withMicrophone : null,
    microphone: text(kept.microphone),
    processing: {
      echo: flag(processing.echo, first.processing.echo),
      noise: flag(processing.noise, first.processing.noise),
      gain: flag(processing.gain, first.processing.gain),
    },
    gain: typeof kept.gain === 'number' && kept.gain >= 0 && kept.gain <= GAIN_MAX ? kept.gain : first.gain,
    muted: flag(kept.muted, first.muted),
    systemSound: flag(kept.systemSound, first.systemSound),
    beep: flag(kept.beep, first.beep),
    height: oneOf(HEIGHTS, kept.height, first.height),
    frameRate: oneOf(FRAME_RATES, kept.frameRate, first.frameRate),
    bitrate: oneOf(BITRATES, kept.bitrate, first.bitrate),
    preference: oneOf(PREFERENCES, kept.preference, first.preference),
    mirrored: flag(kept.mirrored, first.mirrored),
  };
}

function oneOf<T, D>(values: readonly T[], value: unknown, otherwise: D): T | D {
  return values.find((candidate) => candidate === value) ?? otherwise;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function flag(value: unknown, otherwise: boolean): boolean {
  return typeof value === 'boolean' ? value : otherwise;
}
