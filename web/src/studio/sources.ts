/**
 * What the streamer shows and says: one picture track and one sound track, whatever lies behind them.
 *
 * Opens, swaps and watches devices. Knows nothing of publishing.
 */

import type { Tracks } from './connection';
import { isChoosable, listDevices, noDevices, openCamera, openMicrophone, openScreen, type Devices } from './devices';
import { DrawnPicture } from './drawnPicture';
import type { Input } from './mixer';
import { Mixer } from './mixer';
import { dark, pattern } from './pattern';
import type { Refusal } from './refusal';
import { cameraConstraints, type Settings } from './settings';

/** How an input stands. `lost` was taken away while in use. */
export type Standing =
  | { readonly is: 'off' | 'opening' | 'running' | 'lost' }
  | { readonly is: 'refused'; readonly refusal: Refusal };

export interface SourcesView {
  readonly picture: Standing;
  readonly microphone: Standing;
  /** Of the shared screen; `off` also where the browser gives none. */
  readonly systemSound: Standing;
  /** The browser holds sound back until the page is touched. */
  readonly soundHeld: boolean;
  readonly devices: Devices;
  readonly cameraInUse: string | null;
  readonly microphoneInUse: string | null;
}

const off: Standing = { is: 'off' };

export const noSources: SourcesView = {
  picture: off,
  microphone: off,
  systemSound: off,
  soundHeld: false,
  devices: noDevices,
  cameraInUse: null,
  microphoneInUse: null,
};

/** Words that are drawn into the test pattern. */
export interface PatternWords {
  readonly title: string;
  readonly under: () => string;
}

export class Sources {
  view: SourcesView = noSources;
  private picture: MediaStreamTrack | null = null;
  private drawn: DrawnPicture | null = null;
  private microphone: MediaStreamTrack | null = null;
  private screenSound: MediaStreamTrack | null = null;
  private mixer: Mixer | null = null;
  private settings: Settings;
  private readonly stopped = new AbortController();
  /** The newest opening wins; what an older one brings is put away. */
  private pictureTurn = 0;
  private microphoneTurn = 0;

  /** `tracksChanged` tells that other tracks are to be sent; `changed`, that the view is another. */
  constructor(
    settings: Settings,
    private readonly words: PatternWords,
    private readonly told: { readonly changed: () => void; readonly tracksChanged: () => void },
  ) {
    this.settings = settings;
  }

  /** Watches devices come and go, until `stop`. */
  start(): void {
    const { signal } = this.stopped;
    navigator.mediaDevices.addEventListener('devicechange', () => void this.devicesChanged(), { signal });
    for (const touch of ['pointerdown', 'keydown']) document.addEventListener(touch, this.touched, { signal });
    void this.list();
  }

  stop(): void {
    this.stopped.abort();
    this.pictureTurn += 1;
    this.microphoneTurn += 1;
    this.dropPicture();
    this.microphone?.stop();
    this.mixer?.close();
    this.mixer = null;
  }

  /** What is sent. While the browser holds sound back the microphone is sent as it is. */
  tracks(): Tracks {
    const mixed = this.mixer?.track ?? null;
    const held = this.mixer !== null && !this.mixer.running;
    return { video: this.picture, audio: held ? (this.microphone ?? mixed) : mixed };
  }

  /** What the preview shows: the very track that is sent. */
  preview(): MediaStreamTrack | null {
    return this.view.picture.is === 'running' ? this.picture : null;
  }

  /** The loudest of the last moments, in dBFS. */
  peak(of: Input | 'all'): number {
    return this.mixer?.peak(of) ?? -Infinity;
  }

  /** Opens what `settings` name, from nothing. */
  async open(settings: Settings): Promise<void> {
    this.settings = settings;
    await Promise.all([this.openPicture(), this.openMicrophone()]);
  }

