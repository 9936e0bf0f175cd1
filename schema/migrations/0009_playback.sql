-- Who may watch: the access of channels, who was let in by name, viewer sessions, those that are put out, and the keys that
-- sign playback tokens. It only adds, so a program that knows the migrations before alone runs on beside it. Harmless when
-- repeated.

set local lock_timeout = '5s';

alter table channels add column if not exists access text not null default 'public'
    check (access in ('public', 'unlisted', 'members'));

-- Keys are secrets that must be used, so they are sealed under a key that the database does not know. Of the keys that are
-- not retired the newest signs once it is old enough for every node and edge to know it.
create table if not exists playback_keys (
    id         text primary key check (id ~ '^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$'),
    sealed     bytea not null check (octet_length(sealed) between 60 and 200),
    created_at timestamptz not null default now(),
    -- From then on no token of it is good.
    retired_at timestamptz
);

-- Users who may watch a channel that is for members.
create table if not exists channel_viewers (
    channel_id uuid not null references channels (id),
    user_id    uuid not null references users (id),
    created_at timestamptz not null default now(),
    -- Null is for good.
    until      timestamptz,
    primary key (channel_id, user_id)
);

-- Serves the channels that a user may watch.
create index if not exists channel_viewers_user_idx on channel_viewers (user_id);

-- One viewer at one channel, from the first token to the last heartbeat. Written in batches: what is missing after a crash
-- are some seconds.
create table if not exists viewer_sessions (
    -- As in tokens.
    id           text primary key check (id ~ '^[a-z0-9]{16,40}$'),
    channel_id   uuid not null references channels (id),
    -- Null for who did not sign in.
    user_id      uuid references users (id),
    started_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    -- Until when its last token is good.
    token_until  timestamptz not null,
    ended_at     timestamptz,
    end_reason   text check (end_reason in ('left', 'silent', 'put_out', 'not_allowed')),
    check ((ended_at is null) = (end_reason is null))
);

-- Serve the sessions of one account and of one channel, the end of those that fell silent, and the removal of old ones.
create index if not exists viewer_sessions_user_idx on viewer_sessions (user_id, token_until) where user_id is not null;
create index if not exists viewer_sessions_open_idx on viewer_sessions (last_seen_at) where ended_at is null;
create index if not exists viewer_sessions_channel_idx on viewer_sessions (channel_id, started_at desc);
create index if not exists viewer_sessions_seen_idx on viewer_sessions (last_seen_at);

-- Viewer sessions that are put out, until no token of theirs can be good.
create table if not exists denied_viewers (
    viewer_session text primary key,
    until          timestamptz not null,
    created_at     timestamptz not null default now()
);

create index if not exists denied_viewers_until_idx on denied_viewers (until);

-- Grows with each session that is put out, in the order of the commits: by it nodes know whether they know all of them.
create table if not exists denied_version (
    single  boolean primary key default true check (single),
    version bigint not null
);

insert into denied_version (version) values (0) on conflict do nothing;
