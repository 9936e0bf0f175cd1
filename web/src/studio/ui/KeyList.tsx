'use client';

import { useState } from 'react';

import type { KeyInfo } from '@/api/keys';
import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { strings } from '@/strings';

import styles from './Obs.module.css';
import type { Keys } from './useKeyList';

const words = strings.studio.obs;

interface Props {
  readonly keys: Keys;
  readonly onRevoked: (id: string) => void;
}

/** The keys that work now, with when each was used, and the way to end one. */
export function KeyList({ keys, onRevoked }: Props) {
  const [asked, setAsked] = useState<KeyInfo | null>(null);
  const [failed, setFailed] = useState(false);
  const revoke = ({ id }: KeyInfo): void => {
    setAsked(null);
    setFailed(false);
    keys.revoke(id).then(() => { onRevoked(id); }, () => { setFailed(true); });
  };
  return (
    <div className={styles.column}>
      <h3 className={styles.subtitle}>{words.keys}</h3>
      {keys.status === 'failed' && <p className={styles.quiet}>{words.keysFailed}</p>}
      {keys.status === 'ready' && keys.items.length === 0 && <p className={styles.quiet}>{words.noKeys}</p>}
      <ul className={styles.keys}>
        {keys.items.map((key) => (
          <li key={key.id} className={styles.keyRow}>
            <span className={styles.keyWords}>
              <span className={styles.keyLabel}>{nameOf(key)}</span>
              <span className={styles.quiet}>{usageOf(key)}</span>
            </span>
            <Button kind="quiet" aria-label={words.revokeOf(nameOf(key))} onClick={() => { setAsked(key); }}>
              {words.revoke}
            </Button>
          </li>
        ))}
      </ul>
      <p className={styles.problem} role="alert">
        {failed ? words.failed : ''}
      </p>
      {asked !== null && (
        <Confirm
          title={words.confirmTitle(nameOf(asked))}
          hint={words.confirmHint}
          keep={words.confirmKeep}
          confirm={words.confirmRevoke}
          onKeep={() => { setAsked(null); }}
          onConfirm={() => { revoke(asked); }}
        />
      )}
    </div>
  );
}

function nameOf({ label }: KeyInfo): string {
  return label === '' ? words.unnamed : label;
}

function usageOf({ createdAt, lastUsedAt }: KeyInfo): string {
  const day = (date: Date): string => date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  const used = lastUsedAt === null ? words.neverUsed : words.used(day(lastUsedAt));
  return createdAt === null ? used : `${words.made(day(createdAt))}${strings.separator}${used}`;
}
