'use client';

import { useSyncExternalStore } from 'react';

import { Button } from '@/shell/Button';
import { Message } from '@/shell/Message';
import { strings } from '@/strings';

import { SignIn } from './SignIn';
import styles from './Studio.module.css';
import { useAccount } from './useAccount';
import { Workspace } from './Workspace';

const words = strings.studio;
/** The exported page has no answer yet; a browser has. */
const noSubscription = () => () => undefined;

/** The studio: signing in, then everything else. */
export function StudioPage() {
  const inBrowser = useSyncExternalStore(noSubscription, () => true, () => false);
  const signedIn = useAccount();
  if (!inBrowser || signedIn.status === 'loading') {
    return (
      <div role="status" className={styles.loading}>
        <h1 className="visuallyHidden">{words.title}</h1>
        <p>{words.loading}</p>
      </div>
    );
  }
  if (signedIn.status === 'unreachable') {
    return (
      <Message heading="h1" title={words.unreachable} hint={words.unreachableHint}>
        <Button onClick={signedIn.retry}>{words.retry}</Button>
      </Message>
    );
  }
  if (signedIn.status === 'out' || signedIn.account === null) return <SignIn signIn={signedIn.signIn} />;
  return <Workspace account={signedIn.account} signOut={signedIn.signOut} />;
}
