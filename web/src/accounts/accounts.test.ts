import { describe, expect, it } from 'vitest';

import { HttpError } from '@/api/http';
import { accounts } from '@/strings/accounts';

import { pathOf } from './Qr';
import { afterSignIn, homeOf, ownPath, signInAddress, tokenOfHash } from './redirect';
import { isSignedOut, refusalWords, waitWords } from './refusal';

describe('after signing in', () => {
  it('each role begins on its own page', () => {
    expect(['admin', 'creator', 'moderator', 'viewer', 'read', ''].map(homeOf)).toEqual(['/admin', '/dashboard', '/', '/', '/', '/']);
  });

  it('somebody goes back to where they came from', () => {
    expect(afterSignIn('viewer', '/watch/demo?x=1#live')).toBe('/watch/demo?x=1#live');
    expect(afterSignIn('admin', null)).toBe('/admin');
    expect(afterSignIn('creator', '/sign-in?to=%2F')).toBe('/dashboard');
    expect(afterSignIn('creator', '/sign-in')).toBe('/dashboard');
  });

  it('never elsewhere', () => {
    const bad = ['https://evil.example/', '//evil.example', '/\\evil.example', '\\/evil.example', '/\t/evil.example', '/\n/evil.example', 'javascript:alert(1)', 'studio', '', ' /', '/a b'];
    for (const to of bad) {
      expect(ownPath(to), to).toBeNull();
      expect(afterSignIn('admin', to), to).toBe('/admin');
    }
    for (const good of ['/', '/studio', '/dashboard/demo#keys', '/a?b=https://x']) expect(ownPath(good)).toBe(good);
  });

  it('the address of the sign-in page keeps the way back', () => {
    expect(signInAddress('/dashboard/demo#keys')).toBe('/sign-in?to=%2Fdashboard%2Fdemo%23keys');
    expect(signInAddress('', 'suspended')).toBe('/sign-in?why=suspended');
    expect(signInAddress('//evil.example')).toBe('/sign-in');
  });
});

describe('the link of a mail', () => {
  it('has its token behind the hash', () => {
    expect(tokenOfHash('#token=abc')).toBe('abc');
    for (const none of ['', '#', '#token=', '#other=abc']) expect(tokenOfHash(none)).toBeNull();
  });
});

describe('a refusal', () => {
  const words = accounts.refusal;

  it('is told by its code, where that is known', () => {
    expect(refusalWords(new HttpError(401, 'credentials_wrong', 'x'))).toBe(words.codes.credentials_wrong);
    expect(refusalWords(new HttpError(410, 'link_over', 'x'))).toBe(words.codes.link_over);
  });

  it('else by what the server says, or by its kind', () => {
    expect(refusalWords(new HttpError(422, 'title_invalid', 'title must have 1 to 200 characters'))).toBe('The server says: title must have 1 to 200 characters.');
    expect(refusalWords(new HttpError(503, 'busy', 'x'))).toBe(words.unavailable);
    expect(refusalWords(new HttpError(418))).toBe(words.failed);
    expect(refusalWords(new TypeError('fetch failed'))).toBe(words.unreachable);
  });

  it('of too many tries names the wait', () => {
    expect(refusalWords(new HttpError(429, 'attempts_too_many', 'x', 42))).toBe('Too many tries. Wait 42 s, then try again.');
    expect([waitWords(0), waitWords(1.2), waitWords(120), waitWords(600)]).toEqual(['1 s', '2 s', '120 s', '10 minutes']);
  });

  it('ends the sign-in only where it says so', () => {
    expect(isSignedOut(new HttpError(401, 'session_expired'))).toBe(true);
    expect(isSignedOut(new HttpError(401, 'token_missing'))).toBe(true);
    expect(isSignedOut(new HttpError(403, 'user_suspended'))).toBe(true);
    for (const other of [new HttpError(401, 'credentials_wrong'), new HttpError(401, 'code_wrong'), new HttpError(403, 'role_insufficient'), new HttpError(503), new TypeError('x')]) {
      expect(isSignedOut(other)).toBe(false);
    }
  });
});

describe('a QR code', () => {
  it('is a square for each dark module', () => {
    expect(pathOf([[true, false], [false, true]])).toBe('M0 0h1v1h-1zM1 1h1v1h-1z');
  });
});
