'use client';

import { useEffect, type ReactNode } from 'react';

import type { Account } from '@/api/account';
import type { Channels } from '@/channels/useChannels';
import { Button } from '@/shell/Button';
import { Message } from '@/shell/Message';
import { strings } from '@/strings';

import { isOn } from '../publish';
import { pageRefusal } from '../refusal';
import { Blocked } from './Blocked';
import { Select } from '@/shell/fields';
import { HealthPanel } from './HealthPanel';
import { Icon } from '@/shell/icons';
import { LiveBar } from './LiveBar';
import { ObsPanel } from './ObsPanel';
import { PicturePanel } from './PicturePanel';
import { QualityPanel } from './QualityPanel';
import { SoundPanel } from './SoundPanel';
import { Stage } from './Stage';
import styles from './Studio.module.css';
import { takeAsked, useChosen, useOwnChannels } from './useAllChannels';
import { useStudio } from './useStudio';

const words = strings.studio;

interface Props {
  readonly account: Account;
  readonly signOut: () => void;
}

/** What somebody sees who signed in. */
export function Workspace(props: Props) {
  const refusal = pageRefusal(window.isSecureContext, canCapture());
  return refusal === null ? <Live {...props} /> : <WithoutDevices {...props} insecure={refusal === 'insecure'} />;
}

/** Types promise these everywhere; older browsers and pages without HTTPS lack them. */
function canCapture(): boolean {
  return 'mediaDevices' in navigator && 'RTCPeerConnection' in window && 'AudioContext' in window;
}

function Live({ account, signOut }: Props) {
  const [studio, view] = useStudio();
  const channels = useOwnChannels(account);
  const on = isOn(view.publish);
  const chosen = channels.items.find(({ name }) => name === view.channel);
  const first = channels.items[0];

  useEffect(() => {
    const isSettled = channels.status === 'ready' && !channels.hasMore;
    if (studio === null || !isSettled || on) return;
    const asked = takeAsked();
    const isThere = channels.items.some(({ name }) => name === asked);
    if (asked !== null && isThere) studio.chooseChannel(asked);
    else if (chosen === undefined && first !== undefined) studio.chooseChannel(first.name);
  }, [studio, on, chosen, first, channels.status, channels.hasMore, channels.items]);

  if (isEmpty(channels)) return <NoChannel />;
  const channel = view.channel;
  return (
    <div className={styles.studio} data-state={view.publish.phase}>
      <TopBar account={account} signOut={signOut} busy={on}>
        <ChannelMenu channels={channels} channel={channel} disabled={on} choose={(name) => studio?.chooseChannel(name)} />
      </TopBar>
      {studio !== null && (
        <div className={styles.columns}>
          <div className={styles.main}>
            <Stage studio={studio} view={view} />
            <LiveBar studio={studio} view={view} />
            <HealthPanel view={view} />
          </div>
          <div className={styles.side}>
            <PicturePanel studio={studio} view={view} />
            <SoundPanel studio={studio} view={view} />
          </div>
          <QualityPanel studio={studio} view={view} />
        </div>
      )}
      {channel !== null && <ObsPanel key={channel} channel={channel} />}
    </div>
  );
}

/** Devices are refused to the whole page: that, and what works all the same. */
function WithoutDevices({ account, signOut, insecure }: Props & { readonly insecure: boolean }) {
  const channels = useOwnChannels(account);
  const [chosen, choose] = useChosen(channels);
  if (isEmpty(channels)) return <NoChannel />;
  return (
    <div className={styles.studio} data-state="blocked">
      <TopBar account={account} signOut={signOut} busy={false}>
        <ChannelMenu channels={channels} channel={chosen} disabled={false} choose={choose} />
      </TopBar>
      <Blocked insecure={insecure} />
      {chosen !== null && <ObsPanel key={chosen} channel={chosen} />}
    </div>
  );
}

function NoChannel() {
  return (
    <Message heading="h1" title={words.channel.none} hint={words.channel.noneHint}>
      <a href="/dashboard">{words.channel.toDashboard}</a>
    </Message>
  );
}

interface TopBarProps {
  readonly account: Account;
  readonly signOut: () => void;
  /** A broadcast runs: signing out would end it. */
  readonly busy: boolean;
  readonly children: ReactNode;
}

function TopBar({ account, signOut, busy, children }: TopBarProps) {
  return (
    <header className={styles.top}>
      <h1 className={styles.title}>{words.title}</h1>
      {children}
      <p className={styles.account}>
        <span className={styles.accountName}>{words.signIn.as(account.name)}</span>
        <Button kind="quiet" onClick={signOut} disabled={busy}>
          {words.signIn.out}
        </Button>
      </p>
    </header>
  );
}

interface MenuProps {
  readonly channels: Channels;
  readonly channel: string | null;
  readonly disabled: boolean;
  readonly choose: (name: string) => void;
}

function ChannelMenu({ channels, channel, disabled, choose }: MenuProps) {
  const choices = channels.items.map(({ name, title }) => ({ value: name, label: title === name ? name : `${title} (${name})` }));
  const shown = choices.some(({ value }) => value === channel) || channel === null ? choices : [{ value: channel, label: channel }, ...choices];
  return (
    <div className={styles.channel}>
      <div className={styles.channelMenu}>
        <Select
          label={words.channel.label}
          value={channel ?? ''}
          choices={shown}
          disabled={disabled || channel === null}
          {...(disabled ? { hint: words.channel.fixed } : {})}
          onChoose={choose}
        />
      </div>
      {channel !== null && (
        <a className={styles.watch} href={`/watch/${channel}`} target="_blank" rel="noopener">
          {words.channel.watch}
          <Icon name="out" />
          <span className="visuallyHidden">({words.channel.watchOpens})</span>
        </a>
      )}
    </div>
  );
}

function isEmpty({ status, items }: Channels): boolean {
  return status === 'ready' && items.length === 0;
}
