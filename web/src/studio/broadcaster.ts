/**
 * Runs the commands of `publish.ts` on real connections: one at a time, with a fresh token for each.
 *
 * Tokens live in here alone, and no longer than their connection.
 */

import { makePublishToken } from '@/api/keys';

import { Connection, type Tracks } from './connection';
import { assess, type Health, type Reading } from './health';
import { initialState, isOn, spread, step, trouble, type Command, type PublishEvent, type PublishState, type Trouble } from './publish';
import { readStats } from './reading';
import { pictureBitrate, type Settings } from './settings';
import { troubleOf, type Asked } from './whip';

/** From answer to connection, in milliseconds. */
const CONNECT_MS_MAX = 12_000;
/** How often the figures are read. */
const READ_MS = 1_000;
/** A browser needs so long to find out what a connection can carry. */
const GROW_MS = 12_000;
/** So long without a fault makes earlier ones forgotten. */
const STEADY_MS = 10_000;

/** What the broadcaster wants to know from the page. */
export interface Surroundings {
  readonly channel: () => string;
  readonly settings: () => Settings;
  readonly tracks: () => Tracks;
  /** Called before each connection: what viewers see until then is not ours. */
  readonly prepare: (signal: AbortSignal) => Promise<void>;
  /** Why the server ended it, or null where it did not: asked when a connection is lost. */
  readonly diagnose: (signal: AbortSignal) => Promise<Trouble | null>;
  /** No other tab of this browser is live on the channel, nor will be while `signal` is not aborted. */
  readonly claim: (channel: string, signal: AbortSignal) => Promise<boolean>;
  readonly changed: () => void;
}

export class Broadcaster {
  state: PublishState = initialState;
  health: Health | null = null;
  /** When the next try comes, by `performance.now()`; null while none is waited for. */
  retryAtMs: number | null = null;

  private connection: Connection | null = null;
  private attempt = new AbortController();
  private run = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private reader: ReturnType<typeof setInterval> | undefined;
  private reading: Reading | null = null;
  private connectedAtMs: number | null = null;
  private claimed = false;

  constructor(private readonly around: Surroundings) {}

  goLive(): void {
    this.dispatch({ type: 'goLive' });
  }

  end(): void {
    this.dispatch({ type: 'end' });
  }

  /** The browser says that the network is back. */
  online(): void {
    if (this.retryAtMs !== null) this.dispatch({ type: 'online' });
  }

  /** The session that the connection is, by its id. */
  session(): string | null {
    return this.connection?.session() ?? null;
  }

  /** Viewers see another publisher. */
  replaced(): void {
    this.dispatch({ type: 'lost', trouble: trouble('replaced') });
  }

  /** Other tracks or settings: the connection stays. */
  async refresh(): Promise<void> {
    await this.connection?.replace(this.around.tracks(), this.around.settings()).catch(() => undefined);
  }

  private dispatch(event: PublishEvent): void {
    const { state, commands } = step(this.state, event);
    this.state = state;
    for (const command of commands) this.execute(command);
    this.around.changed();
  }

  private execute(command: Command): void {
    switch (command.do) {
      case 'open':
        // No goodbye: the server lets the new session take the channel over without a gap.
        this.drop(false);
        this.wait(spread(command.delayMs, Math.random()), () => void this.open());
        break;
      case 'doubt':
        this.wait(command.delayMs, () => void this.lost());
        this.retryAtMs = null;
        break;
      case 'close':
        this.drop(command.tell);
        this.release();
        break;
    }
  }

  /** One wait at a time. */
  private wait(delayMs: number, act: () => void): void {
    clearTimeout(this.timer);
    this.retryAtMs = delayMs === 0 ? null : performance.now() + delayMs;
    this.timer = setTimeout(() => {
      this.retryAtMs = null;
      act();
    }, delayMs);
  }

