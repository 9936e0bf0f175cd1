/** Where somebody goes after signing in. Only to paths of this server: a link must not lead elsewhere. */

const SIGN_IN = '/sign-in';

/** `to`, if it is a path of this origin; else null. */
export function ownPath(to: string | null): string | null {
  if (to === null || !to.startsWith('/') || to.startsWith('//')) return null;
  // Browsers take a backslash for a slash, and leave control characters out.
  const isPlain = Array.from(to).every((character) => character !== '\\' && character > ' ' && character !== '\u007f');
  return isPlain ? to : null;
}

/** The page that a role begins on. */
export function homeOf(role: string): string {
  switch (role) {
    case 'admin':
      return '/admin';
    case 'creator':
      return '/dashboard';
    default:
      return '/';
  }
}

/** Where to go after signing in: where they came from, else where their role begins. */
export function afterSignIn(role: string, to: string | null): string {
  const wished = ownPath(to);
  const isSignIn = wished !== null && (wished === SIGN_IN || wished.startsWith(`${SIGN_IN}?`));
  return wished === null || isSignIn ? homeOf(role) : wished;
}

/** The address of the sign-in page that leads back to `from`. */
export function signInAddress(from: string, why: 'suspended' | 'over' | null = null): string {
  const query = new URLSearchParams();
  if (ownPath(from) !== null) query.set('to', from);
  if (why !== null) query.set('why', why);
  const text = query.toString();
  return text === '' ? SIGN_IN : `${SIGN_IN}?${text}`;
}

/** The token of a mail's link, which stands behind `#` so that no server sees it. */
export function tokenOfHash(hash: string): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, '')).get('token');
  return token === null || token === '' ? null : token;
}
