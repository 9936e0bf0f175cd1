//! Every route by everybody: allowed exactly where the table of permissions says.

use std::collections::BTreeSet;
use std::path::Path;
use std::slice::from_ref;

use axum::body::Body;
use axum::http::Request;
use control_api::permission::{ChannelRole, Role, TABLE};
use control_api::{ApiRoute, Field, Kind, Need, Takes, Verb, declared_routes};
use serde_json::{Map, Value, json};

use crate::fixture::{Answer, Plane};

/// Somebody who asks, and what they are by the database.
struct Asker {
    told: String,
    token: Option<String>,
    role: Option<Role>,
    member: Option<ChannelRole>,
    scope: Option<&'static str>,
    suspended: bool,
}

impl Asker {
    /// Whether the declared need is met, straight from the rows of the table.
    fn meets(&self, need: Need) -> bool {
        let Some(permission) = need.permission() else {
            return need == Need::Nothing || (self.role.is_some() && !self.suspended);
        };
        let row = TABLE.iter().find(|row| row.permission == permission).unwrap();
        let by_role = self.role.is_some_and(|role| row.roles.contains(&role));
        let on_channel = matches!(need, Need::OnChannel(_) | Need::OnBroadcast(_) | Need::OnViewerSession(_));
        let by_channel = on_channel && self.member.is_some_and(|member| row.channel_roles.contains(&member));
        let in_scope = self.scope.is_none_or(|scope| scope == row.word);
        !self.suspended && in_scope && (by_role || by_channel)
    }
}

/// The roles of users, as members of the channel in every way and not; API tokens without a user; the stranger.
async fn askers(plane: &Plane) -> Vec<Asker> {
    let mut askers =
        vec![Asker { told: "stranger".into(), token: None, role: None, member: None, scope: None, suspended: false }];
    for role in [Role::Admin, Role::Read] {
        let token = plane.token_of(None, role, None).await;
        askers.push(Asker {
            told: format!("token {role:?}"),
            token: Some(token),
            role: Some(role),
            member: None,
            scope: None,
            suspended: false,
        });
    }
    for role in Role::OF_USERS {
        for member in [None].into_iter().chain(ChannelRole::ALL.map(Some)) {
            let name = format!("{}-{}", role.as_str(), member.map_or("none", ChannelRole::as_str));
            let token = plane.user(&name, role, member).await;
            let told = format!("user {name}");
            askers.push(Asker { told, token: Some(token), role: Some(role), member, scope: None, suspended: false });
        }
    }
    let gone = plane.user("gone", Role::Admin, Some(ChannelRole::Owner)).await;
    plane.execute("update users set state = 'suspended' where name = 'gone'").await;
    let (role, member) = (Some(Role::Admin), Some(ChannelRole::Owner));
    askers.push(Asker { told: "suspended".into(), token: Some(gone), role, member, scope: None, suspended: true });
    for row in TABLE {
        let token = plane.token_of(Some("viewer-owner"), Role::Viewer, Some(row.word)).await;
        let told = format!("viewer and owner, narrowed to {}", row.word);
        let (role, scope) = (Some(Role::Viewer), Some(row.word));
        askers.push(Asker { told, token: Some(token), role, member, scope, suspended: false });
    }
    askers
}

/// What viewers ask, who may be nobody.
const WATCHES: [&str; 4] = [
    "/api/v1/playback/{name}",
    "/api/v1/viewer-sessions/{id}",
    "/api/v1/viewer-sessions/{id}/heartbeat",
    "/api/v1/viewer-sessions/{id}/leave",
];

/// Of a viewer session on the channel.
const VIEWER: &str = "0123456789abcdef0123456789abcdef";

fn filled(route: &ApiRoute) -> String {
    let id = match route.path {
        path if path.starts_with("/api/v1/broadcasts/") => "b1",
        path if path.starts_with("/api/v1/viewer-sessions/") => VIEWER,
        _ => "0190a0a0-0000-7000-8000-000000000000",
    };
    route.path.replace("{name}", "demo").replace("{id}", id).replace("{user}", "nobody")
}

