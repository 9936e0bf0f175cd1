//! Every route of the public API, with what it needs. The nodes' API is apart, see [`crate::internal_router`].

use axum::http::StatusCode;

use crate::auth;
use crate::http::limit::Class;
use crate::http::openapi;
use crate::http::routes::Kind::{Boolean, Integer, Object, Text, Texts, Time};
use crate::http::routes::{Field, Need, Route, Verb, may, must, route};
use crate::permission::Permission as P;
use crate::playback::{self, grants, heartbeat, put_out, start};
use crate::web_sessions;
use crate::{api_tokens, audit, broadcasts, channels, me, members, publish_tokens, slates, stream_keys, users};

const LIMIT: Field = may("limit", Integer, "1 to 100 entries; 50 unless said");
const CURSOR: Field = may("cursor", Text, "`next` of the page before");
const PAGE: &[Field] = &[LIMIT, CURSOR];

/// All of them, resource by resource.
pub(crate) fn all() -> Vec<Route> {
    let resources = [about(), channel_routes(), key_routes(), member_routes(), broadcast_routes(), session_routes()];
    let more = [user_routes(), me_routes(), token_routes(), audit_routes(), playback_routes(), auth::routes::all()];
    resources.into_iter().chain(more).flatten().collect()
}

fn get<H: axum::handler::Handler<T, crate::ControlApi>, T: 'static>(path: &'static str, need: Need, h: H) -> Route {
    route(Verb::Get, path, need, h)
}

fn post<H: axum::handler::Handler<T, crate::ControlApi>, T: 'static>(path: &'static str, need: Need, h: H) -> Route {
    route(Verb::Post, path, need, h)
}

fn put<H: axum::handler::Handler<T, crate::ControlApi>, T: 'static>(path: &'static str, need: Need, h: H) -> Route {
    route(Verb::Put, path, need, h)
}

fn patch<H: axum::handler::Handler<T, crate::ControlApi>, T: 'static>(path: &'static str, need: Need, h: H) -> Route {
    route(Verb::Patch, path, need, h)
}

fn delete<H: axum::handler::Handler<T, crate::ControlApi>, T: 'static>(path: &'static str, need: Need, h: H) -> Route {
    route(Verb::Delete, path, need, h)
}

fn about() -> Vec<Route> {
    let says = "this document";
    vec![get("/api/openapi.json", Need::Nothing, openapi::show).says(says).answers_status(StatusCode::OK)]
}

const CHANNEL: &str = "/api/v1/channels/{name}";
const NAME: Field = must("name", Text, "a slug of lower-case letters, digits and inner hyphens, at most 64");
const SETTINGS: [Field; 9] = [
    may("title", Text, "1 to 200 characters"),
    may("profile", Text, "`ultra`, `low`, `relaxed` or `classic`"),
    may("frame_rate", Integer, "1 to 120; null is that of the source"),
    may("ladder", Object, "up to 8 rungs, the tallest first; null is the usual one"),
    may("grace_s", Integer, "0 to 600 seconds that a broadcast waits for its publisher"),
    may("second_publisher", Text, "`replace` or `refuse`"),
    may("dvr_s", Integer, "0 to 43200 seconds that viewers can rewind"),
    may("passthrough", Boolean, "whether a source that fits is the top rung"),
    may("access", Text, "who may watch: `public`, `unlisted` or `members`"),
];
const NEW_CHANNEL: [Field; 10] = {
    let [a, b, c, d, e, f, g, h, i] = SETTINGS;
    [NAME, a, b, c, d, e, f, g, h, i]
};

