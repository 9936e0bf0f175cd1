/**
 * One viewer at one channel: asks for the channel's state, runs the commands of `state.ts` on an
 * engine, and shows the outcome to the page as immutable views.
 */

import { fetchAwaitedState, fetchState, type Broadcast, type ChannelState } from '@/api/live';

import { stepSeek } from './actions';
import { Admission, rightOf, type KeptOut } from './admission';
import { canRenew, chooseEngine } from './chooseEngine';
import type { Engine } from './engine';
import { HOLD_AGAIN_MS, mayBeHeld, pollDelayMs } from './poll';
import { Rewinding } from './rewinding';
import type { Start } from './start';
import { step, type Command, type PlayerEvent } from './state';
import type { Stats } from './stats';
import { initialView, type View } from './view';
import { Watcher } from './watcher';
import { plausibleLatency } from './words';

const LOOK_MS = 250;

/** A question about the channel's state that is under way. */
interface Asking {
  /** The server may hold it until the channel is live. */
  readonly held: boolean;
  readonly sinceMs: number;
  readonly stop: AbortController;
}

export class Session {
  private view: View = initialView;
  private readonly listeners = new Set<() => void>();
  private readonly stopped = new AbortController();
  private readonly watcher = new Watcher();
  private readonly rewinding = new Rewinding();
  private readonly admission: Admission;
  /** Nothing is asked any more until the viewer wants another try. */
  private isKeptOut = false;
  private engine: Engine | null = null;
  private pollTimer: number | undefined;
  private recoveryTimer: number | undefined;
  /** Live is loading for a viewer who was back in the broadcast. */
  private returning = false;
  private asking: Asking | null = null;
  /** After a failure, no question may be held until then. */
  private holdAgainAtMs = 0;
  /** The first playlist, where the page brought it. */
  private brought: { readonly src: string; readonly playlist: string } | null = null;
  private phaseSinceMs = performance.now();
  private attachedAtMs: number | null = null;
  private readonly counts = { stalls: 0, fatalErrors: 0, attachments: 0, firstFrameMs: null as number | null };

  constructor(
    private readonly channel: string,
    private readonly video: HTMLVideoElement,
  ) {
    this.admission = new Admission(channel, canRenew, this.stopped.signal, this.keepOut);
  }

  /** Starts, from what the page brought, if anything; returns what ends it. */
  start(known: Start | null = null): () => void {
    const { signal } = this.stopped;
    const { video } = this;
    video.muted = true;
    video.addEventListener('ended', () => { this.dispatch({ type: 'mediaEnded' }); }, { signal });
    video.addEventListener('waiting', this.waiting, { signal });
    video.addEventListener('playing', this.firstFrame, { signal });
    document.addEventListener('visibilitychange', this.pollIfVisible, { signal });
    window.addEventListener('online', this.poll, { signal });
    const looking = window.setInterval(this.look, LOOK_MS);
    if (known === null) this.poll();
    else this.begin(known);
    return () => {
      this.stopped.abort();
      this.asking?.stop.abort();
      window.clearInterval(looking);
      window.clearTimeout(this.pollTimer);
      window.clearTimeout(this.recoveryTimer);
      this.engine?.detach();
    };
  }

  private begin({ state, multivariant }: Start): void {
    if (state.kind === 'live' && multivariant !== null) this.brought = { src: state.broadcast.src, playlist: multivariant };
    this.told(state);
    if (state.kind !== 'members') this.pollLater(Number.POSITIVE_INFINITY);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): View => this.view;

  /** The viewer asks for another try. */
  retry(): void {
    this.isKeptOut = false;
    this.dispatch({ type: 'retry' });
  }

  choose(index: number | null): void {
    this.engine?.choose(index);
    this.levelsChanged();
  }

  /** Jumps to the live edge and plays. */
  toLive(): void {
    const { attached, silence } = this.view.player;
    if (this.rewinding.isOn() && silence !== null) {
      this.toEnd();
    } else if (this.rewinding.end() && attached !== null) {
      this.returning = true;
      this.show({ rewound: false });
      this.attach(attached);
    } else {
      const position = this.livePosition();
      if (position !== null) this.video.currentTime = position;
      this.play();
    }
  }

