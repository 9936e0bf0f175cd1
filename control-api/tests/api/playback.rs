//! Who may watch, how a right is kept, and how it is taken back.

use control_api::permission::{ChannelRole, Role};
use schema::api::{Access, PlaybackRules, ReportAnswer};
use schema::playback::{PlaybackKeys, TokenError};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Answer, Plane};

/// A user with an API token of their own.
struct User {
    id: Uuid,
    name: &'static str,
    token: String,
}

async fn user(plane: &Plane, name: &'static str) -> User {
    let (id, token) = (Uuid::now_v7(), format!("hw_at_{name}"));
    let sql = "insert into users (id, name, display_name) values ($1, $2, $2)";
    sqlx::query(sql).bind(id).bind(name).execute(plane.pool()).await.unwrap();
    let sql = "insert into api_tokens (id, hash, name, role, user_id) values ($1, $2, $3, 'read', $4)";
    let query = sqlx::query(sql).bind(Uuid::now_v7()).bind(control_api::secret::hash(&token)).bind(name).bind(id);
    query.execute(plane.pool()).await.unwrap();
    User { id, name, token }
}

async fn members_only(plane: &Plane) {
    let answer = plane.admin("PATCH", "/api/v1/channels/demo", json!({ "access": "members" })).await;
    assert_eq!((answer.status.as_u16(), &answer.body["access"]), (200, &json!("members")));
}

async fn play(plane: &Plane, token: Option<&str>) -> Answer {
    plane.send_as(token, "POST", "/api/v1/playback/demo", "").await
}

async fn grant(plane: &Plane, user: &User, body: Value) -> Answer {
    plane.admin("PUT", &format!("/api/v1/channels/demo/viewers/{}", user.name), body).await
}

fn id_of(started: &Answer) -> &str {
    started.body["viewer_session"].as_str().unwrap()
}

async fn beat(plane: &Plane, id: &str, body: Value) -> Answer {
    plane.send_as(None, "POST", &format!("/api/v1/viewer-sessions/{id}/heartbeat"), body.to_string()).await
}

/// The answer to a report of a node that knows `version` of the rules.
async fn report(plane: &Plane, version: Option<&str>) -> ReportAnswer {
    let live = plane.live("b1").await;
    let body = json!({ "node": "n1", "broadcasts": [live], "playback": version });
    let answer = plane.internal("/internal/v1/reports", body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.body).unwrap()
}

async fn rules(plane: &Plane) -> PlaybackRules {
    report(plane, None).await.playback.unwrap()
}

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_public_channel_is_played_by_everybody_at_its_public_address() {
    let plane = Plane::start().await;
    let started = play(&plane, None).await;
    assert_eq!(started.status, 201, "{started:?}");
    let body = &started.body;
    assert_eq!((&body["access"], &body["base"]), (&json!("public"), &json!("")));
    assert_eq!(body["playlist"], "/live/demo/index.m3u8");
    assert_eq!(beat(&plane, id_of(&started), json!({})).await.body, json!({ "state": "watching" }));
    plane.send_as(None, "POST", "/api/v1/playback/nothing", "").await.is_problem(404, "channel_unknown");
    plane.send_as(None, "POST", "/api/v1/playback/demo", "{\"x\":1}").await.is_problem(422, "field_unknown");
    plane.send_as(None, "POST", "/api/v1/playback/demo", "{\"player\":\"x\"}").await.is_problem(422, "player_invalid");
}

#[tokio::test]
async fn a_channel_for_members_is_played_by_members_and_its_keepers_alone() {
    let plane = Plane::start().await;
    members_only(&plane).await;
    let (ann, bob) = (user(&plane, "ann").await, user(&plane, "bob").await);
    play(&plane, None).await.is_problem(401, "sign_in_needed");
    play(&plane, Some(&ann.token)).await.is_problem(403, "not_a_member");
    play(&plane, Some("hw_at_wrong")).await.is_problem(401, "token_unknown");
    assert_eq!(grant(&plane, &ann, Value::Null).await.body["until"], Value::Null);
    let started = play(&plane, Some(&ann.token)).await;
    let token = started.body["token"].as_str().unwrap();
    assert_eq!(started.body["playlist"], format!("/t/{token}/live/demo/index.m3u8"));
    play(&plane, Some(&bob.token)).await.is_problem(403, "not_a_member");
    assert_eq!(play(&plane, Some(plane.admin.expose())).await.status, 201);
    let sql = "insert into channel_members (channel_id, user_id, role) select id, $1, 'moderator' from channels";
    sqlx::query(sql).bind(bob.id).execute(plane.pool()).await.unwrap();
    assert_eq!(play(&plane, Some(&bob.token)).await.status, 201);
    assert!(plane.metrics().contains("headwater_control_playback_total{result=\"no_right\"} 3"));
}

