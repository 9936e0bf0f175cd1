import type { ReactNode } from 'react';

import { strings } from '@/strings';

import { Icon } from './icons';
import styles from './Shell.module.css';

/** The frame of every page: header with wordmark, then the content. */
export function Shell({ children }: { readonly children: ReactNode }) {
  return (
    <>
      <a className={styles.skip} href="#content">
        {strings.skipToContent}
      </a>
      <header className={styles.header}>
        {/* A plain link: every page is a document of its own, which the server picks. */}
        <a className={styles.wordmark} href="/">
          <Mark />
          {strings.product}
        </a>
        {/* The same for everybody: nothing jumps while the page finds out who is there. */}
        <nav className={styles.nav} aria-label={strings.navigation}>
          <a className={styles.link} href="/studio" data-place="studio">
            {strings.studio.title}
          </a>
          <a className={styles.link} href="/dashboard">
            {strings.dashboard}
          </a>
          <a className={styles.link} href="/account">
            <Icon name="person" />
            <span className="visuallyHidden">{strings.account}</span>
          </a>
        </nav>
      </header>
      <main className={styles.main} id="content" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

function Mark() {
  return (
    <svg className={styles.mark} viewBox="0 0 24 24" aria-hidden="true">
      <path d="M3 9c3-3 6-3 9 0s6 3 9 0M3 16c3-3 6-3 9 0s6 3 9 0" />
    </svg>
  );
}