  /** Shows what was live so many seconds ago; close to live that is live. */
  seekBehind(seconds: number): void {
    const { attached } = this.view.player;
    if (attached === null) return;
    if (this.view.dvr === null || seconds < this.rewinding.nearSeconds) {
      this.toLive();
      return;
    }
    const date = this.rewinding.dateOf(Math.min(seconds, this.reach()), Date.now());
    const position = this.rewinding.isOn() ? (this.engine?.positionOf(date) ?? null) : null;
    if (position === null && this.view.player.silence !== null) {
      this.toEnd();
      return;
    }
    this.rewinding.begin(date, Date.now());
    this.show({ rewound: true });
    if (position === null) this.attach(attached);
    else this.video.currentTime = position;
  }

  /** To live, where the picture is too far behind and the viewer did not want that. */
  private catchUp(): void {
    if (!this.rewinding.isOn() && this.engine !== null && this.behind() > this.engine.catchUpSeconds()) this.toLive();
  }

  /** The broadcast is over: to its last second, in the list that plays. */
  private toEnd(): void {
    const { seekable } = this.video;
    if (seekable.length > 0) this.video.currentTime = Math.max(seekable.start(0), seekable.end(seekable.length - 1) - 1);
    this.play();
  }

  /** Back or forth from where the picture is: in the live list as far as that goes, else in what is kept. */
  seekBy(seconds: number): void {
    const wanted = this.behindLive() - seconds;
    const isLive = !this.rewinding.isOn() && wanted < this.rewinding.nearSeconds;
    if (this.view.dvr === null || isLive) stepSeek(this.video, seconds, this.livePosition());
    else this.seekBehind(wanted);
  }

  /** To the oldest that can be had. */
  toStart(): void {
    if (this.view.dvr !== null) this.seekBehind(this.reach());
  }

  /** How far back the broadcast can be had, in seconds. */
  reach(): number {
    const { dvr, startedAt } = this.view;
    if (dvr === null) return 0;
    const oldest = this.rewinding.isOn() ? (this.engine?.listedFrom() ?? startedAt) : startedAt;
    const since = oldest === null ? dvr.seconds : this.rewinding.behind(oldest, Date.now());
    return Math.max(0, Math.min(since, dvr.seconds));
  }

  /** How far behind live the picture is, in seconds, by its capture time. */
  behindLive(): number {
    const at = this.rewinding.at();
    return at === null ? this.behind() : this.rewinding.behind(at, Date.now());
  }

  /** Seconds from capture to the screen by this machine's clock, or null where that is not known. */
  latency(): number | null {
    const capturedAt = this.engine?.capturedAt() ?? null;
    return capturedAt === null ? null : plausibleLatency((Date.now() - capturedAt.getTime()) / 1_000);
  }

  /** Where live playback belongs, in seconds of the media, or null before that is known. */
  livePosition(): number | null {
    return this.engine?.livePosition() ?? null;
  }

  /** Seconds behind where live playback belongs; 0 before that is known. */
  behind(): number {
    const position = this.livePosition();
    return position === null ? 0 : Math.max(0, position - this.video.currentTime);
  }

  stats(): Stats {
    const { video, view } = this;
    const quality = video.getVideoPlaybackQuality();
    const { buffered, currentTime } = video;
    return {
      state: view.player.phase,
      broadcast: view.player.attached?.id ?? null,
      engine: this.engine?.kind ?? null,
      latency: this.latency(),
      behind: this.behind(),
      rewound: view.rewound,
      behindLive: this.behindLive(),
      reach: this.reach(),
      level: view.levels.find(({ index }) => index === this.engine?.playingLevel()) ?? null,
      levels: view.levels,
      auto: view.chosenLevel === null,
      droppedFrames: quality.droppedVideoFrames,
      totalFrames: quality.totalVideoFrames,
      currentTime,
      bufferAhead: buffered.length === 0 ? 0 : buffered.end(buffered.length - 1) - currentTime,
      playbackRate: video.playbackRate,
      width: video.videoWidth,
      height: video.videoHeight,
      paused: video.paused,
      muted: video.muted,
      ...this.counts,
    };
  }

  private dispatch(event: PlayerEvent): void {
    if (this.stopped.signal.aborted) return;
    const before = this.view.player;
    const { state, commands } = step(before, event);
    if (state.phase !== before.phase) this.phaseSinceMs = performance.now();
    this.show({ player: state });
    for (const command of commands) this.run(command);
  }

