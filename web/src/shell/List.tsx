import type { ReactNode } from 'react';

import { accounts } from '@/strings/accounts';

import { Button } from './Button';
import styles from './list.module.css';
import type { Pages } from './usePages';

const words = accounts;

interface Props<T> {
  readonly pages: Pages<T>;
  readonly none: string;
  readonly failed: string;
  readonly children: (item: T) => ReactNode;
}

/** The rows of a list that comes in pages, and what to say while there are none. */
export function List<T>({ pages, none, failed, children }: Props<T>) {
  const { status, items, hasMore, more } = pages;
  return (
    <>
      {items.length === 0 && status !== 'failed' && (
        <p className={status === 'loading' ? styles.loading : styles.quiet} role="status">
          {status === 'loading' ? words.loading : none}
        </p>
      )}
      {items.length > 0 && <ul className={styles.rows}>{items.map(children)}</ul>}
      {status === 'failed' && <p role="alert">{failed}</p>}
      {(status === 'failed' || hasMore) && (
        <div className={styles.more}>
          <Button kind="quiet" onClick={more} disabled={status === 'loading'}>
            {status === 'failed' ? words.retry : words.more}
          </Button>
        </div>
      )}
    </>
  );
}

interface RowProps {
  readonly name: ReactNode;
  readonly facts?: ReactNode;
  readonly children?: ReactNode;
}

/** One thing of a list: its name, what is known of it, and what can be done. */
export function Row({ name, facts, children }: RowProps) {
  return (
    <li className={styles.row}>
      <span className={styles.words}>
        <span className={styles.name}>{name}</span>
        {facts !== undefined && <span className={styles.quiet}>{facts}</span>}
      </span>
      {children !== undefined && <span className={styles.actions}>{children}</span>}
    </li>
  );
}

/** A state in a word. */
export function Badge({ state, children }: { readonly state: string; readonly children: ReactNode }) {
  return (
    <span className={styles.badge} data-state={state}>
      {children}
    </span>
  );
}