fn channel_routes() -> Vec<Route> {
    let picture = ["image/png", "image/jpeg"].as_slice();
    vec![
        get("/api/v1/channels", Need::Nothing, channels::list)
            .says("list the channels")
            .query(PAGE)
            .answers::<channels::ChannelPage>(StatusCode::OK),
        post("/api/v1/channels", Need::Everywhere(P::ChannelCreate), channels::create)
            .says("make a channel, which the user who asks then owns")
            .takes(&NEW_CHANNEL)
            .once()
            .tagged()
            .answers::<channels::Channel>(StatusCode::CREATED),
        get(CHANNEL, Need::Nothing, channels::show)
            .says("see a channel and what is live")
            .answers::<channels::PublicChannel>(StatusCode::OK),
        patch(CHANNEL, Need::OnChannel(P::ChannelUpdate), channels::update)
            .says("change settings")
            .takes(&SETTINGS)
            .matched()
            .answers::<channels::Channel>(StatusCode::OK),
        delete(CHANNEL, Need::OnChannel(P::ChannelDelete), channels::remove).says("delete the channel").matched(),
        get("/api/v1/channels/{name}/settings", Need::OnChannel(P::ChannelUpdate), channels::settings)
            .says("see the settings")
            .tagged()
            .answers::<channels::Channel>(StatusCode::OK),
        get(slates::PATH, Need::OnChannel(P::ChannelUpdate), slates::show)
            .says("see the slate")
            .answers_status(StatusCode::OK),
        put(slates::PATH, Need::OnChannel(P::ChannelUpdate), slates::replace)
            .says("replace the slate")
            .takes_file(picture),
        delete(slates::PATH, Need::OnChannel(P::ChannelUpdate), slates::remove).says("remove the slate"),
        post("/api/v1/channels/{name}/publish-tokens", Need::OnChannel(P::ChannelPublish), publish_tokens::create)
            .says("make a publish token of 60 s")
            .answers::<publish_tokens::NewPublishToken>(StatusCode::CREATED),
    ]
}

fn key_routes() -> Vec<Route> {
    const KEYS: &str = "/api/v1/channels/{name}/keys";
    const KEY: &[Field] = &[may("label", Text, "at most 100 characters"), may("role", Text, "`primary` or `backup`")];
    const OVERLAP: &[Field] = &[may("overlap_s", Integer, "0 to 604800 seconds that the old key is good for")];
    vec![
        get(KEYS, Need::OnChannel(P::KeyRead), stream_keys::list)
            .says("list the stream keys")
            .answers::<stream_keys::KeyList>(StatusCode::OK),
        post(KEYS, Need::OnChannel(P::KeyWrite), stream_keys::create)
            .says("make a stream key, which is told this once")
            .takes(KEY)
            .once()
            .answers::<stream_keys::NewKey>(StatusCode::CREATED),
        delete("/api/v1/channels/{name}/keys/{id}", Need::OnChannel(P::KeyWrite), stream_keys::revoke)
            .says("revoke a stream key"),
        post("/api/v1/channels/{name}/keys/{id}/rotate", Need::OnChannel(P::KeyWrite), stream_keys::rotate)
            .says("replace a stream key by a new one, which is told this once")
            .takes(OVERLAP)
            .once()
            .answers::<stream_keys::NewKey>(StatusCode::CREATED),
    ]
}

fn member_routes() -> Vec<Route> {
    const MEMBER: &str = "/api/v1/channels/{name}/members/{user}";
    const ROLE: &[Field] = &[must("role", Text, "`owner`, `editor` or `moderator`")];
    vec![
        get("/api/v1/channels/{name}/members", Need::OnChannel(P::MemberRead), members::list)
            .says("list the members")
            .answers::<members::MemberList>(StatusCode::OK),
        put(MEMBER, Need::OnChannel(P::MemberWrite), members::put)
            .says("make a user a member (201), or give another role (204)")
            .takes(ROLE),
        delete(MEMBER, Need::OnChannel(P::MemberWrite), members::remove).says("remove a member"),
    ]
}

fn broadcast_routes() -> Vec<Route> {
    const QUERY: &[Field] = &[may("channel", Text, "of this channel alone"), LIMIT, CURSOR];
    vec![
        get("/api/v1/broadcasts", Need::Nothing, broadcasts::list)
            .says("list the broadcasts, newest first")
            .query(QUERY)
            .answers::<broadcasts::BroadcastPage>(StatusCode::OK),
        post("/api/v1/broadcasts/{id}/end", Need::OnBroadcast(P::BroadcastEnd), broadcasts::end)
            .says("end a running broadcast")
            .answers_status(StatusCode::ACCEPTED),
    ]
}

