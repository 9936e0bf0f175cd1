'use client';

import { useCallback, useState } from 'react';

import { fetchMembers, MEMBER_ROLES, removeMember, setMember, type Member } from '@/api/members';
import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { Card } from '@/shell/fields';
import { Form, Menu, Said, TextField } from '@/shell/form';
import formStyles from '@/shell/form.module.css';
import { Row } from '@/shell/List';
import listStyles from '@/shell/list.module.css';
import { useAnswer } from '@/shell/useAnswer';
import { useDeed, type Deed } from '@/shell/useDeed';
import { accounts } from '@/strings/accounts';
import { dashboard } from '@/strings/dashboard';

import { memberRoleWords } from './DashboardPage';

const words = dashboard.members;
type Role = (typeof MEMBER_ROLES)[number];

interface Props {
  readonly channel: string;
  readonly canChange: boolean;
}

/** Who works on the channel. */
export function MembersPart({ channel, canChange }: Props) {
  const members = useAnswer(useCallback((signal: AbortSignal) => fetchMembers(channel, signal), [channel]));
  const deed = useDeed();
  const set = (user: string, role: string): void => {
    deed.run(async (signal) => {
      await setMember(channel, user, role, signal).finally(members.load);
    }, accounts.saved);
  };
  return (
    <Card title={words.title} hint={words.hint}>
      {members.value === null ? (
        <p className={listStyles.loading} role="status">
          {members.error === null ? accounts.loading : dashboard.failed}
        </p>
      ) : (
        <Rows channel={channel} members={members.value} canChange={canChange} deed={deed} set={set} load={members.load} />
      )}
      {canChange && <Add deed={deed} set={set} />}
      {!canChange && <Said deed={deed} />}
    </Card>
  );
}

interface RowsProps extends Props {
  readonly members: readonly Member[];
  readonly deed: Deed;
  readonly set: (user: string, role: string) => void;
  readonly load: () => void;
}

function Rows({ channel, members, canChange, deed, set, load }: RowsProps) {
  const [removing, setRemoving] = useState<Member | null>(null);
  const remove = ({ user }: Member): void => {
    setRemoving(null);
    deed.run(async (signal) => {
      await removeMember(channel, user, signal).finally(load);
    });
  };
  return (
    <>
      {members.length === 0 && <p className={formStyles.quiet}>{words.none}</p>}
      <ul className={listStyles.rows}>
        {members.map((member) => (
          <Row key={member.user} name={member.displayName} facts={canChange ? member.user : `${member.user} · ${memberRoleWords(member.role)}`}>
            {canChange && (
              <>
                <Menu
                  label={words.roleOf(member.displayName)}
                  value={roleOf(member.role)}
                  names={dashboard.roles}
                  order={MEMBER_ROLES}
                  disabled={deed.busy}
                  onChoose={(role) => { set(member.user, role); }}
                  bare
                />
                <Button kind="quiet" aria-label={words.removeOf(member.displayName)} onClick={() => { setRemoving(member); }}>
                  {words.remove}
                </Button>
              </>
            )}
          </Row>
        ))}
      </ul>
      {removing !== null && (
        <Confirm
          title={words.removeTitle(removing.displayName)}
          hint={words.removeHint}
          keep={words.keep}
          confirm={words.removeNow}
          onKeep={() => { setRemoving(null); }}
          onConfirm={() => { remove(removing); }}
        />
      )}
    </>
  );
}

function roleOf(word: string): Role {
  return MEMBER_ROLES.find((role) => role === word) ?? 'moderator';
}

function Add({ deed, set }: { readonly deed: Deed; readonly set: (user: string, role: string) => void }) {
  const [user, setUser] = useState('');
  const [role, setRole] = useState<Role>('editor');
  const add = (): void => {
    if (user.trim() === '') {
      deed.refuse(words.userEmpty);
      return;
    }
    set(user.trim(), role);
  };
  return (
    <Form deed={deed} onSubmit={add} submit={words.add} kind="quiet" label={words.title}>
      <div className={formStyles.row}>
        <TextField label={words.user} code maxLength={64} value={user} onText={setUser} />
        <Menu label={words.role} value={role} names={dashboard.roles} order={MEMBER_ROLES} onChoose={setRole} />
      </div>
    </Form>
  );
}