/// A request that reaches the handler of `route`, which then refuses it or does no harm.
async fn ask(plane: &Plane, route: &ApiRoute, token: Option<&str>) -> Answer {
    let path = filled(route);
    let mut request = Request::builder().method(route.verb.as_str()).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = if route.verb == Verb::Get { "" } else { r#"{"nonsense":1}"# };
    let answer = plane.public_raw(request.body(Body::from(body)).unwrap()).await;
    if route.verb == Verb::Delete {
        plane.execute("update channels set deleted_at = null").await;
        plane.execute("update stream_keys set revoked_at = null").await;
    }
    answer
}

#[tokio::test]
async fn every_route_is_open_to_exactly_those_whom_the_table_names() {
    let plane = Plane::start().await;
    let live = plane.live("b1").await;
    plane.report("n1", from_ref(&live)).await;
    let sql = "insert into viewer_sessions (id, channel_id, token_until) select $1, id, now() from channels";
    sqlx::query(sql).bind(VIEWER).execute(plane.pool()).await.unwrap();
    let (askers, mut allowed, mut refused) = (askers(&plane).await, 0, 0);
    for route in declared_routes() {
        for asker in &askers {
            let answer = ask(&plane, &route, asker.token.as_deref()).await;
            let what = format!("{} {} by {}: {answer:?}", route.verb.as_str(), route.path, asker.told);
            // Signing in is a matter of its own.
            let is_open = ![401, 403].contains(&answer.status.as_u16());
            assert_eq!(is_open, asker.meets(route.need), "{what}");
            assert!(answer.status.as_u16() < 500, "{what}");
            match is_open {
                true => allowed += 1,
                false => refused += 1,
            }
        }
    }
    assert!(allowed > 300 && refused > 300, "{allowed} allowed, {refused} refused");
}

#[tokio::test]
async fn a_member_of_one_channel_is_a_stranger_to_another_and_to_none() {
    let plane = Plane::start().await;
    plane.admin("POST", "/api/v1/channels", json!({ "name": "other" })).await;
    let owner = plane.user("ann", Role::Creator, Some(ChannelRole::Owner)).await;
    let ask = async |path: &str| plane.send_as(Some(&owner), "GET", path, "").await;
    assert_eq!(ask("/api/v1/channels/demo/keys").await.status, 200);
    ask("/api/v1/channels/other/keys").await.is_problem(403, "role_insufficient");
    for none in ["none", "A", "%00", "%ff", "demo%2f.."] {
        ask(&format!("/api/v1/channels/{none}/keys")).await.is_problem(404, "channel_unknown");
    }
    for none in ["none", "%00", "%ff", VIEWER] {
        let answer = plane.send_as(Some(&owner), "POST", &format!("/api/v1/broadcasts/{none}/end"), "").await;
        answer.is_problem(404, "broadcast_unknown");
        let path = format!("/api/v1/viewer-sessions/{none}/put-out");
        plane.send_as(Some(&owner), "POST", &path, "").await.is_problem(404, "viewer_session_unknown");
    }
    let of = async |channel: &str| plane.send_as(None, "POST", &format!("/api/v1/playback/{channel}"), "").await;
    for (channel, status) in [("demo", 204), ("other", 403)] {
        let id = of(channel).await.body["viewer_session"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/viewer-sessions/{id}/put-out");
        assert_eq!(plane.send_as(Some(&owner), "POST", &path, "").await.status, status, "{channel}");
    }
    plane.execute("delete from channel_members").await;
    ask("/api/v1/channels/demo/keys").await.is_problem(403, "role_insufficient");
}

#[tokio::test]
async fn an_end_a_revocation_and_a_deletion_close_every_door() {
    let plane = Plane::start().await;
    let ask = async |token: &str| plane.send_as(Some(token), "GET", "/api/v1/me", "").await;
    for (name, change, status, code) in [
        ("a", "update api_tokens set expires_at = now()", 401, "token_unknown"),
        ("b", "update api_tokens set revoked_at = now()", 401, "token_unknown"),
        ("c", "update users set deleted_at = now()", 401, "token_unknown"),
        ("d", "update users set state = 'suspended'", 403, "user_suspended"),
    ] {
        let token = plane.user(name, Role::Viewer, None).await;
        assert_eq!(ask(&token).await.status, 200);
        plane.execute(change).await;
        ask(&token).await.is_problem(status, code);
    }
}

#[test]
fn what_belongs_to_a_channel_or_a_broadcast_names_it_in_its_path() {
    let mut ids = BTreeSet::new();
    for route in declared_routes() {
        let key = match route.need {
            Need::OnChannel(_) => "/api/v1/channels/{name}",
            Need::OnBroadcast(_) => "/api/v1/broadcasts/{id}",
            Need::OnViewerSession(_) => "/api/v1/viewer-sessions/{id}",
            _ if route.path == "/.well-known/jwks.json" => "/.well-known/",
            _ => "/api/",
        };
        assert!(route.path.starts_with(key), "{}", route.path);
        assert!(!route.says.is_empty(), "{}", route.path);
        assert!(ids.insert((route.path, route.verb.as_str())), "{} twice", route.path);
        // Who signs in is nobody yet.
        let signs_in = route.path == "/api/v1/session" || route.path.starts_with("/api/v1/auth/");
        // Who watches may be nobody; the id of their session, 128 random bits, is the proof that it is theirs.
        let watches = WATCHES.contains(&route.path);
        assert!(route.verb == Verb::Get || route.need != Need::Nothing || signs_in || watches, "{}", route.path);
    }
}

/// What the handlers read is what the document says, field by field.
#[tokio::test]
async fn every_documented_field_is_read_and_no_other() {
    let plane = Plane::start().await;
    for route in declared_routes() {
        let Takes::Json(fields) = route.takes else {
            continue;
        };
        let value = |field: &Field| match (field.name, field.kind) {
            ("name", _) => json!("a-name"),
            (_, Kind::Text | Kind::Time) => json!("2026-11-22T16:00:00Z"),
            (_, Kind::Integer) => json!(1),
            (_, Kind::Boolean) => json!(true),
            (_, Kind::Object) => json!({}),
            (_, Kind::Texts) => json!(["x"]),
        };
        let path = filled(&route);
        let required: Map<String, Value> =
            fields.iter().filter(|field| field.required).map(|field| (field.name.to_owned(), value(field))).collect();
        for field in fields {
            let mut body = required.clone();
            body.insert(field.name.to_owned(), value(field));
            let answer = plane.admin(route.verb.as_str(), &path, Value::Object(body)).await;
            assert_ne!(answer.body["code"], "field_unknown", "{path} {}: {answer:?}", field.name);
        }
        let mut more = required;
        more.insert("no_such_field".into(), json!(1));
        let answer = plane.admin(route.verb.as_str(), &path, Value::Object(more)).await;
        let refused = ["field_unknown", "role_invalid"].contains(&answer.body["code"].as_str().unwrap());
        assert!(refused, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn the_openapi_document_has_every_route_with_its_need() {
    let plane = Plane::start().await;
    let answer = plane.get("/api/openapi.json").await;
    assert_eq!((answer.status.as_u16(), &answer.body["openapi"]), (200, &json!("3.1.0")));
    let document = answer.body;
    let mut count = 0;
    for route in declared_routes() {
        let operation = &document["paths"][route.path][route.verb.as_str().to_lowercase()];
        assert_eq!(operation["x-permission"], route.need.as_str(), "{}", route.path);
        assert_eq!(operation.get("security").is_some(), route.need != Need::Nothing, "{}", route.path);
        let status = route.answers.status.as_str();
        let tagged = operation["responses"][status]["headers"].get("ETag").is_some();
        assert_eq!(tagged, route.tagged, "{}", route.path);
        let told = |name: &str| operation["parameters"].to_string().contains(&format!("\"name\":\"{name}\""));
        assert_eq!((told("Idempotency-Key"), told("If-Match")), (route.once, route.matched), "{}", route.path);
        for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(told(name), "{} {name}", route.path);
        }
        count += 1;
    }
    let items = document["paths"].as_object().unwrap().values();
    assert_eq!(items.map(|item| item.as_object().unwrap().len()).sum::<usize>(), count);
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn docs_permissions_md_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/permissions.md");
    let page = control_api::permissions_page();
    if std::env::var_os("HEADWATER_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, page, "run HEADWATER_WRITE_DOCS=1 cargo test -p control-api --test api permissions");
}

/// No handler is reached around the declarations.
#[test]
fn the_public_router_is_made_of_declared_routes_alone() {
    let source = include_str!("../../src/lib.rs");
    let (_, public) = source.split_once("pub fn public_router").unwrap();
    let (public, _) = public.split_once("pub fn internal_router").unwrap();
    assert!(public.contains("http::routes::router(routes::all()"));
    assert!(!public.contains(".route(") && !public.contains(".merge(") && !public.contains(".nest("), "{public}");
}
