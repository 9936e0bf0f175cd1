// Publishes as OBS does, over the library that OBS uses (libdatachannel): its offer without candidates, its
// packets (each NAL unit for itself, at most 1,200 bytes), its sender reports and its answers to NACK, no answer
// to PLI, and at the end first the connection closed and then DELETE. The media are frames that somebody encoded
// ahead (`clip.py`), sent at their time, over and over.
//
//     STREAM_KEY=... node obs_like.mjs URL --video FILE --audio FILE [--duration S]
//
// Prints a JSON line for each event: `connected`, `refused`, `ended`. SIGINT and SIGTERM say goodbye.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import rtc from 'node-datachannel';

const USER_AGENT = 'Mozilla/5.0 (OBS-Studio/32.2.2; Linux x86_64; en-US)';
// OBS gives POST and DELETE this long.
const TIMEOUT_MS = 8_000;
const PACKET_BYTES = 1_200;
const NACK_PACKETS = 4_000;
const VIDEO = { mid: '1', payload: 96, clock: 90_000, interval: 1 / 30 };
const AUDIO = { mid: '0', payload: 111, clock: 48_000, interval: 0.02 };
const OPUS_FORMAT = 'minptime=10;maxaveragebitrate=128000;stereo=1;sprop-stereo=1;useinbandfec=1';
const H264_FORMAT = 'profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1';
// The encoder's delay at the start of the sound, in samples: its frames are due so much earlier.
const OPUS_DELAY_S = 312 / 48_000;

const { values: options, positionals: [url] } = parseArgs({
  allowPositionals: true,
  options: { video: { type: 'string' }, audio: { type: 'string' }, duration: { type: 'string' } },
});
const authorization = `Bearer ${process.env.STREAM_KEY}`;
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const random32 = () => Math.floor(Math.random() * 2 ** 32);

function readFrames(path) {
  const bytes = readFileSync(path);
  const frames = [];
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    frames.push(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at)));
  }
  return frames;
}

/** A track, its frames and its place in them. */
class Sender {
  constructor(peer, kind, media, packetizer, frames, first) {
    const ssrc = random32();
    media.addSSRC(ssrc, 'obs', 'obs-stream', `obs-stream-${kind.mid}`);
    this.kind = kind;
    this.frames = frames;
    this.first = first;
    this.sent = 0;
    this.config = new rtc.RtpPacketizationConfig(ssrc, 'obs', kind.payload, kind.clock);
    this.start = this.config.timestamp;
    const chain = packetizer(this.config);
    chain.addToChain(new rtc.RtcpSrReporter(this.config));
    chain.addToChain(new rtc.RtcpNackResponder(NACK_PACKETS));
    this.track = peer.addTrack(media);
    this.track.setMediaHandler(chain);
    // A track opens a moment after its connection.
    this.open = new Promise((resolve) => this.track.onOpen(resolve));
  }

  /** Seconds after the start at which the next frame is due. */
  due() {
    return this.first + this.sent * this.kind.interval;
  }

  send() {
    const ticks = Math.round(this.sent * this.kind.interval * this.kind.clock);
    this.config.timestamp = (this.start + ticks) % 2 ** 32;
    this.track.sendMessageBinary(this.frames[this.sent % this.frames.length]);
    this.sent += 1;
  }
}

function senders(peer) {
  const audio = new rtc.Audio(AUDIO.mid, 'SendOnly');
  audio.addOpusCodec(AUDIO.payload, OPUS_FORMAT);
  const video = new rtc.Video(VIDEO.mid, 'SendOnly');
  video.addH264Codec(VIDEO.payload, H264_FORMAT);
  return [
    new Sender(peer, AUDIO, audio, (config) => new rtc.RtpPacketizer(config), readFrames(options.audio), -OPUS_DELAY_S),
    new Sender(peer, VIDEO, video, (config) => new rtc.H264RtpPacketizer('StartSequence', config, PACKET_BYTES),
      readFrames(options.video), 0),
  ];
}

/** The offer at once, and without candidates. */
function offer(peer) {
  return new Promise((resolve) => {
    peer.onLocalDescription((sdp) => resolve(sdp.replace(/^a=(candidate|end-of-candidates).*\r?\n/gm, '')));
    peer.setLocalDescription('offer');
  });
}

function request(method, target, body) {
  const headers = { Authorization: authorization, 'User-Agent': USER_AGENT };
  if (body) headers['Content-Type'] = 'application/sdp';
  return fetch(target, { method, body, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
}

async function open(peer) {
  const answer = await request('POST', url, await offer(peer));
  const text = await answer.text();
  if (answer.status !== 201 || !answer.headers.get('Location')) {
    say('refused', { status: answer.status, body: text });
    return null;
  }
  peer.setRemoteDescription(text, 'answer');
  return new URL(answer.headers.get('Location'), answer.url);
}

/** Sends what is due until `over`, or for the duration asked for. */
function stream(all, over) {
  const began = performance.now() / 1_000;
  const end = options.duration ? Number(options.duration) : Infinity;
  return new Promise((resolve) => {
    const turn = () => {
      const now = performance.now() / 1_000 - began;
      const next = () => all.reduce((a, b) => (b.due() < a.due() ? b : a));
      while (next().due() <= now && next().due() < end) next().send();
      if (over.is || next().due() >= end) resolve();
      else setTimeout(turn, Math.max(1, (next().due() - now) * 1_000));
    };
    turn();
  });
}

function connected(peer, over) {
  return new Promise((resolve) => {
    peer.onStateChange((state) => {
      over.state = state;
      if (state === 'connected') resolve(true);
      if (state === 'closed') over.close();
      if (['disconnected', 'failed', 'closed'].includes(state)) {
        over.is = true;
        resolve(false);
      }
    });
  });
}

async function publish() {
  const peer = new rtc.PeerConnection('obs', { iceServers: [] });
  const over = { is: false, state: 'new' };
  over.closed = new Promise((resolve) => { over.close = resolve; });
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => { over.is = true; });
  const all = senders(peer);
  const ready = connected(peer, over);
  const session = await open(peer);
  if (!session) return 1;
  if (await ready) {
    await Promise.all(all.map((sender) => sender.open));
    say('connected');
    await stream(all, over);
  }
  const { state } = over;
  // In this order: OBS closes its connection first, and still wants 200.
  peer.close();
  await over.closed;
  const answer = await request('DELETE', session);
  say('ended', { state, status: answer.status, audio: all[0].sent, video: all[1].sent });
  return answer.status === 200 ? 0 : 1;
}

process.exitCode = await publish();
rtc.cleanup();
process.exit();
