use schema::api::{KeyRole, SecondPublisher};
use serde_json::{Value, json};

use crate::fixture::Plane;

#[tokio::test]
async fn a_good_key_is_granted_its_channel_as_it_is_set() {
    let plane = Plane::start().await;
    plane
        .admin(
            "PATCH",
            "/api/v1/channels/demo",
            json!({ "profile": "ultra", "frame_rate": 50, "grace_s": 600, "second_publisher": "refuse", "dvr_s": 90, "passthrough": false }),
        )
        .await;
    let grant = plane.admit(plane.key.expose()).await;
    assert_eq!(grant.status, 200, "{grant:?}");
    let grant: schema::api::PublishGrant = serde_json::from_value(grant.body).unwrap();
    assert_eq!(grant.channel.as_str(), "demo");
    assert_eq!(grant.title, "Demo");
    assert_eq!(grant.profile, schema::ladder::LatencyProfile::Ultra);
    assert_eq!(grant.frame_rate, Some(50));
    assert_eq!(grant.ladder, schema::ladder::Ladder::default());
    assert_eq!(grant.last_size, None);
    assert_eq!((grant.grace_s, grant.second_publisher), (600, SecondPublisher::Refuse));
    assert!(!grant.passthrough);
    assert_eq!((grant.role, grant.slate, grant.dvr_s), (KeyRole::Primary, None, 90));
}

#[tokio::test]
async fn a_channel_that_says_nothing_has_the_usual_grace_and_gives_way_to_a_second_publisher() {
    let plane = Plane::start().await;
    let grant = plane.admit(plane.key.expose()).await;
    let grant: schema::api::PublishGrant = serde_json::from_value(grant.body).unwrap();
    assert_eq!((grant.grace_s, grant.second_publisher, grant.dvr_s), (60, SecondPublisher::Replace, 0));
    assert!(grant.passthrough);
}

#[tokio::test]
async fn wrong_keys_are_401_and_counted() {
    let plane = Plane::start().await;
    let long = "x".repeat(60_000);
    let almost = plane.key.expose().to_uppercase();
    for key in ["", "hw_sk_", "\u{0}", "' or 1=1 --", &long, &almost] {
        plane.admit(key).await.is_problem(401, "key_unknown");
    }
    plane.admit(plane.admin.expose()).await.is_problem(401, "key_unknown");
    plane.admit(plane.key.expose()).await;
    let metrics = plane.metrics();
    for line in [
        r#"headwater_control_admissions_total{result="key_unknown"} 7"#,
        r#"headwater_control_admissions_total{result="granted"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn the_key_of_a_deleted_channel_is_revoked() {
    let plane = Plane::start().await;
    plane.admin("DELETE", "/api/v1/channels/demo", Value::Null).await;
    plane.admit(plane.key.expose()).await.is_problem(401, "key_revoked");
}

#[tokio::test]
async fn the_last_use_is_written_once_a_minute() {
    let plane = Plane::start().await;
    plane.admit(plane.key.expose()).await;
    let first = last_use(&plane).await;
    assert!(first.is_some());
    plane.admit(plane.key.expose()).await;
    assert_eq!(last_use(&plane).await, first);
    let age = "update stream_keys set last_used_at = now() - interval '61 seconds'";
    sqlx::query(age).execute(plane.pool()).await.unwrap();
    plane.admit(plane.key.expose()).await;
    assert!(last_use(&plane).await > first);
}

async fn last_use(plane: &Plane) -> Option<chrono::DateTime<chrono::Utc>> {
    let sql = "select last_used_at from stream_keys";
    sqlx::query_scalar(sql).fetch_one(plane.pool()).await.unwrap()
}

#[tokio::test]
async fn requests_that_are_no_admission_are_400_and_do_not_repeat_the_key() {
    let plane = Plane::start().await;
    let bodies = [
        "".to_owned(),
        "{}".to_owned(),
        json!({ "key": "secret-1", "protocol": "secret-1", "session": "s" }).to_string(),
        json!({ "key": "secret-1", "protocol": "whip", "session": "../secret-1" }).to_string(),
        json!({ "key": ["secret-1"], "protocol": "whip", "session": "s" }).to_string(),
    ];
    for body in bodies {
        let answer = plane.internal("/internal/v1/admissions", body).await;
        answer.is_problem(400, "json_invalid");
        assert!(!answer.body.to_string().contains("secret-1"), "{answer:?}");
    }
}
