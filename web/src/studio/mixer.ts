/**
 * All sounds on one track that never changes: inputs come and go, the listener hears no break.
 *
 * Knows Web Audio alone.
 */

import { FLASH_MS } from './pattern';
import { FLOOR_DB, peakDb } from './level';

export type Input = 'microphone' | 'system' | 'pattern';

const INPUTS: readonly Input[] = ['microphone', 'system', 'pattern'];
/** A change of loudness takes so long, in seconds: a jump clicks. */
const RAMP_SECONDS = 0.02;
const METER_SAMPLES = 2_048;
const BEEP_HZ = 1_000;
const BEEP_GAIN = 0.25;

interface Strip {
  readonly gain: GainNode;
  readonly analyser: AnalyserNode;
  node: AudioNode | null;
}

export class Mixer {
  /** What is sent. */
  readonly track: MediaStreamTrack;
  private readonly context = new AudioContext();
  private readonly out: AnalyserNode;
  private readonly strips: Record<Input, Strip>;
  private readonly samples = new Float32Array(METER_SAMPLES);
  private beepGate: GainNode | null = null;
  private beepedSecond = 0;

  /** `changed` is called when the browser lets sound run, or stops it. Throws where there is no Web Audio. */
  constructor(changed: () => void) {
    const { context } = this;
    const destination = context.createMediaStreamDestination();
    const [track] = destination.stream.getAudioTracks();
    if (track === undefined) throw new DOMException('no sound', 'NotSupportedError');
    this.track = track;
    this.out = this.analyser();
    this.out.connect(destination);
    this.strips = Object.fromEntries(INPUTS.map((input) => [input, this.strip()])) as Record<Input, Strip>;
    context.addEventListener('statechange', changed);
  }

  /** Does sound run? Browsers hold it back until the page is touched. */
  get running(): boolean {
    return this.context.state === 'running';
  }

  /** Asks the browser to let sound run; granted at a touch of the page, or when it captures. */
  resume(): void {
    this.context.resume().catch(() => undefined);
  }

  /** What is heard on an input; null is silence. */
  connect(input: Input, track: MediaStreamTrack | null): void {
    const strip = this.strips[input];
    strip.node?.disconnect();
    strip.node = track === null ? null : this.context.createMediaStreamSource(new MediaStream([track]));
    strip.node?.connect(strip.gain);
  }

  /** The beep of the test pattern: one each second, when `tick` says. */
  connectBeep(on: boolean): void {
    const strip = this.strips.pattern;
    strip.node?.disconnect();
    strip.node = null;
    this.beepGate = null;
    if (!on) return;
    const gate = this.context.createGain();
    const tone = this.context.createOscillator();
    gate.gain.value = 0;
    tone.frequency.value = BEEP_HZ;
    tone.connect(gate).connect(strip.gain);
    tone.start();
    strip.node = gate;
    this.beepGate = gate;
  }

  /** Beeps if a second begins at `nowMs`. Called with each picture of the pattern. */
  tick(nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    if (this.beepGate === null || second === this.beepedSecond) return;
    this.beepedSecond = second;
    if (nowMs % 1_000 >= FLASH_MS) return;
    const { gain } = this.beepGate;
    const at = this.context.currentTime;
    gain.setValueAtTime(BEEP_GAIN, at);
    gain.setValueAtTime(0, at + FLASH_MS / 1_000);
  }

  setGain(input: Input, factor: number): void {
    this.strips[input].gain.gain.setTargetAtTime(factor, this.context.currentTime, RAMP_SECONDS);
  }

  /** The loudest of the last moments on an input, or on everything that is sent, in dBFS. */
  peak(of: Input | 'all'): number {
    if (!this.running) return FLOOR_DB;
    const analyser = of === 'all' ? this.out : this.strips[of].analyser;
    analyser.getFloatTimeDomainData(this.samples);
    return peakDb(this.samples);
  }

  close(): void {
    this.track.stop();
    this.context.close().catch(() => undefined);
  }

  private analyser(): AnalyserNode {
    const analyser = this.context.createAnalyser();
    analyser.fftSize = METER_SAMPLES;
    return analyser;
  }

  private strip(): Strip {
    const gain = this.context.createGain();
    const analyser = this.analyser();
    gain.connect(analyser).connect(this.out);
    return { gain, analyser, node: null };
  }
}