  /** Nothing of the last attempt is left. */
  private drop(tell: boolean): void {
    clearTimeout(this.timer);
    clearInterval(this.reader);
    this.retryAtMs = null;
    this.attempt.abort();
    this.connection?.close(tell);
    this.connection = null;
    this.reading = null;
    this.health = null;
    this.connectedAtMs = null;
  }

  private release(): void {
    this.run.abort();
    this.run = new AbortController();
    this.claimed = false;
  }

  private async open(): Promise<void> {
    const attempt = new AbortController();
    this.attempt = attempt;
    const { signal } = attempt;
    let asked: Asked = 'token';
    try {
      if (!(await this.claim())) throw new OtherTab();
      const [token] = await Promise.all([makePublishToken(this.around.channel(), signal), this.around.prepare(signal)]);
      asked = 'offer';
      const settings = this.around.settings();
      const connection = new Connection(this.around.tracks(), settings, this.events(signal));
      this.connection = connection;
      await connection.open(token, settings, signal);
      if (signal.aborted || this.connectedAtMs !== null) return;
      this.wait(CONNECT_MS_MAX, () => { this.dispatch({ type: 'lost', trouble: trouble('media') }); });
      this.retryAtMs = null;
    } catch (error) {
      if (!signal.aborted) this.dispatch({ type: 'lost', trouble: openTrouble(error, asked) });
    }
  }

  private async claim(): Promise<boolean> {
    if (!this.claimed) this.claimed = await this.around.claim(this.around.channel(), this.run.signal);
    return this.claimed;
  }

  /** What a connection tells, as long as it is the one that counts. */
  private events(signal: AbortSignal): { connected: () => void; interrupted: () => void; lost: () => void } {
    const current = (act: () => void) => () => {
      if (!signal.aborted) act();
    };
    return {
      connected: current(() => { this.connected(); }),
      interrupted: current(() => { this.dispatch({ type: 'interrupted' }); }),
      lost: current(() => void this.lost()),
    };
  }

  private connected(): void {
    clearTimeout(this.timer);
    clearInterval(this.reader);
    this.connectedAtMs = performance.now();
    this.reader = setInterval(() => void this.read(), READ_MS);
    this.dispatch({ type: 'connected' });
  }

  /** The connection is gone. Whether the server wanted that decides what follows. */
  private async lost(): Promise<void> {
    this.dispatch({ type: 'interrupted' });
    clearTimeout(this.timer);
    const { signal } = this.attempt;
    const otherwise = trouble(this.connectedAtMs === null ? 'media' : 'interrupted');
    const why = await this.around.diagnose(signal).catch(() => null);
    if (!signal.aborted) this.dispatch({ type: 'lost', trouble: why ?? otherwise });
  }

  private async read(): Promise<void> {
    const { connection, connectedAtMs } = this;
    if (connection === null || connectedAtMs === null) return;
    const after = readStats(await connection.stats(), performance.now());
    if (connection !== this.connection) return;
    const settings = this.around.settings();
    const growing = after.atMs - connectedAtMs < GROW_MS;
    const wish = { framesPerSecond: settings.frameRate, bitsPerSecond: pictureBitrate(settings) * 1_000, growing };
    this.health = this.reading === null ? null : assess(this.reading, after, wish);
    this.reading = after;
    if (this.state.tries > 0 && after.atMs - connectedAtMs >= STEADY_MS) this.dispatch({ type: 'steady' });
    else if (isOn(this.state)) this.around.changed();
  }
}

class OtherTab extends Error {}

function openTrouble(error: unknown, asked: Asked): Trouble {
  if (error instanceof OtherTab) return trouble('otherTab');
  // RTCPeerConnection refuses with these; fetch never does.
  const isWebRtc = error instanceof DOMException && ['InvalidAccessError', 'InvalidStateError', 'OperationError', 'NotSupportedError'].includes(error.name);
  return isWebRtc ? trouble('browser', error.message) : troubleOf(error, asked);
}
