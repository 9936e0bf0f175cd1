import { afterEach, describe, expect, it, vi } from 'vitest';

import { detailWords, instantOf, parseEntry } from './audit';
import { confirmSignUp, parseWays, providerAddress, signInByPassword } from './auth';
import { parseRun } from './broadcasts';
import { channelOfPath } from './channels';
import { parseControl } from './control';
import { may, parseMe, rightsOn } from './me';
import { parsePage, withQuery } from './page';
import { saveSettings, parseSettings } from './settings';
import { parseToken, tokenBody } from './tokens';

const never = new AbortController().signal;

function server(status: number, body: unknown = null, headers: Record<string, string> = {}): RequestInit[] {
  const asked: RequestInit[] = [];
  vi.stubGlobal('fetch', (_: string, init: RequestInit) => {
    asked.push(init);
    return Promise.resolve(new Response(body === null ? null : JSON.stringify(body), { status, headers }));
  });
  return asked;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('who is signed in', () => {
  const ann = parseMe({
    kind: 'user', name: 'ann', role: 'creator', permissions: ['channel.create', 7], signed_in_at: '2026-11-22T12:00:00Z',
    user: { display_name: 'Ann', email: 'ann@example.org' },
    channels: [{ channel: 'news', role: 'owner' }, { channel: 'chess', role: 'moderator' }, { channel: '../x', role: 'owner' }, null],
  });

  it('is read, without what is no channel', () => {
    expect(ann).toMatchObject({ kind: 'user', displayName: 'Ann', email: 'ann@example.org', permissions: ['channel.create'], signedInAt: new Date('2026-11-22T12:00:00Z') });
    expect(ann.channels).toEqual([{ channel: 'news', role: 'owner' }, { channel: 'chess', role: 'moderator' }]);
    for (const bad of [null, {}, { name: '' }]) expect(() => parseMe(bad)).toThrow(TypeError);
  });

  it('sees on a channel what their role there gives', () => {
    expect(rightsOn(ann, 'news')).toEqual({ isCrew: true, isOwner: true, keepsOrder: true });
    expect(rightsOn(ann, 'chess')).toEqual({ isCrew: false, isOwner: false, keepsOrder: true });
    expect(rightsOn(ann, 'other')).toEqual({ isCrew: false, isOwner: false, keepsOrder: false });
    const admin = parseMe({ kind: 'token', name: 'first run', role: 'admin', permissions: ['channel.update', 'channel.delete', 'broadcast.end'], user: null });
    expect(rightsOn(admin, 'other')).toEqual({ isCrew: true, isOwner: true, keepsOrder: true });
    expect(may(admin, 'audit.read')).toBe(false);
  });
});

describe('signing in', () => {
  it('sends a code only when there is one', async () => {
    const asked = server(204);
    await signInByPassword({ email: 'a@b.c', password: 'p', code: null }, never);
    await signInByPassword({ email: 'a@b.c', password: 'p', code: '123456' }, never);
    await confirmSignUp('t', 'p', '', never);
    expect(asked.map(({ body }) => body)).toEqual(['{"email":"a@b.c","password":"p"}', '{"email":"a@b.c","password":"p","code":"123456"}', '{"token":"t","password":"p"}']);
  });

  it('knows the ways to sign in', () => {
    expect(parseWays({ mode: 'local', sign_up: 'open' })).toEqual({ mode: 'local', isSignUpOpen: true });
    expect(() => parseWays({ mode: 'magic' })).toThrow(TypeError);
    expect(providerAddress('/sign-in?to=%2Fx')).toBe('/api/v1/auth/oidc/start?return_to=%2Fsign-in%3Fto%3D%252Fx');
  });
});

describe('lists', () => {
  it('leave out what is none of them', () => {
    const page = parsePage({ tokens: [{ id: 'a', name: 'ci', scopes: ['key.read'] }, {}, null], next: 'c' }, 'tokens', parseToken);
    expect(page).toMatchObject({ items: [{ id: 'a', scopes: ['key.read'], isRevoked: false }], next: 'c' });
    expect(() => parsePage({ users: {} }, 'users', parseToken)).toThrow(TypeError);
  });

  it('are asked for without empty filters', () => {
    expect(withQuery('/x', { a: '', b: null })).toBe('/x');
    expect(withQuery('/x', { a: 'b c', d: '&' })).toBe('/x?a=b+c&d=%26');
  });
});

describe('the control room', () => {
  it('shows what is on, as far as it is told', () => {
    const live = { broadcast: 'b', state: 'reconnecting', started_at: '2026-11-22T12:00:00Z', source_size: { width: 1280, height: 720 }, protocol: 'whip', credential: 'key', role: 'backup', degraded: true };
    expect(parseControl({ name: 'n', live, last_end: null }).onAir).toMatchObject({ state: 'reconnecting', size: { width: 1280, height: 720 }, credential: 'key', role: 'backup', isDegraded: true });
    expect(parseControl({ name: 'n', live: { broadcast: 'b', state: 'live' } }).onAir).toMatchObject({ state: 'live', size: null, protocol: null, credential: null, isDegraded: null });
    expect(parseControl({ name: 'n', live: null, last_end: { broadcast: 'a', at: 'x', reason: 'ended' } })).toEqual({ title: 'n', onAir: null, lastEnd: { at: null, reason: 'ended' } });
  });

  it('knows its channel from the address', () => {
    expect(channelOfPath('/dashboard/demo', 'dashboard')).toBe('demo');
    expect(channelOfPath('/watch/demo/')).toBe('demo');
    for (const bad of ['/dashboard', '/dashboard/', '/dashboard/De', '/dashboard/a/b', '/watch/demo']) expect(channelOfPath(bad, 'dashboard')).toBeNull();
  });

  it('lists runs of states that it knows', () => {
    expect(parseRun({ id: 'b', channel: 'c', state: 'lost' })).toMatchObject({ state: 'lost', endReason: null });
    expect(parseRun({ id: 'b', channel: 'c', state: 'odd' })).toBeNull();
  });
});

describe('settings', () => {
  it('are saved over the version that was read', async () => {
    const settings = parseSettings({ name: 'n', title: 'N' });
    const asked = server(200, { name: 'n', title: 'N' }, { etag: '"8"' });
    expect(await saveSettings('n', settings, '"7"', never)).toEqual({ settings, version: '"8"' });
    expect(asked[0]).toMatchObject({ method: 'PATCH', headers: { 'if-match': '"7"' } });
  });
});

describe('tokens', () => {
  it('end when they shall', () => {
    expect(tokenBody({ name: 'ci', scopes: null, days: 0 }, 0)).toEqual({ name: 'ci' });
    expect(tokenBody({ name: 'ci', scopes: ['key.read'], days: 30 }, 0)).toEqual({ name: 'ci', scopes: ['key.read'], expires_at: '1970-01-31T00:00:00.000Z' });
  });
});

describe('the audit', () => {
  it('is read and said', () => {
    expect(parseEntry({ id: 7, actor: 'x', actor_name: 'ann', action: 'channel.update', details: { fields: ['title'], name: 'n' } })).toMatchObject({ id: 7, actor: 'ann' });
    expect(parseEntry({ id: '7' })).toBeNull();
    expect(detailWords({ name: 'n', fields: ['title'] })).toBe('name: n, fields: ["title"]');
  });

  it('is filtered by days', () => {
    expect(instantOf('2026-11-22')).toBe(new Date(2026, 10, 22).toISOString());
    for (const bad of ['', '22.11.2026', '2026-13-40', 'now']) expect(instantOf(bad)).toBe('');
  });
});
