'use client';

import { useEffect, useState, type ReactNode } from 'react';

import { signOut } from '@/api/account';
import type { Me } from '@/api/me';
import { Button } from '@/shell/Button';
import { Message } from '@/shell/Message';
import { accounts } from '@/strings/accounts';

import styles from './Gate.module.css';
import { placesOf, type Place } from './places';
import { signInAddress } from './redirect';
import { useMe } from './useMe';

const words = accounts;

interface Props {
  /** The page's name. */
  readonly title: string;
  readonly place: Place;
  /** Whether it makes sense to show the page to them; the API decides what they may. */
  readonly isFor?: (me: Me) => boolean;
  readonly children: (me: Me, reload: () => void) => ReactNode;
}

const anybody = (): boolean => true;

/** A page behind a sign-in: who is not signed in goes to sign in and comes back. */
export function Gate({ title, place, isFor = anybody, children }: Props) {
  const { known, load } = useMe();
  const [wasIn, setWasIn] = useState(false);
  if (known.status === 'in' && !wasIn) setWasIn(true);

  useEffect(() => {
    if (known.status === 'suspended') void leave('suspended');
    if (known.status === 'out') window.location.replace(signInAddress(here(), wasIn ? 'over' : null));
  }, [known.status, wasIn]);

  if (known.status === 'unreachable') {
    return (
      <Message heading="h1" title={words.gate.unreachable} hint={words.gate.unreachableHint}>
        <Button onClick={load}>{words.retry}</Button>
      </Message>
    );
  }
  if (known.status === 'suspended') return <Message heading="h1" title={words.gate.suspended} hint={words.gate.suspendedHint} />;
  if (known.status !== 'in') {
    return (
      <div className={styles.page} aria-busy="true">
        <div className={styles.topEmpty} />
        <h1 className={styles.title}>{title}</h1>
        <p className={styles.loading} role="status">
          {words.loading}
        </p>
      </div>
    );
  }
  const { me } = known;
  return (
    <div className={styles.page}>
      <Top me={me} place={place} />
      {isFor(me) ? children(me, load) : <Message heading="h1" title={words.gate.forbidden} hint={words.gate.forbiddenHint} />}
    </div>
  );
}

function Top({ me, place }: { readonly me: Me; readonly place: Place }) {
  return (
    <div className={styles.top}>
      <nav className={styles.places} aria-label={words.places}>
        {placesOf(me).map((one) => (
          <a key={one} className={styles.place} href={`/${one}`} aria-current={one === place ? 'page' : undefined}>
            {words.placeNames[one]}
          </a>
        ))}
      </nav>
      <p className={styles.who}>
        <span className={styles.name}>{words.signedInAs(me.displayName)}</span>
        <Button kind="quiet" onClick={() => void leave(null)}>
          {words.signOut}
        </Button>
      </p>
    </div>
  );
}

const here = (): string => window.location.pathname + window.location.search + window.location.hash;

/** Ends the session, as far as the server answers, and goes to the sign-in page. */
async function leave(why: 'suspended' | null): Promise<void> {
  await signOut(new AbortController().signal).catch(() => undefined);
  window.location.replace(signInAddress('', why));
}
