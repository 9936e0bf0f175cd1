'use client';

import { useCallback, useEffect, useState, type RefObject } from 'react';

/** iPhones put only the video itself on the full screen. */
interface AppleVideo {
  webkitEnterFullscreen?: () => void;
}

/** Whether `root` fills the screen, and how to change that. */
export function useFullScreen(
  root: RefObject<HTMLElement | null>,
  video: RefObject<(HTMLVideoElement & AppleVideo) | null>,
): [boolean, () => void] {
  const [full, setFull] = useState(false);

  useEffect(() => {
    const read = (): void => {
      setFull(document.fullscreenElement !== null && document.fullscreenElement === root.current);
    };
    document.addEventListener('fullscreenchange', read);
    return () => {
      document.removeEventListener('fullscreenchange', read);
    };
  }, [root]);

  const toggle = useCallback(() => {
    if (document.fullscreenElement !== null) document.exitFullscreen().catch(() => undefined);
    else if (document.fullscreenEnabled) root.current?.requestFullscreen().catch(() => undefined);
    else video.current?.webkitEnterFullscreen?.();
  }, [root, video]);

  return [full, toggle];
}
