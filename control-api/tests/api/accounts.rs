//! Users, members of channels and API tokens, and what versions guard.

use std::slice::from_ref;

use axum::http::Request;
use control_api::permission::{ChannelRole, Role};
use schema::SessionEnd;
use schema::api::NodeCommand;
use serde_json::{Value, json};

use crate::fixture::{Answer, Plane};

const USERS: &str = "/api/v1/users";
const TOKENS: &str = "/api/v1/me/tokens";
const DEMO: &str = "/api/v1/channels/demo";

async fn by(plane: &Plane, token: &str, method: &str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    plane.send_as(Some(token), method, path, body).await
}

async fn if_match(plane: &Plane, method: &str, path: &str, tag: &str, body: Value) -> Answer {
    let request = Request::builder().method(method).uri(path).header("if-match", tag);
    let request = request.header("authorization", format!("Bearer {}", plane.admin.expose()));
    plane.public(request.body(body.to_string().into()).unwrap()).await
}

#[tokio::test]
async fn a_user_is_made_shown_changed_and_deleted() {
    let plane = Plane::start().await;
    let body = json!({ "name": "ann", "display_name": " Ann ", "email": "Ann@Example.com", "role": "creator" });
    let made = plane.admin("POST", USERS, body.clone()).await;
    assert_eq!((made.status.as_u16(), &made.headers["location"]), (201, &"/api/v1/users/ann".parse().unwrap()));
    assert_eq!((&made.body["display_name"], &made.body["email"]), (&json!("Ann"), &json!("ann@example.com")));
    plane.admin("POST", USERS, body).await.is_problem(409, "user_exists");
    let same_address = json!({ "name": "bob", "email": "ANN@example.com" });
    plane.admin("POST", USERS, same_address).await.is_problem(409, "user_exists");
    plane.admin("POST", USERS, json!({ "name": "bob" })).await;
    let change = json!({ "email": "ann@example.com" });
    plane.admin("PATCH", "/api/v1/users/bob", change).await.is_problem(409, "user_exists");
    let set = plane.admin("PATCH", "/api/v1/users/ann", json!({ "email": null, "role": "moderator" })).await;
    assert_eq!((&set.body["role"], set.body.get("email")), (&json!("moderator"), None), "{set:?}");
    assert_eq!(plane.admin("DELETE", "/api/v1/users/ann", Value::Null).await.status, 204);
    plane.admin("GET", "/api/v1/users/ann", Value::Null).await.is_problem(404, "user_unknown");
    assert_eq!(plane.admin("POST", USERS, json!({ "name": "ann" })).await.status, 201, "the name is free again");
}

#[tokio::test]
async fn every_bad_field_of_a_user_is_named() {
    let plane = Plane::start().await;
    for (field, value) in [
        ("name", json!("Ann")),
        ("name", json!("a".repeat(65))),
        ("name", Value::Null),
        ("display_name", json!("")),
        ("display_name", json!("x".repeat(101))),
        ("email", json!("ann")),
        ("email", json!(7)),
        ("role", json!("owner")),
        ("role", json!("read")),
        ("state", json!("gone")),
    ] {
        let mut body = json!({ "name": "ann" });
        body[field] = value;
        let answer = plane.admin("POST", USERS, body).await;
        answer.is_problem(422, &format!("{field}_invalid"));
    }
}

#[tokio::test]
async fn users_are_listed_by_role_state_and_name_and_addresses_are_for_admins() {
    let plane = Plane::start().await;
    for (name, role) in [("ann", "creator"), ("anton", "viewer"), ("bob", "creator")] {
        let body = json!({ "name": name, "role": role, "email": format!("{name}@example.com") });
        plane.admin("POST", USERS, body).await;
    }
    let list = async |query: &str| {
        let page = plane.admin("GET", &format!("{USERS}?{query}"), Value::Null).await;
        let names = page.body["users"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap().to_owned());
        (names.collect::<Vec<_>>().join(" "), page.body["next"].as_str().map(str::to_owned))
    };
    assert_eq!(list("").await.0, "ann anton bob");
    assert_eq!(list("name=an").await.0, "ann anton");
    assert_eq!(list("role=creator&state=active").await.0, "ann bob");
    assert_eq!(list("state=suspended").await.0, "");
    let (first, next) = list("limit=2").await;
    assert_eq!(first, "ann anton");
    assert_eq!(list(&format!("limit=2&cursor={}", next.unwrap())).await, ("bob".into(), None));
    plane.admin("GET", &format!("{USERS}?role=x"), Value::Null).await.is_problem(422, "role_invalid");
    let moderator = plane.user("mod", Role::Moderator, None).await;
    let seen = by(&plane, &moderator, "GET", "/api/v1/users/ann", Value::Null).await;
    assert_eq!((seen.status.as_u16(), seen.body.get("email")), (200, None));
    let seen = plane.admin("GET", "/api/v1/users/ann", Value::Null).await;
    assert_eq!(seen.body["email"], "ann@example.com");
}

