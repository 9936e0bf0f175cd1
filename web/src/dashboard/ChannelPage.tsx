'use client';

import { useSyncExternalStore } from 'react';

import { Gate } from '@/accounts/Gate';
import { isOfAdmin } from '@/accounts/places';
import { channelOfPath } from '@/api/channels';
import { rightsOn, type Me } from '@/api/me';
import { Icon } from '@/shell/icons';
import { Message } from '@/shell/Message';
import { Parts } from '@/shell/Parts';
import { usePart } from '@/shell/useHash';
import { strings } from '@/strings';
import { dashboard } from '@/strings/dashboard';

import styles from './Channel.module.css';
import { ControlRoom } from './ControlRoom';
import { KeysPart } from './KeysPart';
import { MembersPart } from './MembersPart';
import { SettingsPart } from './SettingsPart';

const words = dashboard.channel;
const subscribe = () => () => undefined;
const PARTS = ['live', 'keys', 'settings', 'members'] as const;

/** The control room of the channel in the URL, and what belongs to it. Its HTML is the same for all channels. */
export function ChannelPage() {
  const path = useSyncExternalStore(subscribe, () => window.location.pathname, () => null);
  const channel = path === null ? null : channelOfPath(path, 'dashboard');
  if (path !== null && channel === null) {
    return (
      <Message heading="h1" title={words.badName} hint={words.badNameHint}>
        <a href="/dashboard">{words.back}</a>
      </Message>
    );
  }
  return (
    <Gate title={channel ?? words.title} place="dashboard" isFor={(me) => isOfAdmin(me) || me.channels.some((one) => one.channel === channel)}>
      {(me) => (channel === null ? null : <Channel me={me} channel={channel} />)}
    </Gate>
  );
}

function Channel({ me, channel }: { readonly me: Me; readonly channel: string }) {
  const rights = rightsOn(me, channel);
  const shown = PARTS.filter((part) => part === 'live' || (part === 'members' ? rights.keepsOrder : rights.isCrew));
  const part = usePart(['live', ...shown]);
  return (
    <>
      <header className={styles.head}>
        <h1 className={styles.title}>{channel}</h1>
        <p className={styles.links}>
          {rights.isCrew && <a href={`/studio?channel=${channel}`}>{words.studio}</a>}
          <a href={`/watch/${channel}`} target="_blank" rel="noopener">
            {words.watch}
            <Icon name="out" />
            <span className="visuallyHidden">({strings.studio.channel.watchOpens})</span>
          </a>
        </p>
      </header>
      <Parts label={words.parts} parts={shown} names={words.partNames} current={part} />
      {part === 'live' && <ControlRoom channel={channel} canEnd={rights.keepsOrder} />}
      {part === 'keys' && <KeysPart channel={channel} />}
      {part === 'settings' && <SettingsPart channel={channel} canDelete={rights.isOwner} />}
      {part === 'members' && <MembersPart channel={channel} canChange={rights.isOwner} />}
    </>
  );
}