  /** Follows a change of what was chosen; opens only what has to be opened. */
  follow(settings: Settings): void {
    const before = this.settings;
    this.settings = settings;
    const pictureIsOther = settings.source !== before.source || (settings.source === 'camera' && settings.camera !== before.camera);
    const microphoneIsOther =
      settings.withMicrophone !== before.withMicrophone ||
      settings.microphone !== before.microphone ||
      settings.processing !== before.processing;
    if (pictureIsOther) void this.openPicture();
    else this.fitPicture(before);
    if (microphoneIsOther) void this.openMicrophone();
    this.setGains();
  }

  /** Opens the picture that was chosen; again, where it was refused or lost. */
  async openPicture(): Promise<void> {
    const turn = ++this.pictureTurn;
    const { source } = this.settings;
    if (source === 'screen') {
      await this.openScreen(turn);
      return;
    }
    this.showScreenSound(null, off);
    if (source === null) this.showPicture(null, off);
    else if (source === 'pattern') this.openPattern();
    else await this.openCamera(turn);
  }

  /** Opens the microphone that was chosen; again, where it was refused or lost. */
  async openMicrophone(): Promise<void> {
    const turn = ++this.microphoneTurn;
    if (this.settings.withMicrophone !== true) {
      this.showMicrophone(null, off);
      return;
    }
    if (this.microphone === null) this.show({ microphone: { is: 'opening' } });
    const opened = await openMicrophone(this.settings);
    if ('refusal' in opened) {
      if (turn === this.microphoneTurn) this.showMicrophone(null, { is: 'refused', refusal: opened.refusal });
      return;
    }
    if (turn !== this.microphoneTurn) {
      opened.track.stop();
      return;
    }
    this.whenEnded(opened.track, () => { this.showMicrophone(null, { is: 'lost' }); });
    this.showMicrophone(opened.track, { is: 'running' });
    void this.list();
  }

  /** The streamer touched the page: the browser may let sound run. */
  readonly touched = (): void => {
    if (this.mixer !== null && !this.mixer.running) this.mixer.resume();
  };

  private async openCamera(turn: number): Promise<void> {
    this.show({ picture: { is: 'opening' } });
    const opened = await openCamera(this.settings);
    if ('refusal' in opened) {
      if (turn === this.pictureTurn) this.losePicture({ is: 'refused', refusal: opened.refusal });
      return;
    }
    if (turn !== this.pictureTurn) {
      opened.track.stop();
      return;
    }
    this.whenEnded(opened.track, () => { this.losePicture({ is: 'lost' }); });
    this.showPicture(opened.track, { is: 'running' });
    void this.list();
  }

  private async openScreen(turn: number): Promise<void> {
    // The picture before stays until another one was picked.
    if (this.picture === null) this.show({ picture: { is: 'opening' } });
    const opened = await openScreen(this.settings);
    if ('refusal' in opened) {
      if (turn === this.pictureTurn) this.losePicture({ is: 'refused', refusal: opened.refusal });
      return;
    }
    const { picture, sound } = opened;
    if (turn !== this.pictureTurn) {
      picture.stop();
      sound?.stop();
      return;
    }
    this.whenEnded(picture, () => {
      this.losePicture({ is: 'lost' });
      this.showScreenSound(null, off);
    });
    this.showPicture(picture, { is: 'running' });
    this.showScreenSound(sound, sound === null ? off : { is: 'running' });
  }

  private openPattern(): void {
    const paint = pattern(this.words.under, this.words.title);
    const ticking = (...[context, size, nowMs, frame]: Parameters<typeof paint>): void => {
      paint(context, size, nowMs, frame);
      this.mixer?.tick(nowMs);
    };
    this.draw(ticking, { is: 'running' });
  }

  /** The picture is gone: viewers see a dark one, if they were shown one before. */
  private losePicture(standing: Standing): void {
    if (this.picture === null) this.showPicture(null, standing);
    else this.draw(dark, standing);
  }

  private draw(paint: ConstructorParameters<typeof DrawnPicture>[0], standing: Standing): void {
    try {
      const drawn = new DrawnPicture(paint, this.settings.height, this.settings.frameRate);
      this.showPicture(drawn.track, standing);
      this.drawn = drawn;
    } catch {
      this.showPicture(null, { is: 'refused', refusal: 'unsupported' });
    }
  }