#[tokio::test]
async fn nobody_raises_shuts_out_or_deletes_themself() {
    let plane = Plane::start().await;
    let root = plane.user("root", Role::Admin, None).await;
    let own = "/api/v1/users/root";
    for change in [json!({ "role": "viewer" }), json!({ "state": "suspended" })] {
        by(&plane, &root, "PATCH", own, change).await.is_problem(409, "own_role");
    }
    by(&plane, &root, "DELETE", own, Value::Null).await.is_problem(409, "own_user");
    assert_eq!(by(&plane, &root, "PATCH", own, json!({ "display_name": "Root" })).await.status, 200);
    let ann = plane.user("ann", Role::Viewer, None).await;
    for field in ["role", "state", "email", "name"] {
        by(&plane, &ann, "PATCH", "/api/v1/me", json!({ field: "admin" })).await.is_problem(422, "field_unknown");
    }
    let me = by(&plane, &ann, "PATCH", "/api/v1/me", json!({ "display_name": "Ann" })).await;
    assert_eq!((&me.body["display_name"], &me.body["role"]), (&json!("Ann"), &json!("viewer")));
}

#[tokio::test]
async fn me_tells_what_one_is_and_may() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Creator, Some(ChannelRole::Editor)).await;
    let me = by(&plane, &ann, "GET", "/api/v1/me", Value::Null).await.body;
    assert_eq!((&me["kind"], &me["name"], &me["role"]), (&json!("user"), &json!("ann"), &json!("creator")));
    assert_eq!(me["channels"], json!([{ "channel": "demo", "role": "editor" }]));
    assert_eq!(me["permissions"], json!(["channel.create", "profile.write", "token.own"]));
    let root = plane.admin("GET", "/api/v1/me", Value::Null).await.body;
    assert_eq!((&root["kind"], &root["role"], &root["user"]), (&json!("token"), &json!("admin"), &Value::Null));
    plane.admin("PATCH", "/api/v1/me", json!({ "display_name": "x" })).await.is_problem(409, "no_user");
}

#[tokio::test]
async fn a_creator_owns_what_they_make_and_sees_inside_it_alone() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Creator, None).await;
    let made = by(&plane, &ann, "POST", "/api/v1/channels", json!({ "name": "talk" })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let members = by(&plane, &ann, "GET", "/api/v1/channels/talk/members", Value::Null).await.body;
    assert_eq!((&members["members"][0]["user"], &members["members"][0]["role"]), (&json!("ann"), &json!("owner")));
    let set = by(&plane, &ann, "PATCH", "/api/v1/channels/talk", json!({ "title": "New" })).await;
    assert_eq!(set.body["title"], "New");
    let told = async |token: &str, channel: &str| {
        let path = format!("/api/v1/channels/{channel}");
        by(&plane, token, "GET", &path, Value::Null).await.body.as_object().unwrap().contains_key("last_end")
    };
    assert!(told(&ann, "talk").await && !told(&ann, "demo").await);
    let live = plane.live("b1").await;
    plane.report("n1", from_ref(&live)).await;
    let list = by(&plane, &ann, "GET", "/api/v1/broadcasts", Value::Null).await.body;
    assert_eq!(list["broadcasts"][0].get("session"), None);
    let bob = plane.user("bob", Role::Viewer, Some(ChannelRole::Moderator)).await;
    let list = by(&plane, &bob, "GET", "/api/v1/broadcasts", Value::Null).await.body;
    assert_eq!(list["broadcasts"][0]["session"], "session-b1");
    by(&plane, &bob, "POST", "/api/v1/channels", json!({ "name": "b" })).await.is_problem(403, "role_insufficient");
}

