/** Cameras, microphones and screens of this computer. Opens what it is asked for; keeps nothing. */

import { refusalOf, type Refusal } from './refusal';
import { cameraConstraints, microphoneConstraints, screenOptions, type Settings } from './settings';

/** A device that can be chosen. */
export interface Device {
  readonly id: string;
  readonly label: string;
}

export interface Devices {
  readonly cameras: readonly Device[];
  readonly microphones: readonly Device[];
}

export const noDevices: Devices = { cameras: [], microphones: [] };

/** A device or the reason that there is none. */
export type Opened = { readonly track: MediaStreamTrack } | { readonly refusal: Refusal };

/** What can be chosen now. Browsers tell names, and sometimes devices, only after they were allowed. */
export async function listDevices(): Promise<Devices> {
  const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  const ofKind = (kind: MediaDeviceKind): Device[] =>
    all.filter((device) => device.kind === kind && isChoosable(device.deviceId)).map(({ deviceId, label }) => ({ id: deviceId, label }));
  return { cameras: ofKind('videoinput'), microphones: ofKind('audioinput') };
}

/** Chromium lists the system's choices again under these names; no id comes before permission. */
export function isChoosable(id: string): boolean {
  return id !== '' && id !== 'default' && id !== 'communications';
}

/** Opens the chosen camera; any other where that one is gone. */
export function openCamera(settings: Settings): Promise<Opened> {
  return openOrAny(settings.camera, 'camera', async (device) => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: cameraConstraints(settings, device) });
    return stream.getVideoTracks();
  });
}

/** Opens the chosen microphone; any other where that one is gone. */
export function openMicrophone(settings: Settings): Promise<Opened> {
  return openOrAny(settings.microphone, 'microphone', async (device) => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: microphoneConstraints(settings, device) });
    return stream.getAudioTracks();
  });
}

/** Lets the streamer pick a screen; must follow a touch. Its sound is null where the browser gives none. */
export async function openScreen(settings: Settings): Promise<{ picture: MediaStreamTrack; sound: MediaStreamTrack | null } | { refusal: Refusal }> {
  if (!('getDisplayMedia' in navigator.mediaDevices)) return { refusal: 'unsupported' };
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia(screenOptions(settings));
    const [picture] = stream.getVideoTracks();
    if (picture === undefined) return { refusal: 'failed' };
    return { picture, sound: stream.getAudioTracks()[0] ?? null };
  } catch (error) {
    return { refusal: refusalOf(error, 'screen') };
  }
}

async function openOrAny(
  chosen: string | null,
  wanted: 'camera' | 'microphone',
  open: (device: string | null) => Promise<readonly MediaStreamTrack[]>,
): Promise<Opened> {
  const opened = await attempt(chosen, wanted, open);
  const isGone = 'refusal' in opened && (opened.refusal === 'unfit' || opened.refusal === 'missing');
  return isGone && chosen !== null ? attempt(null, wanted, open) : opened;
}

async function attempt(
  device: string | null,
  wanted: 'camera' | 'microphone',
  open: (device: string | null) => Promise<readonly MediaStreamTrack[]>,
): Promise<Opened> {
  try {
    const [track] = await open(device);
    return track === undefined ? { refusal: 'failed' } : { track };
  } catch (error) {
    return { refusal: refusalOf(error, wanted) };
  }
}