  private show(change: Partial<View>): void {
    this.view = { ...this.view, ...change };
    for (const listener of this.listeners) listener();
  }

  private run(command: Command): void {
    switch (command.do) {
      case 'attach':
        this.after(command.delayMs, () => { this.attach(command.broadcast); });
        break;
      case 'reload':
        this.after(command.delayMs, () => this.engine?.reload());
        break;
      case 'recoverMedia':
        this.after(0, () => {
          this.engine?.recoverMedia();
          this.play();
        });
        break;
      case 'detach':
        this.after(0, () => { this.detach(); });
        break;
      case 'catchUp':
        this.catchUp();
        break;
      case 'poll':
        this.poll();
        break;
    }
  }

  /** One act on the engine is awaited at a time; a new one replaces it. */
  private after(delayMs: number, act: () => void): void {
    window.clearTimeout(this.recoveryTimer);
    this.recoveryTimer = undefined;
    if (delayMs === 0) {
      act();
      return;
    }
    this.recoveryTimer = window.setTimeout(() => {
      this.recoveryTimer = undefined;
      act();
    }, delayMs);
  }

  private attach(broadcast: Broadcast): void {
    this.engine ??= chooseEngine(this.video, this.engineEvents, this.admission.current);
    const { engine } = this;
    if (engine === null) {
      this.dispatch({ type: 'unsupported' });
      return;
    }
    if (this.view.player.attached?.id !== broadcast.id) return;
    this.watcher.reset();
    this.counts.attachments += 1;
    this.counts.firstFrameMs = null;
    this.attachedAtMs = performance.now();
    const from = this.view.dvr === null ? null : this.rewinding.at();
    const src = from === null || this.view.dvr === null ? broadcast.src : this.view.dvr.src;
    engine.attach({ src: this.admission.current(src), from, playlist: this.brought?.src === src ? this.brought.playlist : null });
    this.brought = null;
    this.play();
  }

  private detach(): void {
    this.engine?.detach();
    this.watcher.reset();
    this.rewinding.end();
    this.show({ levels: [], playingLevel: null, chosenLevel: null, needsTouch: false, rewound: false });
  }

  private readonly engineEvents = {
    networkLost: () => { this.fatal({ type: 'networkLost' }); },
    mediaBroken: () => { this.fatal({ type: 'mediaBroken' }); },
    unsupported: () => { this.fatal({ type: 'unsupported' }); },
    levelsChanged: () => { this.levelsChanged(); },
  };

  private fatal(event: PlayerEvent): void {
    this.counts.fatalErrors += 1;
    this.dispatch(event);
  }

  private levelsChanged(): void {
    const { engine } = this;
    if (engine === null) return;
    this.show({ levels: engine.levels(), playingLevel: engine.playingLevel(), chosenLevel: engine.chosenLevel() });
  }

  private readonly play = (): void => {
    this.video.play().then(
      () => { this.show({ needsTouch: false }); },
      (error: unknown) => {
        if (error instanceof DOMException && error.name === 'NotAllowedError') this.playRefused();
      },
    );
  };

  /** Sound is what browsers refuse; without it they mostly play. */
  private playRefused(): void {
    if (this.video.muted) {
      this.show({ needsTouch: true });
      this.dispatch({ type: 'playing' });
    } else {
      this.video.muted = true;
      this.play();
    }
  }

  private readonly waiting = (): void => {
    const { phase } = this.view.player;
    if (phase === 'live' && !this.video.seeking && !this.video.paused) this.counts.stalls += 1;
  };

  private readonly firstFrame = (): void => {
    if (this.attachedAtMs === null) return;
    this.counts.firstFrameMs ??= performance.now() - this.attachedAtMs;
    this.dispatch({ type: 'playing' });
    this.admission.watch();
    if (this.returning) this.catchUp();
    this.returning = false;
  };