#[tokio::test]
async fn a_user_owns_100_channels() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Creator, None).await;
    plane
        .execute(
            "with made as (insert into channels (id, name, title) select gen_random_uuid(), 'c' || n, 'c' \
             from generate_series(1, 100) n returning id) \
             insert into channel_members (channel_id, user_id, role) select made.id, users.id, 'owner' from made, users",
        )
        .await;
    let answer = by(&plane, &ann, "POST", "/api/v1/channels", json!({ "name": "more" })).await;
    answer.is_problem(409, "channels_too_many");
    plane.get("/api/v1/channels/more").await.is_problem(404, "channel_unknown");
}

#[tokio::test]
async fn members_are_set_and_removed_and_an_owner_stays() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Creator, Some(ChannelRole::Owner)).await;
    plane.user("bob", Role::Viewer, None).await;
    let put = async |user: &str, role: &str| {
        by(&plane, &ann, "PUT", &format!("{DEMO}/members/{user}"), json!({ "role": role })).await
    };
    assert_eq!(put("bob", "editor").await.status, 201);
    assert_eq!(put("bob", "moderator").await.status, 204);
    put("bob", "admin").await.is_problem(422, "role_invalid");
    put("nobody", "editor").await.is_problem(404, "user_unknown");
    put("ann", "editor").await.is_problem(409, "owner_last");
    let own = format!("{DEMO}/members/ann");
    by(&plane, &ann, "DELETE", &own, Value::Null).await.is_problem(409, "owner_last");
    assert_eq!(put("bob", "owner").await.status, 204);
    assert_eq!(by(&plane, &ann, "DELETE", &own, Value::Null).await.status, 204);
    by(&plane, &ann, "GET", &format!("{DEMO}/members"), Value::Null).await.is_problem(403, "role_insufficient");
    let again = plane.admin("DELETE", &own, Value::Null).await;
    again.is_problem(404, "member_unknown");
}

#[tokio::test]
async fn what_a_member_began_from_the_studio_ends_with_their_right() {
    for (change, end) in [
        ("delete from channel_members", true),
        ("update channel_members set role = 'moderator'", true),
        ("update users set state = 'suspended'", true),
        ("update users set deleted_at = now()", true),
        ("update users set display_name = 'x'", false),
    ] {
        let plane = Plane::start().await;
        let ann = plane.user("ann", Role::Creator, Some(ChannelRole::Editor)).await;
        let made = by(&plane, &ann, "POST", &format!("{DEMO}/publish-tokens"), Value::Null).await;
        let live = plane.live_by("b1", made.body["token"].as_str().unwrap()).await;
        assert!(plane.report("n1", from_ref(&live)).await.commands.is_empty());
        plane.execute(change).await;
        let ends = plane.report("n1", from_ref(&live)).await.commands.len() == 1;
        assert_eq!(ends, end, "{change}");
    }
}

#[tokio::test]
async fn a_channel_publishes_as_long_as_one_of_its_owners_is_not_suspended() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    let ends = async || plane.report("n1", from_ref(&live)).await.commands.len() == 1;
    assert!(!ends().await, "a channel without owners is the operators'");
    plane.user("ann", Role::Creator, Some(ChannelRole::Owner)).await;
    plane.user("bob", Role::Creator, Some(ChannelRole::Owner)).await;
    plane.user("cat", Role::Creator, Some(ChannelRole::Editor)).await;
    plane.execute("update users set state = 'suspended' where name = 'ann'").await;
    assert!(!ends().await);
    plane.execute("update users set state = 'suspended' where name = 'bob'").await;
    assert!(ends().await);
    plane.admit(plane.key.expose()).await.is_problem(401, "key_revoked");
    plane.execute("update users set state = 'active' where name = 'bob'").await;
    assert_eq!(plane.admit(plane.key.expose()).await.status, 200);
}

