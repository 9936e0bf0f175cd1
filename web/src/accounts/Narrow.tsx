import type { ReactNode } from 'react';

import { accounts } from '@/strings/accounts';

import styles from './Narrow.module.css';

interface Props {
  readonly title: string;
  readonly hint?: string | undefined;
  readonly children?: ReactNode;
}

/** A page with one small matter in its middle. */
export function Narrow({ title, hint, children }: Props) {
  return (
    <section className={styles.card}>
      <h1 className={styles.title}>{title}</h1>
      {hint !== undefined && <p className={styles.hint}>{hint}</p>}
      {children}
    </section>
  );
}

/** The same while the page does not know yet what to show. */
export function Waiting({ title }: { readonly title: string }) {
  return (
    <Narrow title={title}>
      <p className={styles.waiting} role="status">
        {accounts.loading}
      </p>
    </Narrow>
  );
}

/** The ways on from here. */
export function Links({ to }: { readonly to: readonly (readonly [href: string, words: string])[] }) {
  return (
    <p className={styles.links}>
      {to.map(([href, words]) => (
        <a key={href} href={href}>
          {words}
        </a>
      ))}
    </p>
  );
}