#[tokio::test]
async fn a_node_checks_tokens_by_what_the_answer_to_its_report_brings() {
    let plane = Plane::start().await;
    members_only(&plane).await;
    let before = now_s();
    let started = play(&plane, Some(plane.admin.expose())).await;
    let answer = report(&plane, None).await;
    assert_eq!(answer.access.len(), 1);
    assert_eq!((answer.access[0].channel.as_str(), answer.access[0].access), ("demo", Access::Members));
    let rules = answer.playback.unwrap();
    let keys = PlaybackKeys::new(rules.keys);
    let (token, demo) = (started.body["token"].as_str().unwrap(), "demo".parse().unwrap());
    let claims = keys.check(token, &demo, now_s()).unwrap();
    assert_eq!(claims.viewer.as_str(), id_of(&started));
    assert!((before + 600..=now_s() + 600).contains(&claims.expires_s));
    assert_eq!(keys.check(token, &demo, now_s() + 600), Err(TokenError::Expired));
    // What is known already is not told again.
    assert_eq!(report(&plane, Some(&rules.version)).await.playback, None);
    assert!(report(&plane, Some("other")).await.playback.is_some());
    // The grant of the next broadcast says it too.
    assert_eq!(plane.admit(plane.key.expose()).await.body["access"], "members");
}

/// When the token that a player without script gets ends.
async fn expiry(plane: &Plane, keys: &PlaybackKeys, who: &str) -> u64 {
    let body = json!({ "player": "simple" }).to_string();
    let started = plane.send_as(Some(who), "POST", "/api/v1/playback/demo", body).await;
    keys.read(started.body["token"].as_str().unwrap()).unwrap().expires_s
}

#[tokio::test]
async fn a_player_without_script_gets_a_token_for_a_day_and_nobody_one_beyond_their_right() {
    let plane = Plane::start().await;
    members_only(&plane).await;
    let ann = user(&plane, "ann").await;
    let until = chrono::Utc::now() + chrono::TimeDelta::seconds(100);
    assert_eq!(grant(&plane, &ann, json!({ "until": until })).await.status, 200);
    let keys = PlaybackKeys::new(rules(&plane).await.keys);
    let before = now_s();
    let of_admin = expiry(&plane, &keys, plane.admin.expose()).await;
    assert!((before + 86_400..=now_s() + 86_400).contains(&of_admin), "{of_admin}");
    let of_ann = expiry(&plane, &keys, &ann.token).await;
    assert!(of_ann.abs_diff(u64::try_from(until.timestamp()).unwrap()) <= 1, "{of_ann} {until}");
    let past = json!({ "until": "2020-01-01T00:00:00Z" });
    grant(&plane, &ann, past).await.is_problem(422, "until_invalid");
}

#[tokio::test]
async fn who_is_put_out_is_told_to_nodes_and_by_the_next_heartbeat() {
    let plane = Plane::start().await;
    let started = play(&plane, None).await;
    let (id, before) = (id_of(&started), rules(&plane).await);
    assert!(before.denied.is_empty());
    let path = format!("/api/v1/viewer-sessions/{id}/put-out");
    plane.send_as(None, "POST", &path, "").await.is_problem(401, "token_missing");
    let stranger = user(&plane, "ann").await;
    plane.send_as(Some(&stranger.token), "POST", &path, "").await.is_problem(403, "role_insufficient");
    assert_eq!(plane.admin("POST", &path, Value::Null).await.status, 204);
    assert_eq!(plane.admin("POST", &path, Value::Null).await.status, 204);
    let after = report(&plane, Some(&before.version)).await.playback.unwrap();
    assert_eq!((after.denied.len(), after.denied[0].viewer.as_str()), (1, id));
    // Until no token of it can be good.
    let expires_s = PlaybackKeys::new(after.keys).read(started.body["token"].as_str().unwrap()).unwrap().expires_s;
    assert!((expires_s..=now_s() + 601).contains(&after.denied[0].until_s));
    assert_eq!(beat(&plane, id, json!({})).await.body, json!({ "state": "put_out" }));
    let sql = "select count(*) from audit where action = 'viewer.put_out' and object_id = $1 and actor_kind = 'token'";
    let audited: i64 = sqlx::query_scalar(sql).bind(id).fetch_one(plane.pool()).await.unwrap();
    assert_eq!(audited, 2);
    let path = "/api/v1/viewer-sessions/0123456789abcdef/put-out";
    plane.admin("POST", path, Value::Null).await.is_problem(404, "viewer_session_unknown");
}

