//! A price that is to come, while time passes.

use crate::fleet::Operator;
use crate::stream::text;
use crate::world::{get, post, with_world};
use serde_json::{Value, json};

/// When the worlds' clock begins, and a minute later.
const BEGIN: &str = "2027-01-15T08:00:00.000Z";
const LATER: &str = "2027-01-15T08:01:00.000Z";

#[test]
fn a_price_counts_from_its_time_on() {
    with_world(async |world| {
        let operator = Operator::new(world).await;
        let sku = operator.post("/api/v1/admin/skus", &json!({"name": "cpu", "kind": "cpu"})).await.ok();
        let path = format!("/api/v1/admin/skus/{}", text(&sku["id"]));
        let _ = operator.post(&format!("{path}/activate"), &json!({})).await.ok();
        let set = async |key: &str, body: Value| {
            let version = operator.get(&path).await.headers["etag"].clone();
            let headers =
                [("authorization", operator.bearer.as_str()), ("idempotency-key", key), ("if-match", version.as_str())];
            post(&world.operator, &format!("{path}/prices"), &headers, &body.to_string()).await
        };
        let later = json!({"price_minor_per_hour": 7, "effective_at": LATER});
        assert_eq!(set("a", later.clone()).await.ok()["state"], "coming");
        let now = set("b", json!({"price_minor_per_hour": 5, "effective_at": BEGIN})).await.ok();
        assert_eq!((&now["state"], &now["effective_at"]), (&json!("current"), &json!(BEGIN)));

        let ada = world.bearer_of("ada").await;
        let costs = async || {
            let seen = get(&world.console, "/api/v1/skus", &[("authorization", &ada)]).await.ok();
            assert!(seen["items"][0]["coming_prices"].is_null(), "what is to come is not told to users: {seen:#}");
            seen["items"][0]["price_minor_per_hour"].clone()
        };
        let coming = async || operator.get(&path).await.ok()["coming_prices"].as_array().map(Vec::len);
        world.pass_ms(59_999);
        assert_eq!((costs().await, coming().await), (json!(5), Some(1)));
        world.pass_ms(1);
        assert_eq!((costs().await, coming().await), (json!(7), Some(0)));
        world.pass_ms(1);
        assert_eq!(set("c", later).await.refusal(), (422, "validation_failed"));
    });
}
