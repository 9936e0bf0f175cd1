/** One WebRTC connection that sends: made, offered, watched, closed. Knows no states of the page. */

import { contentHint, degradation, isMusic, pictureBitrate, shrinkBy, type Settings } from './settings';
import { goodbye, offer, type Answered } from './whip';

/** How long candidates are gathered before the offer goes out, in milliseconds; the server learns the rest by checks. */
const GATHER_MS_MAX = 1_000;
/** What sound may take, in bit/s: voice, and music in stereo. */
const VOICE_BITRATE = 64_000;
const MUSIC_BITRATE = 160_000;

/** What is sent. A track may be null for a while; its place stays. */
export interface Tracks {
  readonly video: MediaStreamTrack | null;
  readonly audio: MediaStreamTrack | null;
}

/** What a connection tells. */
export interface ConnectionEvents {
  readonly connected: () => void;
  readonly interrupted: () => void;
  readonly lost: () => void;
}

export class Connection {
  private readonly peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  private readonly video: RTCRtpSender;
  private readonly audio: RTCRtpSender;
  private answered: { readonly session: string; readonly token: string } | null = null;
  private closed = false;

  constructor(tracks: Tracks, settings: Settings, events: ConnectionEvents) {
    // One MediaStream for both: a server may refuse more (RFC 9725 4.4.2).
    const streams = [new MediaStream()];
    const { peer } = this;
    this.audio = peer.addTransceiver(tracks.audio ?? 'audio', { direction: 'sendonly', streams }).sender;
    this.video = peer.addTransceiver(tracks.video ?? 'video', { direction: 'sendonly', streams }).sender;
    peer.addEventListener('connectionstatechange', () => { this.tell(events); });
    this.prepare(tracks, settings);
  }

  /** Offers, and takes the answer. Rejects as `offer` does, and where the browser cannot. */
  async open(token: string, settings: Settings, signal: AbortSignal): Promise<void> {
    const { peer } = this;
    await peer.setLocalDescription();
    await gathered(peer, signal);
    const answer: Answered = await offer(peer.localDescription?.sdp ?? '', token, signal);
    this.answered = { session: answer.session, token };
    if (this.closed) {
      this.bye();
      return;
    }
    await peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    await this.tune(settings);
  }

  /** Sends other tracks in the same places: viewers see no break. */
  async replace(tracks: Tracks, settings: Settings): Promise<void> {
    this.prepare(tracks, settings);
    await Promise.all([
      this.video.track === tracks.video ? undefined : this.video.replaceTrack(tracks.video),
      this.audio.track === tracks.audio ? undefined : this.audio.replaceTrack(tracks.audio),
    ]);
    await this.tune(settings);
  }

  /** Sets bitrate, size and frame rate of what is sent. */
  async tune(settings: Settings): Promise<void> {
    if (this.closed) return;
    const trackHeight = this.video.track?.getSettings().height;
    await set(this.video, (encoding) => {
      encoding.maxBitrate = pictureBitrate(settings) * 1_000;
      encoding.maxFramerate = settings.frameRate;
      encoding.scaleResolutionDownBy = shrinkBy(trackHeight, settings.height);
    }, degradation(settings.preference));
    await set(this.audio, (encoding) => {
      encoding.maxBitrate = isMusic(settings) ? MUSIC_BITRATE : VOICE_BITRATE;
    });
  }

  /** The session's id, once the server has answered. */
  session(): string | null {
    return this.answered === null ? null : (new URL(this.answered.session).pathname.split('/').at(-1) ?? null);
  }

  stats(): Promise<RTCStatsReport> {
    return this.peer.getStats();
  }

  /** Closes at once; with `tell` the server hears of it. */
  close(tell: boolean): void {
    if (this.closed) return;
    this.closed = true;
    if (tell) this.bye();
    this.peer.close();
  }

  private bye(): void {
    if (this.answered !== null) goodbye(this.answered.session, this.answered.token);
  }

  private prepare({ video, audio }: Tracks, settings: Settings): void {
    if (video !== null) video.contentHint = contentHint(settings);
    if (audio !== null) audio.contentHint = isMusic(settings) ? 'music' : 'speech';
  }

  private tell(events: ConnectionEvents): void {
    if (this.closed) return;
    switch (this.peer.connectionState) {
      case 'connected':
        events.connected();
        break;
      case 'disconnected':
        events.interrupted();
        break;
      case 'failed':
      case 'closed':
        events.lost();
        break;
      case 'new':
      case 'connecting':
        break;
    }
  }
}

/** Changes a sender's one encoding. Browsers differ in what they can set: what one refuses stays as it is. */
async function set(sender: RTCRtpSender, change: (encoding: RTCRtpEncodingParameters) => void, preference?: RTCDegradationPreference): Promise<void> {
  const parameters = sender.getParameters();
  const encoding = parameters.encodings[0];
  if (encoding === undefined) return;
  change(encoding);
  if (preference !== undefined) parameters.degradationPreference = preference;
  await sender.setParameters(parameters).catch(() => undefined);
}

/** Until all candidates are known or time is up. */
function gathered(peer: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  if (peer.iceGatheringState === 'complete') return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      peer.removeEventListener('icegatheringstatechange', look);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const look = (): void => {
      if (peer.iceGatheringState === 'complete') done();
    };
    const timer = setTimeout(done, GATHER_MS_MAX);
    peer.addEventListener('icegatheringstatechange', look);
    signal.addEventListener('abort', done);
  });
}
