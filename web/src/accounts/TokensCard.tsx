'use client';

import { useCallback, useState } from 'react';

import type { Me } from '@/api/me';
import { fetchTokens, makeToken, revokeToken, type Token } from '@/api/tokens';
import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { Card } from '@/shell/fields';
import { Form, Menu, Said, Secret, TextField } from '@/shell/form';
import { List, Row } from '@/shell/List';
import { dateTime } from '@/shell/time';
import { useDeed, type Deed } from '@/shell/useDeed';
import { usePages } from '@/shell/usePages';
import { accounts } from '@/strings/accounts';
import { dashboard } from '@/strings/dashboard';

import styles from './Account.module.css';
import { roleWords } from './roles';

const words = accounts.account;
const DAYS = ['30', '90', '365', '0'] as const;

/** One's own API tokens: make one, which is shown once, and end them. */
export function TokensCard({ me }: { readonly me: Me }) {
  const tokens = usePages(useCallback((cursor: string | null, signal: AbortSignal) => fetchTokens('own', cursor, signal), []));
  const [secret, setSecret] = useState<string | null>(null);
  return (
    <Card title={words.tokens} hint={words.tokensHint}>
      {secret === null ? (
        <Make
          me={me}
          onMade={(made) => {
            setSecret(made);
            tokens.reload();
          }}
        />
      ) : (
        <Secret
          secret={secret}
          once={words.tokenOnce}
          what={words.tokenCopy}
          done={words.tokenDone}
          show={dashboard.keys.show}
          hide={dashboard.keys.hide}
          onDone={() => { setSecret(null); }}
        />
      )}
      <TokenList whose="own" tokens={tokens} none={words.tokensNone} facts={factsOf} />
    </Card>
  );
}

/** What is known of a token, in one line. */
export function factsOf(token: Token): string {
  const facts = words.tokenFacts(dateTime(token.createdAt), dateTime(token.lastUsedAt, accounts.never), dateTime(token.expiresAt, accounts.never));
  return `${facts} · ${mayWords(token)}`;
}

function mayWords({ user, role, scopes }: Token): string {
  if (scopes !== null) return words.tokenMay(scopes.join(', '));
  return user === null ? roleWords(role) : words.tokenMayAll;
}

interface ListProps {
  readonly whose: 'own' | 'all';
  readonly tokens: ReturnType<typeof usePages<Token>>;
  readonly none: string;
  readonly facts: (token: Token) => string;
}

/** Tokens that are valid, each with the way to end it. */
export function TokenList({ whose, tokens, none, facts }: ListProps) {
  const deed = useDeed();
  const [asked, setAsked] = useState<Token | null>(null);
  const valid = { ...tokens, items: tokens.items.filter((token) => !token.isRevoked) };
  return (
    <>
      <List pages={valid} none={none} failed={dashboard.failed}>
        {(token) => (
          <Row key={token.id} name={token.name} facts={facts(token)}>
            <Button kind="quiet" aria-label={words.tokenRevokeOf(token.name)} onClick={() => { setAsked(token); }}>
              {words.tokenRevoke}
            </Button>
          </Row>
        )}
      </List>
      <Said deed={deed} />
      {asked !== null && (
        <Confirm
          title={words.tokenConfirm(asked.name)}
          hint={words.tokenConfirmHint}
          keep={words.keep}
          confirm={words.tokenRevoke}
          onKeep={() => { setAsked(null); }}
          onConfirm={() => {
            setAsked(null);
            revoke(deed, whose, asked, tokens.reload);
          }}
        />
      )}
    </>
  );
}

function revoke(deed: Deed, whose: 'own' | 'all', token: Token, reload: () => void): void {
  deed.run(async (signal) => {
    await revokeToken(whose, token.id, signal);
    reload();
  });
}

function Make({ me, onMade }: { readonly me: Me; readonly onMade: (secret: string) => void }) {
  const deed = useDeed();
  const [name, setName] = useState('');
  const [days, setDays] = useState<(typeof DAYS)[number]>('90');
  const [breadth, setBreadth] = useState<'all' | 'some'>('all');
  const [scopes, setScopes] = useState<readonly string[]>([]);
  const make = (): void => {
    const wish = { name: name.trim(), scopes: breadth === 'all' ? null : scopes, days: Number(days) };
    deed.run(async (signal) => { onMade(await makeToken(wish, signal)); });
  };
  const toggle = (scope: string): void => {
    setScopes(scopes.includes(scope) ? scopes.filter((one) => one !== scope) : [...scopes, scope]);
  };
  return (
    <Form deed={deed} onSubmit={make} submit={words.tokenMake} kind="quiet" label={words.tokens}>
      <div className={styles.columns}>
        <TextField label={words.tokenName} maxLength={100} value={name} onText={setName} />
        <Menu label={words.tokenEnd} value={days} names={words.tokenEnds} order={DAYS} onChoose={setDays} />
        <Menu label={words.tokenScopes} value={breadth} names={{ all: words.tokenAll, some: words.tokenSome }} order={['all', 'some']} onChoose={setBreadth} />
      </div>
      {breadth === 'some' && (
        <fieldset className={styles.scopes} aria-label={words.tokenScopes}>
          {scopesFor(me).map((scope) => (
            <label className={styles.scope} key={scope}>
              <input type="checkbox" checked={scopes.includes(scope)} onChange={() => { toggle(scope); }} />
              {scope}
            </label>
          ))}
        </fieldset>
      )}
    </Form>
  );
}

/** What a member may on their channels is no permission everywhere, and may be a scope all the same. */
const OF_CHANNELS = ['broadcast.end', 'channel.inspect', 'channel.publish', 'channel.update', 'key.read', 'key.write', 'member.read', 'member.write'];

function scopesFor(me: Me): readonly string[] {
  const all = me.channels.length === 0 ? me.permissions : [...me.permissions, ...OF_CHANNELS];
  return [...new Set(all)].sort();
}
