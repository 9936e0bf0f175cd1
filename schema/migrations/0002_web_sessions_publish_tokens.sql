-- The browser studio: signed-in browsers, and tokens that begin a session in place of a stream key.
-- It only adds and loosens, so a program that knows 0001 alone runs on beside it. Harmless when
-- repeated.

-- A browser that signed in with an API token. It ends with that token, or at expires_at.
create table if not exists web_sessions (
    id           uuid primary key,
    hash         bytea not null unique check (octet_length(hash) = 32),
    api_token_id uuid not null references api_tokens (id),
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null
);

-- Serve the removal of expired rows, and of one token's that end first.
create index if not exists web_sessions_expires_idx on web_sessions (expires_at);
create index if not exists web_sessions_token_idx on web_sessions (api_token_id, expires_at);

-- What a studio page publishes with: short-lived, for one channel, on behalf of an API token.
create table if not exists publish_tokens (
    id           uuid primary key,
    hash         bytea not null unique check (octet_length(hash) = 32),
    channel_id   uuid not null references channels (id),
    api_token_id uuid not null references api_tokens (id),
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null
);

-- Serve the count of a channel's valid tokens, and the removal of old rows.
create index if not exists publish_tokens_channel_idx on publish_tokens (channel_id, expires_at);
create index if not exists publish_tokens_expires_idx on publish_tokens (expires_at);

-- A broadcast was begun by a stream key or by a publish token. The token's row goes some time
-- after its broadcast; then both are null.
alter table broadcasts alter column key_id drop not null;
alter table broadcasts add column if not exists publish_token_id uuid
    references publish_tokens (id) on delete set null
    check (key_id is null or publish_token_id is null);
alter table broadcasts add column if not exists protocol text not null default 'whip'
    check (char_length(protocol) between 1 and 20);

-- Serves the removal of tokens, which asks for the broadcasts of each.
create index if not exists broadcasts_publish_token_idx on broadcasts (publish_token_id)
    where publish_token_id is not null;
-- Serves the last end of a channel.
create index if not exists broadcasts_ended_channel_idx on broadcasts (channel_id, ended_at desc)
    where state = 'ended';
