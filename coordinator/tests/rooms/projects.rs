//! Projects through the console door: their names, the default one, and which may be deleted.

use crate::world::{Answer, get, post, send, with_world};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/projects";

/// One person of a tenant.
struct Person<'a> {
    host: &'a str,
    bearer: String,
}

impl Person<'_> {
    async fn get(&self, path: &str) -> Answer {
        get(self.host, path, &[("authorization", &self.bearer)]).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        post(self.host, path, &[("authorization", &self.bearer)], &body.to_string()).await
    }

    async fn rename(&self, id: &str, version: &str, body: &Value) -> Answer {
        let headers =
            [("authorization", self.bearer.as_str()), ("if-match", version), ("content-type", "application/json")];
        send(self.host, "PATCH", &format!("{PATH}/{id}"), &headers, body.to_string().as_bytes()).await
    }

    async fn delete(&self, id: &str) -> Answer {
        send(self.host, "DELETE", &format!("{PATH}/{id}"), &[("authorization", &self.bearer)], b"").await
    }

    /// Makes a project; its id.
    async fn make(&self, name: &str) -> String {
        self.post(PATH, &json!({ "name": name })).await.ok()["id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_rename_needs_the_version_that_was_read_and_a_free_name() {
    with_world(async |world| {
        let ada = Person { host: &world.console, bearer: world.bearer_of("ada").await };
        let bob = Person { host: &world.console, bearer: world.bearer_of("bob").await };
        let id = ada.make("research").await;
        let one = format!("{PATH}/{id}");
        let read = ada.get(&one).await;
        assert_eq!((read.headers["etag"].as_str(), read.json["version"].as_i64()), ("\"1\"", Some(1)));
        let new = json!({"name": " training "});
        let headers = [("authorization", ada.bearer.as_str()), ("content-type", "application/json")];
        let blind = send(&world.console, "PATCH", &one, &headers, new.to_string().as_bytes()).await;
        assert_eq!(blind.refusal(), (428, "if_match_required"));
        let renamed = ada.rename(&id, "\"1\"", &new).await;
        assert_eq!(renamed.headers["etag"], "\"2\"");
        assert_eq!((&renamed.json["name"], &renamed.json["version"]), (&json!("training"), &json!(2)));
        assert_eq!(ada.rename(&id, "\"1\"", &json!({"name": "late"})).await.refusal(), (412, "stale_version"));
        assert_eq!(ada.rename(&id, "\"2\"", &json!({"name": "default"})).await.refusal(), (409, "name_taken"));
        assert_eq!(ada.rename(&id, "\"2\"", &json!({"name": "a\nb"})).await.refusal(), (422, "validation_failed"));
        assert_eq!(ada.rename(&id, "\"2\"", &json!({"nmae": "x"})).await.refusal().0, 422);
        assert_eq!(ada.rename(&id, "\"2\"", &json!({})).await.ok()["version"], 2, "nothing to change");
        let foreign = bob.rename(&id, "\"2\"", &json!({"name": "mine"})).await;
        assert_eq!((foreign.refusal(), bob.get(&one).await.refusal()), ((404, "not_found"), (404, "not_found")));
        assert_eq!(ada.get(&one).await.ok()["name"], "training");
        // The name it had is free again.
        ada.make("research").await;
    });
}

#[test]
fn the_mark_of_the_default_project_moves_and_is_one() {
    with_world(async |world| {
        let ada = Person { host: &world.console, bearer: world.bearer_of("ada").await };
        let bob = Person { host: &world.console, bearer: world.bearer_of("bob").await };
        let id = ada.make("research").await;
        let path = format!("{PATH}/{id}/set-default");
        assert_eq!(bob.post(&path, &json!({})).await.refusal(), (404, "not_found"));
        for _ in 0..2 {
            assert_eq!(ada.post(&path, &json!({})).await.ok()["is_default"], true);
            let all = ada.get(PATH).await.ok();
            let marked: Vec<_> =
                all["items"].as_array().unwrap().iter().filter(|one| one["is_default"] == true).collect();
            assert_eq!((marked.len(), marked[0]["id"].as_str()), (1, Some(id.as_str())));
        }
        assert_eq!(ada.get("/api/v1/me").await.ok()["default_project"]["id"], id.as_str());
        let root = world.operator_bearer().await;
        let trail = format!("/api/v1/admin/audit-logs?action=projects.set_default&target={id}");
        let trail = get(&world.operator, &trail, &[("authorization", &root)]).await.ok();
        assert_eq!(trail["items"].as_array().unwrap().len(), 1, "the second time changed nothing");
        assert_eq!(trail["items"][0]["before"]["name"], "default");
    });
}

#[test]
fn the_default_project_stays_and_another_that_is_empty_goes() {
    with_world(async |world| {
        let ada = Person { host: &world.console, bearer: world.bearer_of("ada").await };
        let bob = Person { host: &world.console, bearer: world.bearer_of("bob").await };
        let first = ada.get("/api/v1/me").await.ok()["default_project"]["id"].as_str().unwrap().to_owned();
        let refused = ada.delete(&first).await;
        assert_eq!(refused.refusal(), (409, "default_project"));
        assert_eq!(refused.json["errors"][0]["field"], first.as_str());
        let impact = ada.get(&format!("{PATH}/{first}/deletion-impact")).await.ok();
        assert_eq!((&impact["deletable"], &impact["blockers"][0]["code"]), (&json!(false), &json!("default_project")));
        let id = ada.make("research").await;
        let asked = format!("{PATH}/{id}/deletion-impact");
        assert_eq!(bob.get(&asked).await.refusal(), (404, "not_found"));
        assert_eq!(bob.delete(&id).await.refusal(), (404, "not_found"));
        let impact = ada.get(&asked).await.ok();
        assert_eq!((&impact["deletable"], &impact["allocations"]), (&json!(true), &json!(0)));
        assert_eq!(ada.delete(&id).await.status, 204);
        for answer in [ada.delete(&id).await, ada.get(&format!("{PATH}/{id}")).await, ada.get(&asked).await] {
            assert_eq!(answer.refusal(), (404, "not_found"));
        }
        assert_eq!(ada.post(&format!("{PATH}/{id}/set-default"), &json!({})).await.refusal(), (404, "not_found"));
        let all = ada.get(PATH).await.ok();
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
        ada.make("research").await;
    });
}