fn session_routes() -> Vec<Route> {
    const SESSION: &str = "/api/v1/session";
    const TOKEN: &[Field] = &[must("token", Text, "an API token")];
    vec![
        get(SESSION, Need::SignedIn, web_sessions::show)
            .says("see who is signed in")
            .answers::<web_sessions::WebSession>(StatusCode::OK),
        post(SESSION, Need::Nothing, web_sessions::create)
            .class(Class::SignIn)
            .says("exchange an API token for a cookie")
            .takes(TOKEN),
        delete(SESSION, Need::Nothing, web_sessions::remove).class(Class::SignIn).says("sign out"),
    ]
}

fn user_routes() -> Vec<Route> {
    const USER: &str = "/api/v1/users/{user}";
    const DISPLAY_NAME: Field = may("display_name", Text, "1 to 100 characters");
    const EMAIL: Field = may("email", Text, "an address, kept in lower case; null is none");
    const ROLE: Field = may("role", Text, "`admin`, `creator`, `moderator` or `viewer`");
    const STATE: Field = may("state", Text, "`active` or `suspended`");
    const QUERY: &[Field] = &[may("name", Text, "how the handle begins"), ROLE, STATE, LIMIT, CURSOR];
    vec![
        get("/api/v1/users", Need::Everywhere(P::UserRead), users::list)
            .says("list the users")
            .query(QUERY)
            .answers::<users::UserPage>(StatusCode::OK),
        post("/api/v1/users", Need::Everywhere(P::UserWrite), users::create)
            .says("make a user")
            .takes(&[NAME, DISPLAY_NAME, EMAIL, ROLE, STATE])
            .once()
            .answers::<users::User>(StatusCode::CREATED),
        get(USER, Need::Everywhere(P::UserRead), users::show)
            .says("see a user")
            .tagged()
            .answers::<users::User>(StatusCode::OK),
        patch(USER, Need::Everywhere(P::UserWrite), users::update)
            .says("change profile, role or state of a user")
            .takes(&[DISPLAY_NAME, EMAIL, ROLE, STATE])
            .matched()
            .answers::<users::User>(StatusCode::OK),
        delete(USER, Need::Everywhere(P::UserWrite), users::remove).says("delete a user").matched(),
    ]
}

fn me_routes() -> Vec<Route> {
    const PROFILE: &[Field] = &[may("display_name", Text, "1 to 100 characters")];
    const TOKEN: &[Field] = &[
        must("name", Text, "1 to 100 characters"),
        may("scopes", Texts, "the permissions to which it is narrowed; all unless said"),
        may("expires_at", Time, "its end; none unless said"),
        may("role", Text, "`admin` or `read`, of a token without a user"),
    ];
    vec![
        get("/api/v1/me", Need::SignedIn, me::show)
            .says("see who one is and what one may")
            .tagged()
            .answers::<me::Me>(StatusCode::OK),
        patch("/api/v1/me", Need::Everywhere(P::ProfileWrite), me::update)
            .says("change one's own profile")
            .takes(PROFILE)
            .matched()
            .answers::<users::User>(StatusCode::OK),
        get("/api/v1/me/tokens", Need::Everywhere(P::TokenOwn), api_tokens::list_own)
            .says("list one's own API tokens")
            .query(PAGE)
            .answers::<api_tokens::TokenPage>(StatusCode::OK),
        post("/api/v1/me/tokens", Need::Everywhere(P::TokenOwn), api_tokens::create)
            .says("make an API token, which is told this once")
            .takes(TOKEN)
            .once()
            .answers::<api_tokens::NewToken>(StatusCode::CREATED),
        delete("/api/v1/me/tokens/{id}", Need::Everywhere(P::TokenOwn), api_tokens::revoke_own)
            .says("revoke one of one's own API tokens"),
    ]
}

