/**
 * The watch page's first script: plays before the rest of the page has loaded, on the video element that is in the HTML.
 * Built by itself (`scripts/early-player.mjs`); `useSession` takes its session over.
 */

import { channelOfPath } from '@/api/channels';

import { reportOf } from './report';
import { Session } from './session';
import { readStart } from './start';

/** Starts, and says how it goes where the page will: in the player's state. */
function play(channel: string, video: HTMLVideoElement): void {
  const session = new Session(channel, video);
  const player = video.closest<HTMLElement>('[data-state]');
  let settled: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    settled = resolve;
  });
  const unsubscribe = session.subscribe(() => {
    const { phase } = session.snapshot().player;
    if (player !== null) player.dataset.state = phase;
    if (phase !== 'connecting') settled();
  });
  window.headwater = reportOf(session);
  window.headwaterEarly = { channel, video, session, begun, adopted: unsubscribe, stop: session.start(readStart(channel)) };
}

const channel = channelOfPath(window.location.pathname);
const video = document.querySelector('video');
if (channel !== null && video !== null) play(channel, video);
