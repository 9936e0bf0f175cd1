'use client';

import { useState } from 'react';

import { changePassword, fetchWays } from '@/api/auth';
import { rename, type Me } from '@/api/me';
import { Card } from '@/shell/fields';
import { Form, TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { Message } from '@/shell/Message';
import { dateTime } from '@/shell/time';
import { useAnswer } from '@/shell/useAnswer';
import { useDeed } from '@/shell/useDeed';
import { accounts } from '@/strings/accounts';

import styles from './Account.module.css';
import { FactorCard } from './FactorCard';
import { Gate } from './Gate';
import gateStyles from './Gate.module.css';
import { roleWords } from './roles';
import { TokensCard } from './TokensCard';

const words = accounts.account;

/** One's own account: profile, password, second factor, tokens. */
export function AccountPage() {
  return (
    <Gate title={words.title} place="account">
      {(me, reload) => <Account me={me} reload={reload} />}
    </Gate>
  );
}

function Account({ me, reload }: { readonly me: Me; readonly reload: () => void }) {
  const ways = useAnswer(fetchWays);
  if (me.kind === 'token') return <Message heading="h1" title={words.byToken} hint={words.byTokenHint} />;
  const isLocal = ways.value?.mode === 'local';
  return (
    <>
      <h1 className={gateStyles.title}>{words.title}</h1>
      <div className={styles.columns}>
        <ProfileCard me={me} reload={reload} />
        <SessionCard me={me} />
        {ways.value !== null && !isLocal && <Card title={words.password} hint={words.elsewhere}>{null}</Card>}
        {isLocal && <PasswordCard email={me.email} />}
        {isLocal && <FactorCard />}
      </div>
      <TokensCard me={me} />
    </>
  );
}

function ProfileCard({ me, reload }: { readonly me: Me; readonly reload: () => void }) {
  const deed = useDeed();
  const [name, setName] = useState(me.displayName);
  const save = (): void => {
    deed.run(async (signal) => {
      await rename(name.trim(), signal);
      reload();
    }, accounts.saved);
  };
  return (
    <Card title={words.profile}>
      <dl className={styles.facts}>
        <dt>{words.handle}</dt>
        <dd>{me.name}</dd>
        <dt>{words.email}</dt>
        <dd>
          {me.email ?? words.emailNone} <span className={formStyles.hint}>{words.emailHint}</span>
        </dd>
        <dt>{words.role}</dt>
        <dd>{roleWords(me.role)}</dd>
      </dl>
      <Form deed={deed} onSubmit={save} submit={accounts.save} kind="quiet" label={words.profile}>
        <TextField label={words.name} autoComplete="name" maxLength={100} value={name} onText={setName} />
      </Form>
    </Card>
  );
}

function SessionCard({ me }: { readonly me: Me }) {
  return (
    <Card title={words.session} hint={words.sessionHint}>
      <p>{me.signedInAt === null ? accounts.signedInAs(me.name) : words.since(dateTime(me.signedInAt))}</p>
    </Card>
  );
}

function PasswordCard({ email }: { readonly email: string | null }) {
  const deed = useDeed();
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const change = (): void => {
    if (Array.from(next).length < 10) {
      deed.refuse(accounts.verify.short);
      return;
    }
    deed.run(async (signal) => {
      await changePassword(current, next, signal);
      setCurrent('');
      setNext('');
    }, words.changed);
  };
  return (
    <Card title={words.password} hint={words.passwordHint}>
      <Form deed={deed} onSubmit={change} submit={words.change} kind="quiet" label={words.password}>
        {/* Tells a password keeper whose password it is. */}
        <input type="hidden" name="username" autoComplete="username" value={email ?? ''} readOnly />
        <TextField label={words.current} type="password" autoComplete="current-password" value={current} onText={setCurrent} />
        <TextField label={words.next} hint={accounts.verify.passwordHint} type="password" autoComplete="new-password" value={next} onText={setNext} />
      </Form>
    </Card>
  );
}
