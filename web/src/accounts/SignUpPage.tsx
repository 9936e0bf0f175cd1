'use client';

import { useState } from 'react';

import { askSignUp, fetchWays } from '@/api/auth';
import { Form, TextField } from '@/shell/form';
import { Message } from '@/shell/Message';
import { Button } from '@/shell/Button';
import { useAnswer } from '@/shell/useAnswer';
import { useDeed } from '@/shell/useDeed';
import { accounts } from '@/strings/accounts';

import { Links, Narrow, Waiting } from './Narrow';

const words = accounts.signUp;

/** Asks for the link that makes an account, where everybody may make one. */
export function SignUpPage() {
  const ways = useAnswer(fetchWays);
  if (ways.value === null) {
    return ways.error === null ? (
      <Waiting title={words.title} />
    ) : (
      <Message heading="h1" title={accounts.gate.unreachable} hint={accounts.gate.unreachableHint}>
        <Button onClick={ways.load}>{accounts.retry}</Button>
      </Message>
    );
  }
  if (!ways.value.isSignUpOpen) {
    return (
      <Narrow title={words.closed} hint={words.closedHint}>
        <Links to={[['/sign-in', words.haveOne]]} />
      </Narrow>
    );
  }
  return (
    <AskByMail title={words.title} hint={words.hint} submit={words.submit} sentTitle={words.sentTitle} sentHint={words.sentHint} ask={askSignUp} />
  );
}

interface AskProps {
  readonly title: string;
  readonly hint: string;
  readonly submit: string;
  readonly sentTitle: string;
  readonly sentHint: (email: string) => string;
  readonly ask: (email: string, signal: AbortSignal) => Promise<void>;
}

/** Asks for a mail with a link. The answer is the same whether or not the address is known. */
export function AskByMail({ title, hint, submit, sentTitle, sentHint, ask }: AskProps) {
  const deed = useDeed();
  const [email, setEmail] = useState('');
  const [sentTo, setSentTo] = useState<string | null>(null);
  const send = (): void => {
    const address = email.trim();
    if (address === '') {
      deed.refuse(words.empty);
      return;
    }
    deed.run(async (signal) => {
      await ask(address, signal);
      setSentTo(address);
    });
  };
  const signIn = <Links to={[['/sign-in', words.haveOne]]} />;
  if (sentTo !== null) {
    return (
      <Narrow title={sentTitle}>
        <p role="status">{sentHint(sentTo)}</p>
        {signIn}
      </Narrow>
    );
  }
  return (
    <Narrow title={title} hint={hint}>
      <Form deed={deed} onSubmit={send} submit={submit}>
        <TextField label={accounts.signIn.email} type="email" name="email" autoComplete="email" code value={email} onText={setEmail} />
      </Form>
      {signIn}
    </Narrow>
  );
}
