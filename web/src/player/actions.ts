/** What a viewer can do to the video element. */

/** One press of a volume key, of a whole of 1. */
const VOLUME_STEP = 0.1;
/** One press of a seek key, in seconds. */
export const SEEK_SECONDS = 5;

export function togglePlay(video: HTMLVideoElement): void {
  if (video.paused) video.play().catch(() => undefined);
  else video.pause();
}

export function toggleMute(video: HTMLVideoElement): void {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 0.5;
}

/** Sets the volume, 0 to 1; sound that was off comes on. */
export function setVolume(video: HTMLVideoElement, volume: number): void {
  video.volume = Math.min(1, Math.max(0, volume));
  video.muted = video.volume === 0;
}

export function stepVolume(video: HTMLVideoElement, direction: 1 | -1): void {
  setVolume(video, (video.muted ? 0 : video.volume) + direction * VOLUME_STEP);
}

/** Seeks within what the list offers; never past `livePosition`. */
export function stepSeek(video: HTMLVideoElement, seconds: number, livePosition: number | null): void {
  const { seekable, currentTime } = video;
  if (seekable.length === 0) return;
  const last = livePosition ?? seekable.end(seekable.length - 1);
  const wanted = Math.min(currentTime + seconds, Math.max(last, currentTime));
  video.currentTime = Math.max(wanted, seekable.start(0));
}

export function togglePictureInPicture(video: HTMLVideoElement): void {
  const change = document.pictureInPictureElement === video ? document.exitPictureInPicture() : video.requestPictureInPicture();
  change.catch(() => undefined);
}
