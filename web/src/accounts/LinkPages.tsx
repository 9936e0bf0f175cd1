'use client';

import { useState } from 'react';

import { askReset, confirmReset, confirmSignUp } from '@/api/auth';
import { HttpError } from '@/api/http';
import { Form, TextField } from '@/shell/form';
import { useDeed } from '@/shell/useDeed';
import { accounts } from '@/strings/accounts';

import { Links, Narrow, Waiting } from './Narrow';
import { tokenOfHash } from './redirect';
import { AskByMail } from './SignUpPage';
import { useInBrowser } from './useAddress';

/** The shortest password that the server takes, in characters. */
const PASSWORD_SHORTEST = 10;
const { verify, reset, link } = accounts;

/** The link of a sign-up mail: name and password, then the account is made. */
export function VerifyPage() {
  const inBrowser = useInBrowser();
  if (!inBrowser) return <Waiting title={verify.title} />;
  const token = tokenOfHash(window.location.hash);
  if (token === null) {
    return (
      <Narrow title={link.missing} hint={link.missingHint}>
        <Links to={[['/sign-up', accounts.signIn.signUp]]} />
      </Narrow>
    );
  }
  return (
    <Narrow title={verify.title} hint={verify.hint}>
      <ByLink
        submit={verify.submit}
        label={verify.password}
        withName
        again={['/sign-up', reset.again]}
        then="made"
        act={(password, name, signal) => confirmSignUp(token, password, name, signal)}
      />
    </Narrow>
  );
}

/** Asks for the link that sets a new password; with the link, sets it. */
export function ResetPage() {
  const inBrowser = useInBrowser();
  const [isAsking, setAsking] = useState(false);
  if (!inBrowser) return <Waiting title={reset.title} />;
  const token = tokenOfHash(window.location.hash);
  if (token === null || isAsking) {
    return <AskByMail title={reset.title} hint={reset.askHint} submit={reset.submit} sentTitle={reset.sentTitle} sentHint={reset.sentHint} ask={askReset} />;
  }
  return (
    <Narrow title={reset.title} hint={reset.setHint}>
      <ByLink
        submit={reset.set}
        label={reset.password}
        again={['#', reset.again]}
        onAgain={() => { setAsking(true); }}
        then="set"
        act={(password, _name, signal) => confirmReset(token, password, signal)}
      />
    </Narrow>
  );
}

interface ByLinkProps {
  readonly submit: string;
  readonly label: string;
  readonly withName?: boolean;
  /** Where a link that is over is asked for anew. */
  readonly again: readonly [href: string, words: string];
  readonly onAgain?: () => void;
  /** What the sign-in page is told afterwards. */
  readonly then: string;
  readonly act: (password: string, name: string, signal: AbortSignal) => Promise<void>;
}

function ByLink({ submit, label, withName = false, again, onAgain, then, act }: ByLinkProps) {
  const deed = useDeed();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [isOver, setOver] = useState(false);
  const send = (): void => {
    if (Array.from(password).length < PASSWORD_SHORTEST) {
      deed.refuse(verify.short);
      return;
    }
    deed.run(async (signal) => {
      try {
        await act(password, name.trim(), signal);
      } catch (error) {
        setOver(error instanceof HttpError && error.code === 'link_over');
        throw error;
      }
      window.location.replace(`/sign-in?why=${then}`);
    });
  };
  const againLink = (
    <p>
      <a href={again[0]} onClick={onAgain}>
        {again[1]}
      </a>
    </p>
  );
  return (
    <Form deed={deed} onSubmit={send} submit={submit} more={isOver && againLink}>
      {withName && <TextField label={verify.name} hint={verify.nameHint} autoComplete="name" maxLength={100} value={name} onText={setName} />}
      <TextField label={label} hint={verify.passwordHint} type="password" autoComplete="new-password" value={password} onText={setPassword} />
    </Form>
  );
}
