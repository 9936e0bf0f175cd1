'use client';

import { Gate } from '@/accounts/Gate';
import gateStyles from '@/accounts/Gate.module.css';
import { isOfAdmin } from '@/accounts/places';
import { may, type Me } from '@/api/me';
import { Parts } from '@/shell/Parts';
import { usePart } from '@/shell/useHash';
import { admin } from '@/strings/admin';

import { AuditPart } from './AuditPart';
import { BroadcastsPart, ChannelsPart, TokensPart } from './ListParts';
import { UsersPart } from './UsersPart';

const words = admin;
const PARTS = ['users', 'channels', 'broadcasts', 'tokens', 'audit'] as const;
type Part = (typeof PARTS)[number];

/** What each part needs to make sense; the API decides. */
const NEEDS: Readonly<Record<Part, string | null>> = { users: 'user.read', channels: null, broadcasts: null, tokens: 'token.all', audit: 'audit.read' };

/** The administration. */
export function AdminPage() {
  return (
    <Gate title={words.title} place="admin" isFor={isOfAdmin}>
      {(me) => <Admin me={me} />}
    </Gate>
  );
}

function Admin({ me }: { readonly me: Me }) {
  const shown = PARTS.filter((part) => NEEDS[part] === null || may(me, NEEDS[part]));
  const [first = 'channels', ...rest] = shown;
  const part = usePart([first, ...rest]);
  return (
    <>
      <h1 className={gateStyles.title}>{words.title}</h1>
      <Parts label={words.parts} parts={shown} names={words.partNames} current={part} />
      {part === 'users' && <UsersPart me={me} />}
      {part === 'channels' && <ChannelsPart />}
      {part === 'broadcasts' && <BroadcastsPart me={me} />}
      {part === 'tokens' && <TokensPart />}
      {part === 'audit' && <AuditPart />}
    </>
  );
}
