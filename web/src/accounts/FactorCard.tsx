'use client';

import { useState } from 'react';

import { beginFactor, confirmFactor, removeFactor, type FactorSecret } from '@/api/auth';
import { Button } from '@/shell/Button';
import { Copy } from '@/shell/Copy';
import { Card } from '@/shell/fields';
import { Form, TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { useDeed } from '@/shell/useDeed';
import { accounts } from '@/strings/accounts';

import styles from './Account.module.css';
import { Qr } from './Qr';

const words = accounts.account;

/** Setting the second factor up, and taking it away. Secret and recovery codes live in this page only while they are shown. */
export function FactorCard() {
  const [begun, setBegun] = useState<FactorSecret | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  if (codes !== null) {
    return (
      <Card title={words.recoveryTitle} hint={words.recoveryHint}>
        <ul className={styles.codes} data-recovery="codes">
          {codes.map((code) => (
            <li key={code}>{code}</li>
          ))}
        </ul>
        <div className={formStyles.row}>
          <Copy text={codes.join('\n')} what={words.recoveryCopy} />
          <Button kind="quiet" onClick={() => { setCodes(null); }}>
            {words.recoveryDone}
          </Button>
        </div>
      </Card>
    );
  }
  return (
    <Card title={words.factor} hint={words.factorHint}>
      {begun === null ? (
        <Begin onBegun={setBegun} />
      ) : (
        <ConfirmCode
          begun={begun}
          onOver={(recovery) => {
            setBegun(null);
            setCodes(recovery);
          }}
        />
      )}
      {begun === null && <Remove />}
    </Card>
  );
}

function Begin({ onBegun }: { readonly onBegun: (begun: FactorSecret) => void }) {
  const deed = useDeed();
  const [password, setPassword] = useState('');
  const begin = (): void => {
    deed.run(async (signal) => { onBegun(await beginFactor(password, signal)); });
  };
  return (
    <Form deed={deed} onSubmit={begin} submit={words.factorBegin} kind="quiet" label={words.factor}>
      <TextField label={words.factorPassword} type="password" autoComplete="current-password" value={password} onText={setPassword} />
    </Form>
  );
}

function ConfirmCode({ begun, onOver }: { readonly begun: FactorSecret; readonly onOver: (codes: readonly string[] | null) => void }) {
  const deed = useDeed();
  const [code, setCode] = useState('');
  const confirm = (): void => {
    deed.run(async (signal) => { onOver(await confirmFactor(code.trim(), signal)); });
  };
  const cancel = (
    <Button kind="quiet" onClick={() => { onOver(null); }}>
      {accounts.cancel}
    </Button>
  );
  return (
    <Form deed={deed} onSubmit={confirm} submit={words.factorConfirm} more={cancel} label={words.factor}>
      <p role="status">{words.factorScan}</p>
      <Qr text={begun.uri} label={words.factorPicture} />
      <dl className={styles.facts}>
        <dt>{words.factorKey}</dt>
        <dd>
          <code data-factor="secret">{begun.secret}</code>
        </dd>
        <dt>{words.factorAddress}</dt>
        <dd>
          <code>{begun.uri}</code>
        </dd>
      </dl>
      <TextField label={words.factorCode} inputMode="numeric" autoComplete="one-time-code" code value={code} onText={setCode} />
    </Form>
  );
}

/** The API does not tell whether there is one, so the way to remove it is always there. */
function Remove() {
  const deed = useDeed();
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const remove = (): void => {
    deed.run(async (signal) => {
      await removeFactor(password, code.trim(), signal);
      setPassword('');
      setCode('');
    }, words.factorOff);
  };
  return (
    <details>
      <summary className={formStyles.summary}>{words.factorRemoveSummary}</summary>
      <div className={formStyles.folded}>
        <Form deed={deed} onSubmit={remove} submit={words.factorRemove} kind="danger" label={words.factorRemoveSummary}>
          <TextField label={words.factorPassword} type="password" autoComplete="current-password" value={password} onText={setPassword} />
          <TextField label={words.factorCode} autoComplete="one-time-code" code value={code} onText={setCode} />
        </Form>
      </div>
    </details>
  );
}
