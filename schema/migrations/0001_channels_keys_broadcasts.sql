-- Channels, the keys that publish to them, the tokens that administer them, and the broadcasts
-- that ran. Secrets are kept as SHA-256 alone. Times are the database's own clock, except
-- broadcasts.started_at, which is the node's.

create table channels (
    id          uuid primary key,
    name        text not null check (name ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
    title       text not null check (char_length(title) between 1 and 200),
    ladder      jsonb check (jsonb_typeof(ladder) = 'object'),
    profile     text not null default 'low' check (profile in ('ultra', 'low', 'relaxed', 'classic')),
    frame_rate  integer check (frame_rate between 1 and 120),
    last_width  integer check (last_width > 0),
    last_height integer check (last_height > 0),
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    -- A deleted channel stays for its broadcasts and revoked keys; its name is free again.
    deleted_at  timestamptz,
    check ((last_width is null) = (last_height is null))
);

-- Serves the look-up by name and the listing in order of names.
create unique index channels_name_key on channels (name) where deleted_at is null;

create table stream_keys (
    id           uuid primary key,
    channel_id   uuid not null references channels (id),
    hash         bytea not null unique check (octet_length(hash) = 32),
    label        text not null default '' check (char_length(label) <= 100),
    created_at   timestamptz not null default now(),
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- Serves the listing of a channel's keys, newest first, and their revocation with the channel.
create index stream_keys_channel_idx on stream_keys (channel_id, created_at desc);

create table api_tokens (
    id         uuid primary key,
    hash       bytea not null unique check (octet_length(hash) = 32),
    name       text not null check (char_length(name) between 1 and 100),
    role       text not null default 'admin' check (role in ('admin', 'read')),
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);

create table broadcasts (
    id            text primary key,
    channel_id    uuid not null references channels (id),
    incarnation   bigint not null check (incarnation >= 0),
    node          text not null,
    session       text not null,
    key_id        uuid not null references stream_keys (id),
    state         text not null check (state in ('live', 'ended')),
    started_at    timestamptz not null,
    ended_at      timestamptz,
    end_reason    text check (char_length(end_reason) <= 40),
    source_width  integer check (source_width > 0),
    source_height integer check (source_height > 0),
    -- When its node last told of it; a live broadcast that nobody tells of is not shown as live.
    reported_at   timestamptz not null default now(),
    check ((state = 'ended') = (ended_at is not null)),
    check ((source_width is null) = (source_height is null))
);

-- Serve the listings, newest first: of one channel, and of all.
create index broadcasts_channel_idx on broadcasts (channel_id, started_at desc, id desc);
create index broadcasts_started_idx on broadcasts (started_at desc, id desc);
-- Serve the live broadcast of a channel, and what a report leaves out.
create index broadcasts_live_channel_idx on broadcasts (channel_id, started_at desc) where state = 'live';
create index broadcasts_live_node_idx on broadcasts (node) where state = 'live';
