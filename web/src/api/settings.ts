/** The settings of a channel, and its slate. */

import { ask, isRecord, sendJson, textAt } from './http';

export interface Rung {
  readonly height: number;
  /** In bit/s. */
  readonly bitrate: number;
}

export interface Ladder {
  readonly rungs: readonly Rung[];
  /** In bit/s. */
  readonly audioBitrate: number;
}

export interface Settings {
  readonly title: string;
  readonly profile: string;
  /** null is that of the source. */
  readonly frameRate: number | null;
  readonly graceS: number;
  readonly secondPublisher: string;
  readonly dvrS: number;
  readonly passthrough: boolean;
  /** null is the usual one. */
  readonly ladder: Ladder | null;
  /** null where the server knows no access policy. */
  readonly access: string | null;
  /** Whether the channel has a slate of its own. */
  readonly hasSlate: boolean;
}

/** Settings, and the version that they are of. */
export interface Versioned {
  readonly settings: Settings;
  /** The `ETag`; null where the server sent none. */
  readonly version: string | null;
}

const at = (channel: string): string => `/api/v1/channels/${channel}`;
const number = (value: unknown, missing: number): number => (typeof value === 'number' ? value : missing);

export function parseSettings(body: unknown): Settings {
  const name = isRecord(body) ? textAt(body, 'name') : null;
  if (!isRecord(body) || name === null) throw new TypeError('not settings');
  return {
    title: textAt(body, 'title') ?? name,
    profile: textAt(body, 'profile') ?? 'low',
    frameRate: typeof body.frame_rate === 'number' ? body.frame_rate : null,
    graceS: number(body.grace_s, 60),
    secondPublisher: textAt(body, 'second_publisher') ?? 'replace',
    dvrS: number(body.dvr_s, 0),
    passthrough: body.passthrough !== false,
    ladder: parseLadder(body.ladder),
    access: textAt(body, 'access'),
    hasSlate: body.slate === true,
  };
}

function parseLadder(ladder: unknown): Ladder | null {
  if (!isRecord(ladder) || !Array.isArray(ladder.rungs)) return null;
  const rungs = ladder.rungs.flatMap((rung: unknown) =>
    isRecord(rung) && typeof rung.height === 'number' && typeof rung.bitrate === 'number' ? [{ height: rung.height, bitrate: rung.bitrate }] : [],
  );
  return { rungs, audioBitrate: number(ladder.audio_bitrate, 128_000) };
}

/** The body that sets them. */
export function settingsBody(settings: Settings): Record<string, unknown> {
  const { ladder, access } = settings;
  return {
    title: settings.title,
    profile: settings.profile,
    frame_rate: settings.frameRate,
    grace_s: settings.graceS,
    second_publisher: settings.secondPublisher,
    dvr_s: settings.dvrS,
    passthrough: settings.passthrough,
    ladder: ladder === null ? null : { rungs: ladder.rungs, audio_bitrate: ladder.audioBitrate },
    ...(access === null ? {} : { access }),
  };
}

async function readVersioned(response: Response): Promise<Versioned> {
  return { settings: parseSettings(await response.json()), version: response.headers.get('etag') };
}

export function fetchSettings(channel: string, signal: AbortSignal): Promise<Versioned> {
  return ask(`${at(channel)}/settings`, { headers: { accept: 'application/json' } }, signal, readVersioned);
}

/** Changes them, if nobody else did since `version`: else rejects with `HttpError` 412. */
export function saveSettings(channel: string, settings: Settings, version: string | null, signal: AbortSignal): Promise<Versioned> {
  const headers = { accept: 'application/json', 'content-type': 'application/json', ...(version === null ? {} : { 'if-match': version }) };
  return ask(at(channel), { method: 'PATCH', headers, body: JSON.stringify(settingsBody(settings)) }, signal, readVersioned);
}

/** Makes a channel; an empty title is its name. */
export async function makeChannel(name: string, title: string, signal: AbortSignal): Promise<void> {
  await sendJson('POST', '/api/v1/channels', title === '' ? { name } : { name, title }, signal);
}

export async function deleteChannel(channel: string, signal: AbortSignal): Promise<void> {
  await sendJson('DELETE', at(channel), undefined, signal);
}

/** Where the slate is; `version` makes the browser ask again. */
export function slateUrl(channel: string, version: number): string {
  return `${at(channel)}/slate?v=${version}`;
}

export async function putSlate(channel: string, file: Blob, signal: AbortSignal): Promise<void> {
  await ask(`${at(channel)}/slate`, { method: 'PUT', headers: { 'content-type': file.type }, body: file }, signal, () => Promise.resolve());
}

export async function removeSlate(channel: string, signal: AbortSignal): Promise<void> {
  await sendJson('DELETE', `${at(channel)}/slate`, undefined, signal);
}