#[tokio::test]
async fn a_right_that_is_taken_back_ends_what_its_holder_watches() {
    let plane = Plane::start().await;
    members_only(&plane).await;
    let (ann, bob) = (user(&plane, "ann").await, user(&plane, "bob").await);
    for user in [&ann, &bob] {
        assert_eq!(grant(&plane, user, Value::Null).await.status, 200);
    }
    let (of_ann, of_bob) = (play(&plane, Some(&ann.token)).await, play(&plane, Some(&bob.token)).await);
    let listed = plane.admin("GET", "/api/v1/channels/demo/viewers", Value::Null).await;
    assert_eq!(listed.body["viewers"].as_array().unwrap().len(), 2);
    let before = rules(&plane).await;
    let path = "/api/v1/channels/demo/viewers/ann";
    plane.send_as(Some(&bob.token), "DELETE", path, "").await.is_problem(403, "role_insufficient");
    assert_eq!(plane.admin("DELETE", path, Value::Null).await.status, 204);
    plane.admin("DELETE", path, Value::Null).await.is_problem(404, "viewer_unknown");
    let denied = report(&plane, Some(&before.version)).await.playback.unwrap().denied;
    assert_eq!((denied.len(), denied[0].viewer.as_str()), (1, id_of(&of_ann)));
    let audit = plane.admin("GET", "/api/v1/channels/demo/audit", Value::Null).await;
    let actions: Vec<&str> =
        audit.body["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..3], ["viewer.take_back", "viewer.grant", "viewer.grant"]);
    assert_eq!(audit.body["entries"][0]["details"], json!({ "user": "ann" }));
    assert_eq!(beat(&plane, id_of(&of_ann), json!({})).await.body["state"], "put_out");
    assert_eq!(beat(&plane, id_of(&of_bob), json!({})).await.body["state"], "watching");
    play(&plane, Some(&ann.token)).await.is_problem(403, "not_a_member");
}

#[tokio::test]
async fn an_account_watches_in_three_places_at_most() {
    let plane = Plane::start().await;
    let ann = user(&plane, "ann").await;
    for _ in 0..3 {
        assert_eq!(play(&plane, Some(&ann.token)).await.status, 201);
    }
    play(&plane, Some(&ann.token)).await.is_problem(409, "viewer_sessions_too_many");
    assert_eq!(play(&plane, None).await.status, 201);
    let sql = "update viewer_sessions set last_seen_at = now() - interval '2 minutes' where id = (select min(id) from viewer_sessions)";
    sqlx::query(sql).execute(plane.pool()).await.unwrap();
    assert_eq!(play(&plane, Some(&ann.token)).await.status, 201);
}

#[tokio::test]
async fn a_session_of_an_earlier_run_goes_on_by_its_token_alone() {
    let plane = Plane::start().await;
    let ann = user(&plane, "ann").await;
    let started = play(&plane, Some(&ann.token)).await;
    let id = id_of(&started).to_owned();
    let plane = plane.restarted();
    beat(&plane, &id, json!({})).await.is_problem(404, "viewer_session_unknown");
    beat(&plane, &id, json!({ "token": "a.b.c" })).await.is_problem(404, "viewer_session_unknown");
    let other = play(&plane, None).await;
    beat(&plane, &id, json!({ "token": other.body["token"] })).await.is_problem(404, "viewer_session_unknown");
    assert_eq!(beat(&plane, &id, json!({ "token": started.body["token"] })).await.body["state"], "watching");
}

#[tokio::test]
async fn sessions_are_written_in_batches_with_how_they_ended() {
    let plane = Plane::start().await;
    let (stays, leaves) = (play(&plane, None).await, play(&plane, None).await);
    let path = format!("/api/v1/viewer-sessions/{}/leave", id_of(&leaves));
    assert_eq!(plane.send_as(None, "POST", &path, "").await.status, 204);
    assert_eq!(plane.send_as(None, "POST", &path, "").await.status, 204);
    plane.write_viewers().await;
    let sql = "select id, end_reason from viewer_sessions order by end_reason nulls first";
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(sql).fetch_all(plane.pool()).await.unwrap();
    let expected = [(id_of(&stays).to_owned(), None), (id_of(&leaves).to_owned(), Some("left".to_owned()))];
    assert_eq!(rows, expected);
    assert!(plane.metrics().contains("headwater_control_viewer_sessions 1"));
}

#[tokio::test]
async fn an_unlisted_channel_is_listed_to_its_keepers_alone() {
    let plane = Plane::start().await;
    plane.admin("PATCH", "/api/v1/channels/demo", json!({ "access": "unlisted" })).await;
    let names = |answer: &Answer| answer.body["channels"].as_array().unwrap().len();
    assert_eq!(names(&plane.get("/api/v1/channels").await), 0);
    assert_eq!(names(&plane.admin("GET", "/api/v1/channels", Value::Null).await), 1);
    report(&plane, None).await;
    let owner = plane.user("own", Role::Creator, Some(ChannelRole::Owner)).await;
    let stranger = plane.user("str", Role::Creator, None).await;
    for (token, path, count) in [
        (None, "/api/v1/broadcasts", 0),
        (Some(stranger.as_str()), "/api/v1/broadcasts", 0),
        (Some(owner.as_str()), "/api/v1/broadcasts", 1),
        (Some(plane.admin.expose()), "/api/v1/broadcasts", 1),
        (None, "/api/v1/broadcasts?channel=demo", 1),
    ] {
        let listed = plane.send_as(token, "GET", path, "").await;
        assert_eq!(listed.body["broadcasts"].as_array().unwrap().len(), count, "{path} {listed:?}");
    }
    assert_eq!(plane.get("/api/v1/channels/demo").await.body["access"], "unlisted");
    assert_eq!(play(&plane, None).await.body["playlist"], "/live/demo/index.m3u8");
    let bad = plane.admin("PATCH", "/api/v1/channels/demo", json!({ "access": "nobody" })).await;
    bad.is_problem(422, "access_invalid");
}

#[tokio::test]
async fn the_newest_key_signs_once_it_is_a_minute_old_and_old_ones_check_for_days() {
    let plane = Plane::start().await;
    let first = rules(&plane).await.keys;
    assert_eq!(first.len(), 1);
    let age = "update playback_keys set created_at = now() - interval '7 days 1 hour'";
    sqlx::query(age).execute(plane.pool()).await.unwrap();
    let plane = plane.restarted();
    let both = rules(&plane).await.keys;
    assert_eq!((both.len(), &both[0]), (2, &first[0]), "the old one signs still");
    let age = "update playback_keys set created_at = created_at - interval '2 minutes'";
    sqlx::query(age).execute(plane.pool()).await.unwrap();
    let later = rules(&plane).await.keys;
    assert_eq!((&later[0], &later[1]), (&both[1], &both[0]));
    let age = "update playback_keys set created_at = now() - interval '10 days' where id = $1";
    sqlx::query(age).bind(first[0].id.as_str()).execute(plane.pool()).await.unwrap();
    let plane = plane.restarted();
    assert_eq!(rules(&plane).await.keys, [both[1].clone()]);
}

#[tokio::test]
async fn keys_are_sealed_and_those_that_do_not_open_are_replaced() {
    let plane = Plane::start().await;
    let first = rules(&plane).await.keys;
    let sealed = "select sealed from playback_keys";
    let sealed: Vec<u8> = sqlx::query_scalar(sealed).fetch_one(plane.pool()).await.unwrap();
    let secret = first[0].secret.as_bytes();
    assert!(secret.len() >= 43 && !sealed.windows(secret.len()).any(|part| part == secret));
    assert_eq!(rules(&plane).await.keys, first);
    let plane = plane.restarted_without_key();
    let others = rules(&plane).await.keys;
    assert_eq!(others.len(), 1);
    assert_ne!(others[0], first[0]);
    let started = play(&plane, None).await;
    assert!(PlaybackKeys::new(others).read(started.body["token"].as_str().unwrap()).is_ok());
}

/// Lets a session's token be half over: as if it had been made for so short a right.
async fn until_due(plane: &Plane, user: &User, s: i64) {
    let until = chrono::Utc::now() + chrono::TimeDelta::seconds(s);
    assert_eq!(grant(plane, user, json!({ "until": until })).await.status, 200);
}

#[tokio::test]
async fn a_token_is_renewed_for_whoever_may_still_watch() {
    let plane = Plane::start().await;
    members_only(&plane).await;
    let (ann, bob) = (user(&plane, "ann").await, user(&plane, "bob").await);
    // A right that ends within half of a token's life makes the next heartbeat ask anew.
    let before = now_s();
    until_due(&plane, &ann, 200).await;
    until_due(&plane, &bob, 200).await;
    let (of_ann, of_bob) = (play(&plane, Some(&ann.token)).await, play(&plane, Some(&bob.token)).await);
    assert_eq!(grant(&plane, &ann, Value::Null).await.body["until"], Value::Null);
    let beaten = beat(&plane, id_of(&of_ann), json!({})).await.body;
    assert_eq!(beaten["state"], "watching");
    let keys = PlaybackKeys::new(rules(&plane).await.keys);
    let claims = keys.read(beaten["token"].as_str().unwrap()).unwrap();
    assert_eq!(claims.viewer.as_str(), id_of(&of_ann));
    assert!(claims.expires_s >= before + 600, "{claims:?}");
    assert_eq!(beat(&plane, id_of(&of_ann), json!({})).await.body, json!({ "state": "watching" }));
    // Whose right is over by itself is told so, and stays out.
    sqlx::query("delete from channel_viewers where user_id = $1").bind(bob.id).execute(plane.pool()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(beat(&plane, id_of(&of_bob), json!({})).await.body, json!({ "state": "not_allowed" }));
    }
}
