'use client';

import { useCallback, useState } from 'react';

import { fetchKeys, makeKey, revokeKey, rotateKey, type KeyInfo, type NewKey } from '@/api/keys';
import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { Copy } from '@/shell/Copy';
import { Card } from '@/shell/fields';
import { Form, Menu, Said, Secret, TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { Badge, Row } from '@/shell/List';
import listStyles from '@/shell/list.module.css';
import { dateTime } from '@/shell/time';
import { useAnswer } from '@/shell/useAnswer';
import { useDeed } from '@/shell/useDeed';
import { WHIP_PATH } from '@/studio/whip';
import { accounts } from '@/strings/accounts';
import { dashboard } from '@/strings/dashboard';

const words = dashboard.keys;
const OVERLAPS = ['0', '3600', '86400', '604800'] as const;

/** The stream keys of a channel: make, which shows it once, rotate, revoke. */
export function KeysPart({ channel }: { readonly channel: string }) {
  const keys = useAnswer(useCallback((signal: AbortSignal) => fetchKeys(channel, signal), [channel]));
  const [made, setMade] = useState<NewKey | null>(null);
  const server = new URL(WHIP_PATH, window.location.href).href;
  const onMade = (key: NewKey): void => {
    setMade(key);
    keys.load();
  };
  return (
    <Card title={words.title} hint={words.hint}>
      <div className={formStyles.field}>
        <span className={formStyles.label}>{words.server}</span>
        <div className={formStyles.values}>
          <code className={formStyles.code}>{server}</code>
          <Copy text={server} what={words.serverCopy} />
        </div>
      </div>
      {made === null ? (
        <Make channel={channel} onMade={onMade} />
      ) : (
        <Secret
          secret={made.secret}
          once={words.once}
          what={words.keyCopy}
          done={words.done}
          show={words.show}
          hide={words.hide}
          onDone={() => { setMade(null); }}
        />
      )}
      <KeyRows channel={channel} keys={keys.value} failed={keys.error !== null} load={keys.load} onMade={onMade} />
    </Card>
  );
}

function Make({ channel, onMade }: { readonly channel: string; readonly onMade: (key: NewKey) => void }) {
  const deed = useDeed();
  const [label, setLabel] = useState<string>(words.firstLabel);
  const [role, setRole] = useState<'primary' | 'backup'>('primary');
  const make = (): void => {
    deed.run(async (signal) => { onMade(await makeKey(channel, label.trim(), signal, role)); });
  };
  return (
    <Form deed={deed} onSubmit={make} submit={words.make} label={words.make}>
      <div className={formStyles.row}>
        <TextField label={words.label} maxLength={100} value={label} onText={setLabel} />
        <Menu label={words.role} value={role} names={words.roleNames} order={['primary', 'backup']} onChoose={setRole} />
      </div>
    </Form>
  );
}

interface RowsProps {
  readonly channel: string;
  readonly keys: readonly KeyInfo[] | null;
  readonly failed: boolean;
  readonly load: () => void;
  readonly onMade: (key: NewKey) => void;
}

function KeyRows({ channel, keys, failed, load, onMade }: RowsProps) {
  const deed = useDeed();
  const [revoking, setRevoking] = useState<KeyInfo | null>(null);
  const [rotating, setRotating] = useState<KeyInfo | null>(null);
  const revoke = (key: KeyInfo): void => {
    setRevoking(null);
    deed.run(async (signal) => {
      await revokeKey(channel, key.id, signal);
      load();
    });
  };
  if (keys === null) {
    return (
      <p className={listStyles.loading} role="status">
        {failed ? dashboard.failed : accounts.loading}
      </p>
    );
  }
  return (
    <>
      {keys.length === 0 && <p className={formStyles.quiet}>{words.none}</p>}
      <ul className={listStyles.rows}>
        {keys.map((key) => (
          <Row key={key.id} name={nameOf(key)} facts={factsOf(key)}>
            {key.isBackup && <Badge state="backup">{words.backup}</Badge>}
            <Button kind="quiet" aria-label={words.rotateOf(nameOf(key))} onClick={() => { setRotating(key); }}>
              {words.rotate}
            </Button>
            <Button kind="quiet" aria-label={words.revokeOf(nameOf(key))} onClick={() => { setRevoking(key); }}>
              {words.revoke}
            </Button>
          </Row>
        ))}
      </ul>
      {rotating !== null && (
        <Rotate
          key={rotating.id}
          channel={channel}
          old={rotating}
          onOver={(made) => {
            setRotating(null);
            if (made !== null) onMade(made);
          }}
        />
      )}
      <Said deed={deed} />
      {revoking !== null && (
        <Confirm
          title={words.revokeTitle(nameOf(revoking))}
          hint={words.revokeHint}
          keep={words.keep}
          confirm={words.revokeNow}
          onKeep={() => { setRevoking(null); }}
          onConfirm={() => { revoke(revoking); }}
        />
      )}
    </>
  );
}

interface RotateProps {
  readonly channel: string;
  readonly old: KeyInfo;
  readonly onOver: (made: NewKey | null) => void;
}

function Rotate({ channel, old, onOver }: RotateProps) {
  const deed = useDeed();
  const [overlap, setOverlap] = useState<(typeof OVERLAPS)[number]>('3600');
  const rotate = (): void => {
    deed.run(async (signal) => { onOver(await rotateKey(channel, old.id, Number(overlap), signal)); });
  };
  const cancel = (
    <Button kind="quiet" onClick={() => { onOver(null); }}>
      {accounts.cancel}
    </Button>
  );
  return (
    <div className={formStyles.secret}>
      <h3>{words.rotateTitle(nameOf(old))}</h3>
      <Form deed={deed} onSubmit={rotate} submit={words.rotateNow} more={cancel} label={words.rotateOf(nameOf(old))}>
        <Menu label={words.overlap} value={overlap} names={words.overlaps} order={OVERLAPS} onChoose={setOverlap} />
      </Form>
    </div>
  );
}

function nameOf({ label }: KeyInfo): string {
  return label === '' ? words.unnamed : label;
}

function factsOf({ createdAt, lastUsedAt, expiresAt }: KeyInfo): string {
  const facts = words.facts(dateTime(createdAt), dateTime(lastUsedAt, accounts.never));
  return expiresAt === null ? facts : `${facts} · ${words.until(dateTime(expiresAt))}`;
}
