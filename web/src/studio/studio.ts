/**
 * The studio: choices, sources and the broadcast, joined, and kept over a reload.
 *
 * Shows itself to the page as immutable views.
 */

import { fetchChannel, isTakenOver } from '@/api/channels';
import { HttpError } from '@/api/http';
import { fetchState } from '@/api/live';

import { Broadcaster } from './broadcaster';
import type { Health } from './health';
import { claim } from './claim';
import { recall, remember, shouldResume, type Store } from './memory';
import type { Input } from './mixer';
import { initialState, isOn, trouble, type PublishState, type Trouble } from './publish';
import { firstSettings, type Settings, type SourceKind } from './settings';
import { noSources, Sources, type PatternWords, type SourcesView } from './sources';

/** How often the server is asked whether viewers see the broadcast, in milliseconds. */
const ON_AIR_MS = 2_000;
/** The server is asked why it ended a broadcast no longer than this, in milliseconds. */
const DIAGNOSE_MS_MAX = 3_000;

/** The ends that an operator ordered. */
const ORDERED: ReadonlySet<string> = new Set(['ended', 'key_revoked']);

/** What the page shows. A new object whenever something in it changes. */
export interface StudioView {
  readonly channel: string | null;
  readonly settings: Settings;
  readonly sources: SourcesView;
  readonly publish: PublishState;
  readonly health: Health | null;
  /** When the next try comes, by `performance.now()`. */
  readonly retryAtMs: number | null;
  /** Since when the streamer is live, in milliseconds since 1970; short breaks count. */
  readonly liveSinceMs: number | null;
  /** The broadcast that viewers see, by its id; null before that. */
  readonly onAir: string | null;
  /** A broadcast goes on as soon as the screen is shared again. */
  readonly waitsForScreen: boolean;
}

export const initialView: StudioView = {
  channel: null,
  settings: firstSettings,
  sources: noSources,
  publish: initialState,
  health: null,
  retryAtMs: null,
  liveSinceMs: null,
  onAir: null,
  waitsForScreen: false,
};

