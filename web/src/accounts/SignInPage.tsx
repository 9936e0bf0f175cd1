'use client';

import { useEffect, useState } from 'react';

import { signIn } from '@/api/account';
import { fetchWays, providerAddress, signInByPassword, type Ways } from '@/api/auth';
import { HttpError } from '@/api/http';
import { fetchMe } from '@/api/me';
import { Button } from '@/shell/Button';
import { Form, TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { Message } from '@/shell/Message';
import { useAnswer } from '@/shell/useAnswer';
import { useDeed } from '@/shell/useDeed';
import { accounts } from '@/strings/accounts';

import { Links, Narrow, Waiting } from './Narrow';
import styles from './Narrow.module.css';
import { afterSignIn, signInAddress } from './redirect';
import { useParameter } from './useAddress';

const words = accounts.signIn;
const told: Readonly<Record<string, string>> = { suspended: words.suspended, over: words.over, set: words.passwordSet, made: words.made };

/** Goes on to where the signed-in person wanted, or belongs. */
async function goOn(to: string | null, signal: AbortSignal): Promise<void> {
  const me = await fetchMe(signal);
  window.location.replace(afterSignIn(me.role, to));
}

/** Signing in: by e-mail and password, at a provider, or by token. Who is signed in already goes on at once. */
export function SignInPage() {
  const to = useParameter('to');
  const why = useParameter('why');
  const ways = useAnswer(fetchWays);
  const [checked, setChecked] = useState(false);

  useEffect(() => {
    const stop = new AbortController();
    const back = new URLSearchParams(window.location.search).get('to');
    goOn(back, stop.signal).catch(() => {
      if (!stop.signal.aborted) setChecked(true);
    });
    return () => {
      stop.abort();
    };
  }, []);

  if (ways.value === null && ways.error !== null) {
    return (
      <Message heading="h1" title={accounts.gate.unreachable} hint={accounts.gate.unreachableHint}>
        <Button onClick={ways.load}>{accounts.retry}</Button>
      </Message>
    );
  }
  if (!checked || ways.value === null) return <Waiting title={words.title} />;
  const reason = why === null ? undefined : told[why];
  return (
    <Narrow title={words.title}>
      {reason !== undefined && (
        <p className={styles.told} role="status">
          {reason}
        </p>
      )}
      <Way ways={ways.value} to={to} />
      <TokenForm to={to} />
    </Narrow>
  );
}

function Way({ ways, to }: { readonly ways: Ways; readonly to: string | null }) {
  if (ways.mode === 'local') return <PasswordForm to={to} canSignUp={ways.isSignUpOpen} />;
  if (ways.mode === 'clerk') return <p className={styles.hint}>{words.clerkHint}</p>;
  return (
    <>
      <p className={styles.hint}>{words.providerHint}</p>
      <a className={styles.provider} href={providerAddress(signInAddress(to ?? ''))}>
        {words.provider}
      </a>
    </>
  );
}

function PasswordForm({ to, canSignUp }: { readonly to: string | null; readonly canSignUp: boolean }) {
  const deed = useDeed();
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [needsCode, setNeedsCode] = useState(false);

  const send = (code: string | null): void => {
    deed.run(async (signal) => {
      try {
        await signInByPassword({ email: email.trim(), password, code }, signal);
      } catch (error) {
        if (code !== null || !(error instanceof HttpError) || error.code !== 'code_needed') throw error;
        setNeedsCode(true);
        return;
      }
      await goOn(to, signal);
    });
  };
  const submit = (): void => {
    if (email.trim() === '' || password === '') deed.refuse(words.fields);
    else send(null);
  };
  const startOver = (): void => {
    setNeedsCode(false);
    setPassword('');
    deed.clear();
  };
  if (needsCode) return <CodeForm deed={deed} send={send} back={startOver} />;
  const links: [string, string][] = [['/reset', words.forgot]];
  if (canSignUp) links.push(['/sign-up', words.signUp]);
  return (
    <>
      <Form deed={deed} onSubmit={submit} submit={deed.busy ? words.busy : words.submit}>
        <TextField label={words.email} type="email" name="email" autoComplete="username" code value={email} onText={setEmail} />
        <TextField label={words.password} type="password" name="password" autoComplete="current-password" value={password} onText={setPassword} />
      </Form>
      <Links to={links} />
    </>
  );
}

interface CodeProps {
  readonly deed: ReturnType<typeof useDeed>;
  readonly send: (code: string) => void;
  readonly back: () => void;
}

/** The second step: a code of the app, or a recovery code. */
function CodeForm({ deed, send, back }: CodeProps) {
  const [code, setCode] = useState('');
  const [isRecovery, setRecovery] = useState(false);
  const submit = (): void => {
    if (code.trim() === '') deed.refuse(words.codeEmpty);
    else send(code.trim());
  };
  const change = (): void => {
    setRecovery(!isRecovery);
    setCode('');
    deed.clear();
  };
  return (
    <Form
      deed={deed}
      onSubmit={submit}
      submit={deed.busy ? words.busy : words.submit}
      label={words.codeTitle}
      more={
        <>
          <Button kind="quiet" onClick={change}>
            {isRecovery ? words.useCode : words.useRecovery}
          </Button>
          <Button kind="quiet" onClick={back}>
            {words.back}
          </Button>
        </>
      }
    >
      <p className={styles.hint} role="status">
        {isRecovery ? words.recoveryHint : words.codeHint}
      </p>
      <TextField
        key={isRecovery ? 'recovery' : 'code'}
        label={isRecovery ? words.recovery : words.code}
        inputMode={isRecovery ? 'text' : 'numeric'}
        autoComplete={isRecovery ? 'off' : 'one-time-code'}
        // The step before had the focus, and is gone.
        // eslint-disable-next-line jsx-a11y/no-autofocus
        autoFocus
        code
        value={code}
        onText={setCode}
      />
    </Form>
  );
}

/** For who has a token and no account: a new server's administrator. */
function TokenForm({ to }: { readonly to: string | null }) {
  const deed = useDeed();
  const [token, setToken] = useState('');
  const submit = (): void => {
    if (token.trim() === '') {
      deed.refuse(words.tokenEmpty);
      return;
    }
    deed.run(async (signal) => {
      await signIn(token.trim(), signal);
      await goOn(to, signal);
    });
  };
  return (
    <details>
      <summary className={formStyles.summary}>{words.tokenSummary}</summary>
      <div className={formStyles.folded}>
        <p className={styles.hint}>{words.tokenHint}</p>
        <Form deed={deed} onSubmit={submit} submit={words.tokenSubmit} kind="quiet">
          <TextField label={words.token} type="password" autoComplete="off" code value={token} onText={setToken} />
        </Form>
      </div>
    </details>
  );
}
