use serde_json::{Value, json};

use crate::fixture::Plane;

const KEYS: &str = "/api/v1/channels/demo/keys";

#[tokio::test]
async fn a_new_key_is_shown_once_and_publishes() {
    let plane = Plane::start().await;
    let made = plane.admin("POST", KEYS, json!({ "label": "OBS" })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let key = made.body["key"].as_str().unwrap();
    assert!(key.starts_with("hw_sk_") && key.len() == 46, "{key}");
    assert_eq!(plane.admit(key).await.status, 200);
    let list = plane.admin("GET", KEYS, Value::Null).await;
    assert!(!list.body.to_string().contains(&key[6..]));
    assert_eq!(list.body["keys"][0]["label"], "OBS");
    assert_eq!(list.body["keys"][0]["id"], made.body["id"]);
    assert_eq!(list.body["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_needs_no_body_and_refuses_a_bad_label() {
    let plane = Plane::start().await;
    let made = plane.admin("POST", KEYS, Value::Null).await;
    assert_eq!((made.status.as_u16(), &made.body["label"]), (201, &json!("")));
    let long = plane.admin("POST", KEYS, json!({ "label": "x".repeat(101) })).await;
    long.is_problem(422, "label_invalid");
    let none = plane.admin("POST", "/api/v1/channels/none/keys", Value::Null).await;
    none.is_problem(404, "channel_unknown");
}

#[tokio::test]
async fn a_key_is_primary_unless_made_a_backup_and_its_grant_says_so() {
    let plane = Plane::start().await;
    for (body, role) in [
        (json!({}), "primary"),
        (json!({ "role": null }), "primary"),
        (json!({ "role": "primary" }), "primary"),
        (json!({ "role": "backup", "label": "van" }), "backup"),
    ] {
        let made = plane.admin("POST", KEYS, body).await;
        assert_eq!((made.status.as_u16(), &made.body["role"]), (201, &json!(role)), "{made:?}");
        let listed = plane.admin("GET", KEYS, Value::Null).await;
        assert_eq!(listed.body["keys"][0]["role"], role);
        let grant = plane.admit(made.body["key"].as_str().unwrap()).await;
        assert_eq!(grant.body["role"], role);
    }
    for role in [json!("Backup"), json!(""), json!("standby"), json!(1)] {
        plane.admin("POST", KEYS, json!({ "role": role })).await.is_problem(422, "role_invalid");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_revoking_again_is_harmless() {
    let plane = Plane::start().await;
    let made = plane.admin("POST", KEYS, Value::Null).await;
    let path = format!("{KEYS}/{}", made.body["id"].as_str().unwrap());
    let key = made.body["key"].as_str().unwrap();
    assert_eq!(plane.admin("DELETE", &path, Value::Null).await.status, 204);
    plane.admit(key).await.is_problem(401, "key_revoked");
    assert_eq!(plane.admin("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(plane.admit(plane.key.expose()).await.status, 200);
}

#[tokio::test]
async fn a_key_of_another_channel_or_none_cannot_be_revoked() {
    let plane = Plane::start().await;
    plane.admin("POST", "/api/v1/channels", json!({ "name": "other" })).await;
    let made = plane.admin("POST", KEYS, Value::Null).await;
    let id = made.body["id"].as_str().unwrap();
    let path = format!("/api/v1/channels/other/keys/{id}");
    plane.admin("DELETE", &path, Value::Null).await.is_problem(404, "key_unknown");
    let bad = plane.admin("DELETE", &format!("{KEYS}/nonsense"), Value::Null).await;
    bad.is_problem(404, "key_unknown");
    assert_eq!(plane.admit(made.body["key"].as_str().unwrap()).await.status, 200);
}

#[tokio::test]
async fn a_channel_holds_32_valid_keys() {
    let plane = Plane::start().await;
    for _ in 1..32 {
        assert_eq!(plane.admin("POST", KEYS, Value::Null).await.status, 201);
    }
    let answer = plane.admin("POST", KEYS, Value::Null).await;
    answer.is_problem(409, "keys_too_many");
}