export class Studio {
  private view: StudioView;
  private readonly listeners = new Set<() => void>();
  private readonly stopped = new AbortController();
  private readonly sources: Sources;
  private readonly broadcaster: Broadcaster;
  private readonly resumes: boolean;
  /** The broadcast that was on the channel before ours. */
  private before: string | null = null;
  private onAirTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly store: Store,
    words: PatternWords,
  ) {
    const kept = recall(store);
    this.resumes = shouldResume(kept, Date.now());
    this.view = {
      ...initialView,
      channel: kept.channel,
      settings: kept.settings,
      liveSinceMs: this.resumes ? kept.liveSinceMs : null,
    };
    this.sources = new Sources(kept.settings, words, {
      changed: () => { this.show({ sources: this.sources.view }); },
      tracksChanged: () => void this.broadcaster.refresh(),
    });
    this.broadcaster = new Broadcaster({
      channel: () => this.view.channel ?? '',
      settings: () => this.view.settings,
      tracks: () => this.sources.tracks(),
      prepare: (signal) => this.prepare(signal),
      diagnose: (signal) => this.diagnose(signal),
      claim,
      changed: () => { this.published(); },
    });
  }

  /** Starts; returns what ends it. */
  start(): () => void {
    const { signal } = this.stopped;
    window.addEventListener('beforeunload', this.leaving, { signal });
    window.addEventListener('pagehide', this.keep, { signal });
    window.addEventListener('online', () => { this.broadcaster.online(); }, { signal });
    this.sources.start();
    void this.begin();
    return () => {
      this.stopped.abort();
      clearTimeout(this.onAirTimer);
      this.broadcaster.end();
      this.sources.stop();
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): StudioView => this.view;

  /** What the preview shows. */
  preview(): MediaStreamTrack | null {
    return this.sources.preview();
  }

  /** The loudest of the last moments, in dBFS. */
  peak(of: Input | 'all'): number {
    return this.sources.peak(of);
  }

  choose(change: Partial<Settings>): void {
    const settings = { ...this.view.settings, ...change };
    this.show({ settings });
    this.keep();
    this.sources.follow(settings);
    void this.broadcaster.refresh();
  }

  /** Another source. Who shows a camera or a screen also speaks, unless they chose otherwise. */
  chooseSource(source: SourceKind): void {
    const speaks = this.view.settings.withMicrophone ?? (source === 'pattern' ? null : true);
    const isAgain = source === this.view.settings.source;
    this.choose({ source, withMicrophone: speaks });
    if (isAgain && this.sources.preview() === null) void this.openPicture();
  }

  /** The streamer touched the page: the browser may let sound run. */
  touched(): void {
    this.sources.touched();
  }

  /** Another channel; not while a broadcast runs. */
  chooseChannel(channel: string): void {
    if (isOn(this.view.publish)) return;
    this.show({ channel });
    this.keep();
  }

  /** Opens the picture again; for a screen the browser asks the streamer. */
  async openPicture(): Promise<void> {
    await this.sources.openPicture();
    if (this.view.waitsForScreen && this.sources.preview() !== null) this.goLive();
  }

  openMicrophone(): void {
    void this.sources.openMicrophone();
  }

  goLive(): void {
    this.show({ waitsForScreen: false });
    this.broadcaster.goLive();
  }

  end(): void {
    this.show({ waitsForScreen: false, liveSinceMs: null });
    this.broadcaster.end();
    this.keep();
  }

  /** Takes up what a reload left. A screen is shared only at a touch. */
  private async begin(): Promise<void> {
    const { settings } = this.view;
    if (settings.source === 'screen') {
      this.show({ waitsForScreen: this.resumes });
      await this.sources.openMicrophone();
      return;
    }
    await this.sources.open(settings);
    if (this.resumes && !this.stopped.signal.aborted && this.sources.preview() !== null) this.goLive();
    else if (!isOn(this.view.publish)) this.show({ liveSinceMs: null });
  }

  private published(): void {
    const { state: publish, health, retryAtMs } = this.broadcaster;
    const before = this.view.publish.phase;
    this.show({ publish, health, retryAtMs });
    if (publish.phase === before) return;
    if (publish.phase === 'live') {
      this.show({ liveSinceMs: this.view.liveSinceMs ?? Date.now() });
      this.watchAir();
    } else if (!isOn(publish)) {
      this.show({ liveSinceMs: null, onAir: null });
    }
    this.keep();
  }

  /** Asks what viewers see, as long as the broadcast is on. */
  private watchAir(): void {
    clearTimeout(this.onAirTimer);
    const { channel, publish } = this.view;
    if (publish.phase !== 'live' || channel === null) return;
    void this.askAir(channel).finally(() => {
      if (!this.stopped.signal.aborted) this.onAirTimer = setTimeout(() => { this.watchAir(); }, ON_AIR_MS);
    });
  }

  private async askAir(channel: string): Promise<void> {
    const id = await onChannel(channel, this.stopped.signal).catch(() => null);
    this.keep();
    if (id === null || this.view.publish.phase !== 'live') return;
    const { onAir } = this.view;
    if (onAir !== null && id !== onAir) this.broadcaster.replaced();
    if (onAir === null && (id !== this.before || (await this.isOurs(channel, id)))) this.show({ onAir: id });
  }

  /** Whether a broadcast that was on before us goes on with our session. */
  private async isOurs(channel: string, broadcast: string): Promise<boolean> {
    const told = await fetchChannel(channel, this.stopped.signal).catch(() => null);
    const ours = this.broadcaster.session();
    return ours !== null && told?.live?.broadcast === broadcast && told.live.session === ours && this.view.publish.phase === 'live';
  }

  /** Notes what is on the channel now, so that what comes next is known as ours. */
  private async prepare(signal: AbortSignal): Promise<void> {
    this.before = await onChannel(this.view.channel ?? '', signal);
    this.show({ onAir: null });
  }

  /** Did the server, or another publisher, want this end? */
  private async diagnose(attempt: AbortSignal): Promise<Trouble | null> {
    const { channel, onAir } = this.view;
    if (channel === null) return null;
    const signal = AbortSignal.any([attempt, AbortSignal.timeout(DIAGNOSE_MS_MAX)]);
    const [state, told] = await Promise.all([fetchState(channel, signal), fetchChannel(channel, signal)]);
    const { lastEnd, live } = told;
    const isOthers = (id: string): boolean => id !== onAir && id !== this.before;
    if (state.kind === 'live' && onAir !== null && isOthers(state.broadcast.id)) return trouble('replaced');
    if (live !== null && live.broadcast === onAir && isTakenOver(live, this.broadcaster.session())) return trouble('replaced');
    return lastEnd !== null && lastEnd.broadcast === onAir && ORDERED.has(lastEnd.reason) ? trouble('endedByServer') : null;
  }

  private readonly leaving = (event: BeforeUnloadEvent): void => {
    if (isOn(this.view.publish)) event.preventDefault();
  };

  private readonly keep = (): void => {
    const { channel, settings, liveSinceMs } = this.view;
    remember(this.store, { channel, settings, liveSinceMs, keptAtMs: Date.now() });
  };

  private show(change: Partial<StudioView>): void {
    this.view = { ...this.view, ...change };
    for (const listener of this.listeners) listener();
  }
}

/** The broadcast that is on; where that is told to members alone, by the API, which knows who keeps the channel. */
async function onChannel(channel: string, signal: AbortSignal): Promise<string | null> {
  try {
    const state = await fetchState(channel, signal);
    return state.kind === 'live' ? state.broadcast.id : null;
  } catch (error) {
    if (!(error instanceof HttpError) || error.code !== 'members_only') throw error;
    return (await fetchChannel(channel, signal)).live?.broadcast ?? null;
  }
}
