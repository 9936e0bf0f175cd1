'use client';

import { useState } from 'react';

import { makeKey, type NewKey } from '@/api/keys';
import { Button } from '@/shell/Button';
import { strings } from '@/strings';

import { WHIP_PATH } from '../whip';
import { Copy } from '@/shell/Copy';
import { Card } from '@/shell/fields';
import { KeyList } from './KeyList';
import styles from './Obs.module.css';
import { useKeyList } from './useKeyList';

const words = strings.studio.obs;
const HIDDEN = '•'.repeat(24);

/** Everything that OBS needs. */
export function ObsPanel({ channel }: { readonly channel: string }) {
  const keys = useKeyList(channel);
  const [made, setMade] = useState<NewKey | null>(null);
  const server = new URL(WHIP_PATH, window.location.href).href;
  return (
    <Card title={words.title} hint={words.hint} className={styles.obs}>
      <div className={styles.columns}>
        <div className={styles.column}>
          <ol className={styles.steps}>
            {words.steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
          <dl className={styles.values}>
            <dt>{words.service}</dt>
            <dd className={styles.value}>{words.whip}</dd>
            <dt>{words.server}</dt>
            <dd className={styles.value}>
              <code className={styles.code} data-obs="server">
                {server}
              </code>
              <Copy text={server} what={words.copyServer} />
            </dd>
            <dt>{words.key}</dt>
            <dd className={styles.value}>
              {made === null ? (
                <MakeKey
                  channel={channel}
                  onMade={(key) => {
                    setMade(key);
                    keys.load();
                  }}
                />
              ) : (
                <Secret made={made} />
              )}
            </dd>
          </dl>
        </div>
        <KeyList keys={keys} onRevoked={(id) => { if (made?.id === id) setMade(null); }} />
      </div>
    </Card>
  );
}

function MakeKey({ channel, onMade }: { readonly channel: string; readonly onMade: (key: NewKey) => void }) {
  const [label, setLabel] = useState<string>(words.firstLabel);
  const [state, setState] = useState<'idle' | 'busy' | 'failed'>('idle');
  const make = (): void => {
    setState('busy');
    makeKey(channel, label.trim(), new AbortController().signal).then(onMade, () => { setState('failed'); });
  };
  return (
    <form
      className={styles.make}
      onSubmit={(event) => {
        event.preventDefault();
        make();
      }}
    >
      <label className={styles.makeLabel}>
        <span className={styles.makeName}>{words.keyLabel}</span>
        <input className={styles.input} type="text" maxLength={100} value={label} onChange={(event) => { setLabel(event.target.value); }} />
      </label>
      <Button type="submit" kind="quiet" disabled={state === 'busy'}>
        {state === 'busy' ? words.making : words.make}
      </Button>
      <p className={styles.problem} role="alert">
        {state === 'failed' ? words.failed : ''}
      </p>
    </form>
  );
}

function Secret({ made }: { readonly made: NewKey }) {
  const [shown, setShown] = useState(false);
  return (
    <div className={styles.secret}>
      <div className={styles.secretRow}>
        <code className={styles.code} data-obs="key">
          {shown ? made.secret : HIDDEN}
        </code>
        <Button kind="quiet" aria-pressed={shown} onClick={() => { setShown(!shown); }}>
          {shown ? words.hide : words.show}
        </Button>
        <Copy text={made.secret} what={words.copyKey} />
      </div>
      <p className={styles.onlyNow} role="status">
        {words.onlyNow}
      </p>
    </div>
  );
}
