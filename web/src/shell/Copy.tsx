'use client';

import { useEffect, useState } from 'react';

import { Button } from '@/shell/Button';
import { strings } from '@/strings';

import { Icon } from './icons';
import styles from './Copy.module.css';

const words = strings.studio.obs;
const TOLD_MS = 2_500;

/** Copies `text` at one click, and says whether that worked. `what` names it for screen readers. */
export function Copy({ text, what }: { readonly text: string; readonly what: string }) {
  const [told, setTold] = useState<'nothing' | 'copied' | 'failed'>('nothing');

  useEffect(() => {
    if (told !== 'copied') return;
    const timer = window.setTimeout(() => { setTold('nothing'); }, TOLD_MS);
    return () => {
      window.clearTimeout(timer);
    };
  }, [told]);

  const copy = (): void => {
    copyText(text).then(
      () => { setTold('copied'); },
      () => { setTold('failed'); },
    );
  };
  return (
    <>
      <Button kind="quiet" onClick={copy}>
        <span className={styles.copy}>
          <Icon name={told === 'copied' ? 'done' : 'copy'} />
          {told === 'copied' ? words.copied : words.copy}
          <span className="visuallyHidden">{what}</span>
        </span>
      </Button>
      <span className={told === 'failed' ? styles.problem : 'visuallyHidden'} role="status">
        {told === 'copied' ? words.copied : told === 'failed' ? words.copyFailed : ''}
      </span>
    </>
  );
}

/** The clipboard belongs to secure pages; others copy as pages did before there was one. */
async function copyText(text: string): Promise<void> {
  if (window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'visuallyHidden';
  document.body.append(field);
  field.select();
  // Nothing else is left to a page without HTTPS.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const done = document.execCommand('copy');
  field.remove();
  if (!done) throw new DOMException('not copied', 'NotAllowedError');
}
