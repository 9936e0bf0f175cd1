/** A viewer's right to watch one channel: asked for where the channel wants it, kept by heartbeats, and given up at the end. */

import { HttpError } from '@/api/http';
import { sendHeartbeat, sendLeave, startPlayback, type Playback } from '@/api/playback';

import type { Failure } from './state';

/** Why somebody may not watch. */
export type KeptOut = Extract<Failure, 'signIn' | 'notMember' | 'putOut'>;

/** `/t/{token}` before what is asked for. */
const TOKEN_PATH = /\/t\/[A-Za-z0-9_.-]+(?=\/live\/)/;

/** `url` with `token` in place of the one that it was made with. Relative addresses inherit that for as long as a playlist lives. */
export function withToken(url: string, token: string | null): string {
  return token === null ? url : url.replace(TOKEN_PATH, `/t/${token}`);
}

/** What an answer says of the right to watch: that it is missing, gone, or nothing. */
export function rightOf(error: unknown): 'needed' | KeptOut | null {
  if (!(error instanceof HttpError)) return null;
  switch (error.code) {
    case 'members_only':
    case 'token_expired':
    case 'token_invalid':
      return 'needed';
    case 'sign_in_needed':
      return 'signIn';
    case 'not_a_member':
      return 'notMember';
    case 'viewer_put_out':
      return 'putOut';
    case null:
    default:
      return null;
  }
}

export class Admission {
  private playback: Playback | null = null;
  private asking: Promise<void> | null = null;
  private timer: number | undefined;

  /** `keptOut` hears that the right is gone. */
  constructor(
    private readonly channel: string,
    private readonly renews: () => boolean,
    private readonly signal: AbortSignal,
    private readonly keptOut: (why: KeptOut) => void,
  ) {
    signal.addEventListener('abort', this.leave);
    window.addEventListener('pagehide', this.leave, { signal });
  }

  /** What stands before `/live/…`. */
  base(): string {
    const { playback } = this;
    return playback === null || playback.base === '' ? '' : `/t/${playback.token}`;
  }

  /** `url` with the newest token. */
  readonly current = (url: string): string => withToken(url, this.playback?.token ?? null);

  /** Asks for the right to watch, once at a time. Rejects as `ask` of the API does. */
  ask(): Promise<void> {
    this.asking ??= this.start().finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  /** Once pictures move: tells that there is a viewer, also where none needs a right. */
  watch(): void {
    if (this.playback === null && this.asking === null) this.ask().catch(() => undefined);
  }

  private async start(): Promise<void> {
    this.playback = await startPlayback(this.channel, this.renews(), this.signal);
    this.beatLater();
  }

  private beatLater(): void {
    window.clearTimeout(this.timer);
    if (this.playback === null || this.signal.aborted) return;
    this.timer = window.setTimeout(() => void this.beat(), this.playback.heartbeatMs);
  }

  private async beat(): Promise<void> {
    const { playback } = this;
    if (playback === null) return;
    try {
      const { state, token } = await sendHeartbeat(playback, this.signal);
      if (state !== 'watching') {
        this.playback = null;
        this.keptOut(state === 'put_out' ? 'putOut' : 'notMember');
        return;
      }
      if (token !== null) this.playback = { ...playback, token };
    } catch (error) {
      // While the control plane is away what was granted goes on; one that forgot us is asked anew.
      if (error instanceof HttpError && error.status === 404) await this.ask().catch(() => undefined);
    }
    this.beatLater();
  }

  private readonly leave = (): void => {
    window.clearTimeout(this.timer);
    if (this.playback !== null) sendLeave(this.playback);
  };
}