fn token_routes() -> Vec<Route> {
    vec![
        get("/api/v1/api-tokens", Need::Everywhere(P::TokenAll), api_tokens::list_all)
            .says("list everybody's API tokens")
            .query(PAGE)
            .answers::<api_tokens::TokenPage>(StatusCode::OK),
        delete("/api/v1/api-tokens/{id}", Need::Everywhere(P::TokenAll), api_tokens::revoke_any)
            .says("revoke anybody's API token"),
    ]
}

fn playback_routes() -> Vec<Route> {
    const SESSION: &str = "/api/v1/viewer-sessions/{id}";
    const VIEWER: &str = "/api/v1/channels/{name}/viewers/{user}";
    const PLAYER: &[Field] = &[may("player", Text, "`renewing`, or `simple` for a token of a day")];
    const TOKEN: &[Field] = &[may("token", Text, "the session's token, by which a restarted server knows it again")];
    const UNTIL: &[Field] = &[may("until", Time, "the end of the right; none unless said")];
    vec![
        post("/api/v1/playback/{name}", Need::Nothing, start::start)
            .class(Class::Heartbeat)
            .says("begin to watch: a viewer session, its token and where to play from")
            .takes(PLAYER)
            .answers::<playback::Started>(StatusCode::CREATED),
        post("/api/v1/viewer-sessions/{id}/heartbeat", Need::Nothing, heartbeat::heartbeat)
            .class(Class::Heartbeat)
            .says("go on watching; brings a new token when one is due")
            .takes(TOKEN)
            .answers::<playback::Beat>(StatusCode::OK),
        delete(SESSION, Need::Nothing, heartbeat::leave).class(Class::Heartbeat).says("cease to watch"),
        post("/api/v1/viewer-sessions/{id}/leave", Need::Nothing, heartbeat::leave)
            .class(Class::Heartbeat)
            .says("cease to watch, as a page says it that goes"),
        post("/api/v1/viewer-sessions/{id}/put-out", Need::OnViewerSession(P::ViewerPutOut), put_out::put_out)
            .says("put out a viewer"),
        get("/api/v1/channels/{name}/viewers", Need::OnChannel(P::ViewerRead), grants::list)
            .says("list the users who were let in to watch")
            .query(PAGE)
            .answers::<playback::ChannelViewerPage>(StatusCode::OK),
        put(VIEWER, Need::OnChannel(P::ViewerGrant), grants::grant)
            .says("let a user in to watch")
            .takes(UNTIL)
            .answers::<playback::ChannelViewer>(StatusCode::OK),
        delete(VIEWER, Need::OnChannel(P::ViewerGrant), grants::take_back)
            .says("take a user's right to watch back; what they watch ends"),
    ]
}

fn audit_routes() -> Vec<Route> {
    const ACTOR: Field = may("actor", Text, "the id of a user or token, or a handle");
    const ACTION: Field = may("action", Text, "such as `channel.update`");
    const OBJECT: Field = may("object", Text, "the id of what it was done to");
    const SINCE: Field = may("since", Time, "from this instant on");
    const UNTIL: Field = may("until", Time, "before this instant");
    const OF_CHANNEL: &[Field] = &[ACTOR, ACTION, OBJECT, SINCE, UNTIL, LIMIT, CURSOR];
    const OF_ALL: &[Field] =
        &[ACTOR, ACTION, OBJECT, may("channel", Text, "of this channel alone"), SINCE, UNTIL, LIMIT, CURSOR];
    vec![
        get("/api/v1/audit", Need::Everywhere(P::AuditRead), audit::list)
            .says("read what was done, newest first")
            .query(OF_ALL)
            .answers::<audit::AuditPage>(StatusCode::OK),
        get("/api/v1/channels/{name}/audit", Need::OnChannel(P::AuditRead), audit::list_of_channel)
            .says("read what was done to a channel, newest first")
            .query(OF_CHANNEL)
            .answers::<audit::AuditPage>(StatusCode::OK),
    ]
}