#[tokio::test]
async fn a_broadcast_is_ended_by_order_once() {
    let plane = Plane::start().await;
    let mut live = plane.live("b1").await;
    plane.report("n1", from_ref(&live)).await;
    let moderator = plane.user("mod", Role::Moderator, None).await;
    for _ in 0..2 {
        let answer = by(&plane, &moderator, "POST", "/api/v1/broadcasts/b1/end", Value::Null).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let answer = plane.report("n1", from_ref(&live)).await;
    let [NodeCommand::EndSession { session, end, .. }] = answer.commands.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!((session.as_str(), *end), ("session-b1", SessionEnd::Ended));
    live.state = schema::api::BroadcastState::Ended;
    assert!(plane.report("n1", &[live]).await.commands.is_empty());
    let over = by(&plane, &moderator, "POST", "/api/v1/broadcasts/b1/end", Value::Null).await;
    over.is_problem(409, "broadcast_over");
    let entries = plane.admin("GET", "/api/v1/audit?action=broadcast.end", Value::Null).await.body;
    assert_eq!(entries["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_told_once_narrowed_ended_and_revoked() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Creator, Some(ChannelRole::Owner)).await;
    let body = json!({ "name": "ci", "scopes": ["key.read", "key.read"], "expires_at": "2999-01-01T00:00:00Z" });
    let made = by(&plane, &ann, "POST", TOKENS, body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!((&made.body["user"], &made.body["scopes"]), (&json!("ann"), &json!(["key.read"])));
    let token = made.body["token"].as_str().unwrap().to_owned();
    assert_eq!(by(&plane, &token, "GET", &format!("{DEMO}/keys"), Value::Null).await.status, 200);
    by(&plane, &token, "POST", &format!("{DEMO}/keys"), Value::Null).await.is_problem(403, "role_insufficient");
    let list = by(&plane, &ann, "GET", TOKENS, Value::Null).await.body;
    assert_eq!(list["tokens"].as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains(&token[6..]));
    assert!(list["tokens"][0]["last_used_at"].is_string(), "{list}");
    let path = format!("{TOKENS}/{}", made.body["id"].as_str().unwrap());
    plane.admin("DELETE", &path, Value::Null).await.is_problem(404, "token_unknown");
    for _ in 0..2 {
        assert_eq!(by(&plane, &ann, "DELETE", &path, Value::Null).await.status, 204);
    }
    by(&plane, &token, "GET", "/api/v1/me", Value::Null).await.is_problem(401, "token_unknown");
}

#[tokio::test]
async fn a_token_made_by_a_token_is_no_wider_and_lives_no_longer() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Admin, None).await;
    let body = json!({ "name": "a", "scopes": ["token.own", "key.read"], "expires_at": "2999-01-01T00:00:00Z" });
    let narrow = by(&plane, &ann, "POST", TOKENS, body).await.body["token"].as_str().unwrap().to_owned();
    let wider = json!({ "name": "b", "scopes": ["key.write"] });
    by(&plane, &narrow, "POST", TOKENS, wider).await.is_problem(422, "scopes_invalid");
    let same = by(&plane, &narrow, "POST", TOKENS, json!({ "name": "c" })).await.body;
    assert_eq!(
        (&same["scopes"], &same["expires_at"]),
        (&json!(["key.read", "token.own"]), &json!("2999-01-01T00:00:00Z"))
    );
    let longer = json!({ "name": "d", "scopes": ["key.read"], "expires_at": "3999-01-01T00:00:00Z" });
    let made = by(&plane, &narrow, "POST", TOKENS, longer).await.body;
    assert_eq!(made["expires_at"], "2999-01-01T00:00:00Z");
    for (field, value) in [
        ("name", json!("")),
        ("scopes", json!([])),
        ("scopes", json!(["everything"])),
        ("expires_at", json!("tomorrow")),
        ("role", json!("admin")),
    ] {
        let mut body = json!({ "name": "x" });
        body[field] = value;
        by(&plane, &ann, "POST", TOKENS, body).await.is_problem(422, &format!("{field}_invalid"));
    }
}

#[tokio::test]
async fn tokens_of_nobody_are_admin_or_read_and_never_both_narrowed_and_of_a_role() {
    let plane = Plane::start().await;
    for (body, role) in [(json!({ "name": "a" }), "admin"), (json!({ "name": "b", "role": "read" }), "read")] {
        let made = plane.admin("POST", TOKENS, body).await;
        assert_eq!((&made.body["role"], &made.body["user"]), (&json!(role), &Value::Null), "{made:?}");
    }
    let both = json!({ "name": "c", "role": "read", "scopes": ["user.write"] });
    plane.admin("POST", TOKENS, both).await.is_problem(422, "role_invalid");
    let made = plane.admin("POST", TOKENS, json!({ "name": "d", "scopes": ["user.read"] })).await.body;
    let token = made["token"].as_str().unwrap();
    assert_eq!(by(&plane, token, "GET", USERS, Value::Null).await.status, 200);
    by(&plane, token, "POST", USERS, json!({ "name": "x" })).await.is_problem(403, "role_insufficient");
    let all = plane.admin("GET", "/api/v1/api-tokens?limit=2", Value::Null).await.body;
    assert_eq!((all["tokens"].as_array().unwrap().len(), all["next"].is_string()), (2, true));
}

#[tokio::test]
async fn an_update_of_an_older_version_is_412() {
    let plane = Plane::start().await;
    plane.admin("POST", USERS, json!({ "name": "ann" })).await;
    for (path, show) in [(DEMO, "/api/v1/channels/demo/settings"), ("/api/v1/users/ann", "/api/v1/users/ann")] {
        let field = if path == DEMO { "title" } else { "display_name" };
        let tag = plane.admin("GET", show, Value::Null).await.headers["etag"].to_str().unwrap().to_owned();
        let set = if_match(&plane, "PATCH", path, &tag, json!({ field: "One" })).await;
        assert_eq!(set.status, 200, "{set:?}");
        let newer = set.headers["etag"].to_str().unwrap().to_owned();
        assert_ne!(newer, tag);
        let late = if_match(&plane, "PATCH", path, &tag, json!({ field: "Two" })).await;
        late.is_problem(412, "version_changed");
        for odd in ["\"x\"", "W/\"2\"", "7"] {
            if_match(&plane, "PATCH", path, odd, json!({ field: "Two" })).await.is_problem(412, "version_changed");
        }
        if_match(&plane, "DELETE", path, &tag, Value::Null).await.is_problem(412, "version_changed");
        let shown = plane.admin("GET", show, Value::Null).await;
        assert_eq!(shown.body[field], "One");
        assert_eq!(if_match(&plane, "PATCH", path, "*", json!({})).await.status, 200);
        let tags =
            format!("\"900\", {}", plane.admin("GET", show, Value::Null).await.headers["etag"].to_str().unwrap());
        assert_eq!(if_match(&plane, "DELETE", path, &tags, Value::Null).await.status, 204);
        let gone = if_match(&plane, "PATCH", path, "\"1\"", json!({})).await;
        assert_eq!(gone.status, 404);
    }
}

#[tokio::test]
async fn a_rotated_key_publishes_until_its_overlap_is_over() {
    let plane = Plane::start().await;
    let keys = format!("{DEMO}/keys");
    let made = plane.admin("POST", &keys, json!({ "label": "OBS", "role": "backup" })).await.body;
    let (old, path) = (made["key"].as_str().unwrap(), format!("{keys}/{}/rotate", made["id"].as_str().unwrap()));
    for wrong in [json!(604_801), json!(-1), json!("x")] {
        plane.admin("POST", &path, json!({ "overlap_s": wrong })).await.is_problem(422, "overlap_s_invalid");
    }
    let new = plane.admin("POST", &path, json!({ "overlap_s": 60 })).await;
    assert_eq!((new.status.as_u16(), &new.body["label"], &new.body["role"]), (201, &json!("OBS"), &json!("backup")));
    let new = new.body["key"].as_str().unwrap().to_owned();
    for key in [old, &new] {
        assert_eq!(plane.admit(key).await.status, 200);
    }
    let live = plane.live_by("b1", old).await;
    assert!(plane.report("n1", from_ref(&live)).await.commands.is_empty());
    plane.execute("update stream_keys set expires_at = now() where expires_at is not null").await;
    plane.admit(old).await.is_problem(401, "key_revoked");
    assert_eq!(plane.report("n1", from_ref(&live)).await.commands.len(), 1);
    assert_eq!(plane.admit(&new).await.status, 200);
    plane.admin("POST", &path, Value::Null).await.is_problem(404, "key_unknown");
}

#[tokio::test]
async fn a_key_rotated_without_overlap_is_revoked_at_once() {
    let plane = Plane::start().await;
    let keys = plane.admin("GET", &format!("{DEMO}/keys"), Value::Null).await.body;
    let path = format!("{DEMO}/keys/{}/rotate", keys["keys"][0]["id"].as_str().unwrap());
    let new = plane.admin("POST", &path, Value::Null).await;
    assert_eq!(new.status, 201, "{new:?}");
    plane.admit(plane.key.expose()).await.is_problem(401, "key_revoked");
    assert_eq!(plane.admit(new.body["key"].as_str().unwrap()).await.status, 200);
}
