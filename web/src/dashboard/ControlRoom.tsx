'use client';

import { useCallback, useEffect, useState } from 'react';

import { endBroadcast, fetchRuns, type Run } from '@/api/broadcasts';
import { fetchControl, type Control, type OnAir } from '@/api/control';
import { Thumbnail } from '@/channels/Thumbnail';
import { Button } from '@/shell/Button';
import { Confirm } from '@/shell/Confirm';
import { Card } from '@/shell/fields';
import { Said } from '@/shell/form';
import { Badge, List, Row } from '@/shell/List';
import { dateTime, lengthOf } from '@/shell/time';
import { useAnswer, type Answer } from '@/shell/useAnswer';
import { useDeed } from '@/shell/useDeed';
import { usePages } from '@/shell/usePages';
import { accounts } from '@/strings/accounts';
import { dashboard } from '@/strings/dashboard';

import styles from './Channel.module.css';

const words = dashboard.live;
/** How often the API is asked, in milliseconds: nodes report every two seconds. */
const REFRESH_MS = 2_000;

interface Props {
  readonly channel: string;
  readonly canEnd: boolean;
}

/** What is on the channel now, how it fares, and the way to end it; then what was before. */
export function ControlRoom({ channel, canEnd }: Props) {
  const control = useAnswer(useCallback((signal: AbortSignal) => fetchControl(channel, signal), [channel]), REFRESH_MS);
  const onAir = control.value?.onAir ?? null;
  return (
    <div className={styles.columns}>
      <Now channel={channel} control={control} canEnd={canEnd} />
      <div className={styles.side}>
        <Past key={onAir?.broadcast ?? ''} channel={channel} />
      </div>
    </div>
  );
}

function Now({ channel, control, canEnd }: { readonly channel: string; readonly control: Answer<Control>; readonly canEnd: boolean }) {
  const { value, error } = control;
  const state = value === null ? null : (value.onAir?.state ?? 'offline');
  const onAir = value?.onAir ?? null;
  return (
    <Card title={words.title} aside={state !== null && <Badge state={state}>{words.states[state]}</Badge>}>
      <div className={styles.frame} data-control={state ?? 'loading'}>
        {onAir === null ? (
          <span>{state === null ? accounts.loading : words.states.offline}</span>
        ) : (
          <Thumbnail channel={{ name: channel, title: value?.title ?? channel }} />
        )}
      </div>
      <p className={styles.hint} role="status">
        {error !== null ? words.stale : state === null ? '' : words.hints[state]}
      </p>
      <Facts onAir={onAir} control={value} />
      {canEnd && <End onAir={onAir} load={control.load} />}
    </Card>
  );
}

function Facts({ onAir, control }: { readonly onAir: OnAir | null; readonly control: Control | null }) {
  const nowMs = useNow(onAir !== null);
  const none = accounts.none;
  const startedAt = onAir?.startedAt ?? null;
  const facts: [string, string][] = [
    [words.since, dateTime(startedAt)],
    [words.duration, startedAt === null ? none : lengthOf(nowMs - startedAt.getTime())],
    [words.by, onAir === null ? none : wayOf(onAir)],
    [words.protocol, onAir?.protocol?.toUpperCase() ?? none],
    [words.size, onAir?.size == null ? none : words.sizeOf(onAir.size.width, onAir.size.height)],
    [words.health, onAir?.isDegraded == null ? none : onAir.isDegraded ? words.degraded : words.healthy],
  ];
  const end = control?.lastEnd ?? null;
  if (end !== null) facts.push([words.lastEnd, `${dateTime(end.at)}, ${reasonWords(end.reason)}`]);
  return (
    <dl className={styles.facts}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function wayOf({ credential, role }: OnAir): string {
  if (credential === null) return accounts.none;
  return credential === 'studio' ? words.ways.studio : words.ways.key(words.keyRoles[role]);
}

/** Why a broadcast ended, in words. */
export function reasonWords(reason: string | null): string {
  const reasons: Readonly<Record<string, string>> = words.reasons;
  return reason === null ? accounts.none : (reasons[reason] ?? reason);
}

/** The time of day, every second while it matters. */
function useNow(ticking: boolean): number {
  const [nowMs, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!ticking) return;
    const tick = (): void => { setNow(Date.now()); };
    const timer = window.setInterval(tick, 1_000);
    return () => {
      window.clearInterval(timer);
    };
  }, [ticking]);
  return nowMs;
}

/** Ends the broadcast after a question. The node does it with its next report, so the button waits for it. */
function End({ onAir, load }: { readonly onAir: OnAir | null; readonly load: () => void }) {
  const deed = useDeed();
  const [asked, setAsked] = useState(false);
  const [ordered, setOrdered] = useState<string | null>(null);
  const isEnding = onAir !== null && ordered === onAir.broadcast;
  const end = (): void => {
    setAsked(false);
    if (onAir === null) return;
    deed.run(async (signal) => {
      await endBroadcast(onAir.broadcast, signal);
      setOrdered(onAir.broadcast);
      load();
    });
  };
  return (
    <div className={styles.bar}>
      <Button kind="danger" disabled={onAir === null || isEnding || deed.busy} onClick={() => { setAsked(true); }}>
        {isEnding ? words.ending : words.end}
      </Button>
      <Said deed={deed} />
      {asked && (
        <Confirm title={words.endTitle} hint={words.endHint} keep={words.keep} confirm={words.endNow} onKeep={() => { setAsked(false); }} onConfirm={end} />
      )}
    </div>
  );
}

function Past({ channel }: { readonly channel: string }) {
  const runs = usePages(useCallback((cursor: string | null, signal: AbortSignal) => fetchRuns(channel, cursor, signal, 8), [channel]));
  const over = { ...runs, items: runs.items.filter(({ state }) => state === 'ended' || state === 'lost') };
  return (
    <Card title={words.past}>
      <List pages={over} none={words.pastNone} failed={dashboard.failed}>
        {(run) => <Row key={run.id} name={dateTime(run.startedAt)} facts={runWords(run)} />}
      </List>
    </Card>
  );
}

/** How long it was, and why it ended. */
export function runWords({ state, startedAt, endedAt, endReason }: Run): string {
  if (state !== 'ended') return words.states[state];
  const length = startedAt === null || endedAt === null ? accounts.none : lengthOf(endedAt.getTime() - startedAt.getTime());
  return endReason === null ? length : `${length}, ${reasonWords(endReason)}`;
}
