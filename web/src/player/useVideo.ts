'use client';

import { useEffect, useState, type RefObject } from 'react';

/** What the controls show of the video element. */
export interface VideoView {
  readonly paused: boolean;
  readonly muted: boolean;
  readonly volume: number;
  readonly inPictureInPicture: boolean;
}

const EVENTS = ['play', 'pause', 'volumechange', 'emptied', 'enterpictureinpicture', 'leavepictureinpicture'] as const;
const FIRST: VideoView = { paused: true, muted: true, volume: 1, inPictureInPicture: false };

/** Follows the video element. */
export function useVideo(video: RefObject<HTMLVideoElement | null>): VideoView {
  const [view, setView] = useState(FIRST);

  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    const read = (): void => {
      const { paused, muted, volume } = element;
      setView({ paused, muted, volume, inPictureInPicture: document.pictureInPictureElement === element });
    };
    for (const event of EVENTS) element.addEventListener(event, read);
    // It may play already, before this page was there to hear of it.
    read();
    return () => {
      for (const event of EVENTS) element.removeEventListener(event, read);
    };
  }, [video]);

  return view;
}