  private showPicture(track: MediaStreamTrack | null, standing: Standing): void {
    const before = { picture: this.picture, drawn: this.drawn };
    this.picture = track;
    this.drawn = null;
    this.connectBeep();
    this.show({ picture: standing, cameraInUse: this.settings.source === 'camera' ? deviceOf(track) : null });
    this.told.tracksChanged();
    before.picture?.stop();
    before.drawn?.stop();
  }

  private showMicrophone(track: MediaStreamTrack | null, standing: Standing): void {
    const before = this.microphone;
    this.microphone = track;
    this.ensureMixer()?.connect('microphone', track);
    this.setGains();
    this.show({ microphone: standing, microphoneInUse: deviceOf(track) });
    this.told.tracksChanged();
    before?.stop();
  }

  private showScreenSound(track: MediaStreamTrack | null, standing: Standing): void {
    const before = this.screenSound;
    this.screenSound = track;
    this.ensureMixer()?.connect('system', track);
    this.setGains();
    this.show({ systemSound: standing });
    before?.stop();
  }

  private dropPicture(): void {
    this.picture?.stop();
    this.drawn?.stop();
    this.screenSound?.stop();
    this.picture = null;
    this.drawn = null;
    this.screenSound = null;
  }

  /** The mixer, made when it is first needed. */
  private ensureMixer(): Mixer | null {
    if (this.stopped.signal.aborted) return null;
    try {
      this.mixer ??= new Mixer(() => { this.soundChanged(); });
      this.mixer.resume();
      this.soundChanged();
    } catch {
      this.mixer = null;
    }
    return this.mixer;
  }

  private soundChanged(): void {
    const soundHeld = this.mixer !== null && !this.mixer.running;
    if (soundHeld === this.view.soundHeld) return;
    this.show({ soundHeld });
    this.told.tracksChanged();
  }

  private connectBeep(): void {
    this.ensureMixer()?.connectBeep(this.settings.source === 'pattern' && this.picture !== null);
    this.setGains();
  }

  private setGains(): void {
    const { gain, muted, systemSound, beep } = this.settings;
    if (this.microphone !== null) this.microphone.enabled = !muted;
    this.mixer?.setGain('microphone', gain);
    this.mixer?.setGain('system', systemSound ? 1 : 0);
    this.mixer?.setGain('pattern', beep ? 1 : 0);
  }

  /** Another size or frame rate of the same picture. What a device cannot do, the encoder does. */
  private fitPicture(before: Settings): void {
    const { height, frameRate } = this.settings;
    if (height === before.height && frameRate === before.frameRate) return;
    this.drawn?.resize(height);
    this.drawn?.pace(frameRate);
    if (this.drawn === null) this.picture?.applyConstraints(cameraConstraints(this.settings, null)).then(this.told.tracksChanged, () => undefined);
  }

  private whenEnded(track: MediaStreamTrack, act: () => void): void {
    track.addEventListener('ended', () => {
      if (track === this.picture || track === this.microphone) act();
    }, { signal: this.stopped.signal });
  }

  private async list(): Promise<Devices> {
    const devices = await listDevices();
    if (!this.stopped.signal.aborted) this.show({ devices });
    return devices;
  }

  /** A device that was pulled out and comes back is taken again. */
  private async devicesChanged(): Promise<void> {
    const { cameras, microphones } = await this.list();
    const { source, camera, microphone } = this.settings;
    const isThere = (devices: readonly { id: string }[], id: string | null): boolean =>
      id === null ? devices.length > 0 : devices.some((device) => device.id === id);
    if (this.view.picture.is === 'lost' && source === 'camera' && isThere(cameras, camera)) void this.openPicture();
    if (this.view.microphone.is === 'lost' && isThere(microphones, microphone)) void this.openMicrophone();
  }

  private show(change: Partial<SourcesView>): void {
    this.view = { ...this.view, ...change };
    this.told.changed();
  }
}

function deviceOf(track: MediaStreamTrack | null): string | null {
  const id = track?.getSettings().deviceId ?? '';
  return isChoosable(id) ? id : null;
}
