'use client';

import { useId, useRef, useState, type SyntheticEvent } from 'react';

import { signInAddress } from '@/accounts/redirect';
import { Button } from '@/shell/Button';
import { strings } from '@/strings';

import styles from './SignIn.module.css';

const words = strings.studio.signIn;

/** Asks for a token. It goes to the server once and is kept nowhere in the page. */
export function SignIn({ signIn }: { readonly signIn: (token: string) => Promise<string | null> }) {
  const field = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const id = useId();

  const refuse = (words: string): void => {
    setProblem(words);
    field.current?.focus();
  };
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? '';
    if (token === '') {
      refuse(words.empty);
      return;
    }
    setBusy(true);
    void signIn(token).then((refusal) => {
      setBusy(false);
      if (refusal !== null) refuse(refusal);
    });
  };

  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      <h1 className={styles.title}>{words.title}</h1>
      <p className={styles.hint} id={`${id}-hint`}>
        {words.hint}
      </p>
      <label className={styles.label} htmlFor={id}>
        {words.token}
      </label>
      <input
        ref={field}
        className={styles.input}
        id={id}
        type="password"
        autoComplete="current-password"
        autoCapitalize="off"
        spellCheck={false}
        aria-invalid={problem !== null}
        aria-describedby={`${id}-problem ${id}-hint`}
      />
      <p className={styles.problem} id={`${id}-problem`} role="alert">
        {problem}
      </p>
      <Button type="submit" disabled={busy}>
        {words.submit}
      </Button>
      <a className={styles.account} href={signInAddress(`${window.location.pathname}${window.location.search}`)}>
        {words.account}
      </a>
    </form>
  );
}
