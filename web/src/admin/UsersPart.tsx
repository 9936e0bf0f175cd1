'use client';

import { useCallback, useState } from 'react';

import { roleWords } from '@/accounts/roles';
import { isChannelName } from '@/api/channels';
import { may, type Me } from '@/api/me';
import { changeUser, deleteUser, fetchUsers, makeUser, ROLES, type User, type UserFilter } from '@/api/users';
import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { Card } from '@/shell/fields';
import { Form, Menu, Said, TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { Badge, List, Row } from '@/shell/List';
import { dateTime } from '@/shell/time';
import { useDeed, type Deed } from '@/shell/useDeed';
import { usePages } from '@/shell/usePages';
import { accounts } from '@/strings/accounts';
import { admin } from '@/strings/admin';

const words = admin.users;
const ROLE_NAMES = accounts.account.roles;
const ANY_ROLES = { '': admin.any, ...ROLE_NAMES } as const;
const ANY_STATES = { '': admin.any, ...words.states } as const;
type Role = (typeof ROLES)[number];

/** Users: find, give a role, suspend, delete, make. */
export function UsersPart({ me }: { readonly me: Me }) {
  const [filter, setFilter] = useState<UserFilter>({ name: '', role: '', state: '' });
  const users = usePages(useCallback((cursor: string | null, signal: AbortSignal) => fetchUsers(filter, cursor, signal), [filter]));
  const deed = useDeed();
  const canChange = may(me, 'user.write');
  return (
    <>
      <Card title={words.title}>
        <Filter filter={filter} setFilter={setFilter} />
        <List pages={users} none={admin.noneFound} failed={admin.failed}>
          {(user) => (
            <UserRow key={user.name} user={user} canChange={canChange && !(me.kind === 'user' && me.name === user.name)} isMe={me.name === user.name} deed={deed} reload={users.reload} />
          )}
        </List>
        <Said deed={deed} />
      </Card>
      {canChange && <Make reload={users.reload} />}
    </>
  );
}

interface FilterProps {
  readonly filter: UserFilter;
  readonly setFilter: (filter: UserFilter) => void;
}

function Filter({ filter, setFilter }: FilterProps) {
  const [name, setName] = useState('');
  const [isBad, setBad] = useState(false);
  // The API takes whole handles as beginnings: a hyphen at the end waits for what follows.
  const find = (text: string): void => {
    setName(text);
    const begins = text.trim().toLowerCase().replace(/-+$/, '');
    const isGood = begins === '' || isChannelName(begins);
    setBad(!isGood);
    if (isGood && begins !== filter.name) setFilter({ ...filter, name: begins });
  };
  return (
    <div className={formStyles.row} role="search">
      <TextField label={words.find} code value={name} aria-invalid={isBad} {...(isBad ? { hint: words.badName } : {})} onText={find} />
      <Menu
        label={words.role}
        value={ROLES.find((role) => role === filter.role) ?? ''}
        names={ANY_ROLES}
        order={['', ...ROLES]}
        onChoose={(role) => { setFilter({ ...filter, role }); }}
      />
      <Menu
        label={words.state}
        value={filter.state === 'active' || filter.state === 'suspended' ? filter.state : ''}
        names={ANY_STATES}
        order={['', 'active', 'suspended']}
        onChoose={(state) => { setFilter({ ...filter, state }); }}
      />
    </div>
  );
}

interface RowProps {
  readonly user: User;
  readonly canChange: boolean;
  readonly isMe: boolean;
  readonly deed: Deed;
  readonly reload: () => void;
}

function UserRow({ user, canChange, isMe, deed, reload }: RowProps) {
  const [asked, setAsked] = useState<'suspend' | 'remove' | null>(null);
  const { name } = user;
  const act = (what: (signal: AbortSignal) => Promise<void>): void => {
    setAsked(null);
    deed.run(async (signal) => { await what(signal).finally(reload); }, accounts.saved);
  };
  return (
    <Row name={user.displayName === name ? name : `${user.displayName} (${name})`} facts={factsOf(user, isMe, canChange)}>
      {user.isSuspended && <Badge state="suspended">{words.states.suspended}</Badge>}
      {canChange && (
        <>
          <Menu
            label={words.roleOf(name)}
            value={ROLES.find((role) => role === user.role) ?? 'viewer'}
            names={ROLE_NAMES}
            order={ROLES}
            disabled={deed.busy}
            bare
            onChoose={(role) => { act((signal) => changeUser(name, { role }, signal)); }}
          />
          {user.isSuspended ? (
            <Button kind="quiet" aria-label={words.restoreOf(name)} onClick={() => { act((signal) => changeUser(name, { state: 'active' }, signal)); }}>
              {words.restore}
            </Button>
          ) : (
            <Button kind="quiet" aria-label={words.suspendOf(name)} onClick={() => { setAsked('suspend'); }}>
              {words.suspend}
            </Button>
          )}
          <Button kind="danger" aria-label={words.removeOf(name)} onClick={() => { setAsked('remove'); }}>
            {words.remove}
          </Button>
        </>
      )}
      {asked === 'suspend' && (
        <Confirm
          title={words.suspendTitle(name)}
          hint={words.suspendHint}
          keep={words.keep}
          confirm={words.suspend}
          onKeep={() => { setAsked(null); }}
          onConfirm={() => { act((signal) => changeUser(name, { state: 'suspended' }, signal)); }}
        />
      )}
      {asked === 'remove' && (
        <Confirm
          title={words.removeTitle(name)}
          hint={words.removeHint}
          keep={words.keep}
          confirm={words.remove}
          onKeep={() => { setAsked(null); }}
          onConfirm={() => { act((signal) => deleteUser(name, signal)); }}
        />
      )}
    </Row>
  );
}

function factsOf(user: User, isMe: boolean, canChange: boolean): string {
  const facts = [user.email, canChange ? null : roleWords(user.role), words.seen(dateTime(user.lastSeenAt, accounts.never)), isMe ? words.you : null];
  return facts.filter((fact) => fact !== null).join(' · ');
}

function Make({ reload }: { readonly reload: () => void }) {
  const deed = useDeed();
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('creator');
  const make = (): void => {
    if (name.trim() === '') {
      deed.refuse(words.nameEmpty);
      return;
    }
    deed.run(async (signal) => {
      await makeUser(name.trim(), email.trim(), role, signal);
      setName('');
      setEmail('');
      reload();
    }, accounts.saved);
  };
  return (
    <Card title={words.make} hint={words.makeHint}>
      <Form deed={deed} onSubmit={make} submit={words.submit} kind="quiet" label={words.make}>
        <div className={formStyles.row}>
          <TextField label={words.name} code maxLength={64} autoComplete="off" value={name} onText={setName} />
          <TextField label={words.email} type="email" code autoComplete="off" value={email} onText={setEmail} />
          <Menu label={words.role} value={role} names={ROLE_NAMES} order={ROLES} onChoose={setRole} />
        </div>
      </Form>
    </Card>
  );
}