  private readonly look = (): void => {
    const { video, view } = this;
    if (view.player.attached === null || view.player.phase === 'failed') return;
    this.rewinding.look(this.engine?.capturedAt() ?? null, view.player.phase === 'live' ? this.behind() : null, Date.now());
    const resting = video.paused || video.ended || document.hidden;
    const wanted = !resting && this.recoveryTimer === undefined;
    const sign = this.watcher.look({ nowMs: performance.now(), playedSeconds: playedSeconds(video), wanted });
    if (sign === 'stuck') this.dispatch({ type: this.engine?.lastFault() === 'media' ? 'mediaBroken' : 'networkLost' });
    else if (sign !== null && this.isNews(sign)) this.dispatch({ type: sign });
  };

  private isNews(sign: 'playing' | 'steady' | 'stalled'): boolean {
    const { phase, networkTries, mediaTries } = this.view.player;
    if (sign === 'stalled') return phase === 'live';
    return phase !== 'live' || (sign === 'steady' && networkTries + mediaTries > 0);
  }

  private readonly pollIfVisible = (): void => {
    if (!document.hidden) this.poll();
  };

  /** Asks now; a question that is held gives way. */
  private readonly poll = (): void => {
    if (this.isKeptOut || (this.asking !== null && !this.asking.held)) return;
    this.asking?.stop.abort();
    window.clearTimeout(this.pollTimer);
    const nowMs = performance.now();
    const { phase, pollFailures } = this.view.player;
    const held = nowMs >= this.holdAgainAtMs && mayBeHeld(phase, nowMs - this.phaseSinceMs, pollFailures);
    const asking = { held, sinceMs: nowMs, stop: new AbortController() };
    this.asking = asking;
    void this.ask(asking).finally(() => {
      if (this.asking !== asking || this.stopped.signal.aborted) return;
      this.asking = null;
      if (this.isKeptOut) return;
      this.pollLater(performance.now() - asking.sinceMs);
    });
  };

  /** `tookMs` is how long the last question took. */
  private pollLater(tookMs: number): void {
    const { phase, pollFailures } = this.view.player;
    const waitedMs = performance.now() - this.phaseSinceMs;
    this.pollTimer = window.setTimeout(this.poll, pollDelayMs(phase, waitedMs, pollFailures, tookMs));
  }

  private async ask(asking: Asking): Promise<void> {
    try {
      this.told(await this.stateOf(asking));
    } catch (error) {
      if (this.asking !== asking) return;
      const right = rightOf(error);
      if (right !== null && right !== 'needed') this.keepOut(right);
      // Whether the server is there at all the next one tells, which is answered at once.
      else if (asking.held) this.holdAgainAtMs = performance.now() + HOLD_AGAIN_MS;
      else this.dispatch({ type: 'pollFailed' });
    }
  }

  /** The channel's state; where that is for members, with a right that is asked for first. */
  private async stateOf({ held, stop }: Asking): Promise<ChannelState> {
    const fetch = held ? fetchAwaitedState : fetchState;
    try {
      return await fetch(this.channel, stop.signal, this.admission.base());
    } catch (error) {
      if (rightOf(error) !== 'needed') throw error;
    }
    await this.admission.ask();
    return fetchState(this.channel, stop.signal, this.admission.base());
  }

  /** This viewer may not watch (any more). */
  private readonly keepOut = (why: KeptOut): void => {
    this.isKeptOut = true;
    window.clearTimeout(this.pollTimer);
    this.dispatch({ type: 'keptOut', why });
  };

  private told(channel: ChannelState): void {
    if (this.stopped.signal.aborted) return;
    if (channel.kind === 'members') {
      this.poll();
      return;
    }
    if (channel.kind === 'live') {
      const { attached } = this.view.player;
      if (attached !== null && attached.id !== channel.broadcast.id) this.rewinding.end();
      this.show({
        title: channel.title ?? this.view.title,
        startedAt: channel.startedAt,
        streamerGone: channel.reconnecting,
        dvr: channel.dvr,
        rewound: this.rewinding.isOn(),
      });
      this.dispatch({ type: 'polledLive', broadcast: channel.broadcast });
    } else {
      this.show({ title: channel.title ?? this.view.title, streamerGone: false });
      this.dispatch({ type: 'polledSilent', silence: channel.kind });
    }
  }
}

/** How much was really played since the last attachment; unlike the position no seek moves it. */
function playedSeconds({ played }: HTMLVideoElement): number {
  let sum = 0;
  for (let range = 0; range < played.length; range += 1) sum += played.end(range) - played.start(range);
  return sum;
}
