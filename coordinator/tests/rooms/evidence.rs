//! The audit trail, metrics, health and the documents of the doors.

use crate::world::{get, post, with_world};
use muster_coordinator::audit;

#[test]
fn every_change_leaves_an_event_and_the_chain_holds() {
    with_world(async |world| {
        world.person("ada").await;
        let root = world.operator_bearer().await;
        let auth = [("authorization", root.as_str())];
        audit::tick::seal(world.app.clone()).await.unwrap();
        let list = get(&world.operator, "/api/v1/admin/audit-logs?limit=200", &auth).await.ok();
        let actions: Vec<&str> =
            list["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
        for action in ["fleet.init", "users.create", "tenants.create", "projects.create", "auth.login"] {
            assert!(actions.contains(&action), "{action} is missing in {actions:?}");
        }
        assert!(!list.to_string().contains("password\""), "no secret stands in an event");
        let chain = get(&world.operator, "/api/v1/admin/audit-logs/verify", &auth).await.ok();
        assert_eq!((chain["ok"].as_bool(), chain["unsealed"].as_i64()), (Some(true), Some(0)));
        assert_eq!(chain["checked"].as_u64().unwrap() as usize, actions.len());
        let one = get(&world.operator, "/api/v1/admin/audit-logs?action=users.&limit=1", &auth).await.ok();
        assert_eq!(one["items"][0]["action"], "users.create");
        let none = get(&world.operator, "/api/v1/admin/audit-logs?from=yesterday", &auth).await;
        assert_eq!(none.refusal(), (422, "validation_failed"));
    });
}

#[test]
fn a_changed_row_breaks_the_chain_at_that_row() {
    with_world(async |world| {
        let root = world.operator_bearer().await;
        audit::tick::seal(world.app.clone()).await.unwrap();
        let id = world.app.store.ingest(|tx| {
            let id: String = tx.one("SELECT id FROM audit_events WHERE seq = 2", &[], |row| row.get(0))?;
            tx.exec("UPDATE audit_events SET target = 'someone else' WHERE seq = 2", &[])?;
            Ok(id)
        });
        let id = id.await.unwrap();
        let auth = [("authorization", root.as_str())];
        let chain = get(&world.operator, "/api/v1/admin/audit-logs/verify", &auth).await.ok();
        assert_eq!((chain["ok"].as_bool(), chain["broken_at"].as_str()), (Some(false), Some(id.as_str())));
    });
}

#[test]
fn staff_see_by_role() {
    with_world(async |world| {
        let root = world.operator_bearer().await;
        let bob = r#"{"username":"bob","password":"bob has a password","roles":["op_read"]}"#;
        post(&world.operator, "/api/v1/admin/users", &[("authorization", &root)], bob).await.ok();
        let login = r#"{"username":"bob","password":"bob has a password"}"#;
        let session = post(&world.operator, "/api/v1/auth/personal/login", &[], login).await.ok();
        let bearer = format!("Bearer {}", session["access_token"].as_str().unwrap());
        let auth = [("authorization", bearer.as_str())];
        assert_eq!(get(&world.operator, "/api/v1/admin/users", &auth).await.status, 200);
        assert_eq!(post(&world.operator, "/api/v1/admin/users", &auth, bob).await.refusal(), (403, "forbidden_role"));
        let verify = get(&world.operator, "/api/v1/admin/audit-logs/verify", &auth).await;
        assert_eq!(verify.refusal(), (403, "forbidden_role"));
        let unknown = r#"{"username":"eve","password":"eve has a password","roles":["king"]}"#;
        let refused = post(&world.operator, "/api/v1/admin/users", &[("authorization", &root)], unknown).await;
        assert_eq!(refused.json["errors"][0]["code"], "unknown_role");
    });
}

#[test]
fn health_metrics_and_documents_are_where_they_belong() {
    with_world(async |world| {
        for door in [&world.console, &world.operator] {
            assert_eq!(get(door, "/healthz", &[]).await.status, 200);
            assert_eq!(get(door, "/readyz", &[]).await.status, 200);
            let document = get(door, "/api/v1/openapi.json", &[]).await.ok();
            assert_eq!(document["openapi"], "3.1.0");
        }
        assert_eq!(get(&world.console, "/metrics", &[]).await.status, 404);
        assert_eq!(get(&world.operator, "/metrics", &[]).await.refusal(), (401, "unauthenticated"));
        let scraped = get(&world.operator, "/metrics", &[("authorization", "Bearer scrape me")]).await;
        assert_eq!(scraped.status, 200);
        assert!(scraped.text.ends_with("# EOF\n"));
        assert!(
            scraped.text.contains(r#"coordinator_http_requests_total{door="console",method="GET",status="200"} 3"#)
        );
        let root = world.operator_bearer().await;
        assert_eq!(get(&world.operator, "/metrics", &[("authorization", &root)]).await.status, 200);
        let given = "co_01m83wpv5cfr08amet1wgq24ty";
        let named = get(&world.console, "/healthz", &[("x-correlation-id", given)]).await;
        assert_eq!(named.headers["x-correlation-id"], given);
    });
}

#[test]
fn a_text_is_found_wherever_it_stands_in_an_event() {
    with_world(async |world| {
        let ada = world.bearer_of("ada").await;
        let body = r#"{"name":"Grüne Wiese"}"#;
        let named = post(&world.console, "/api/v1/projects", &[("authorization", &ada)], body).await;
        let project = named.ok()["id"].as_str().unwrap().to_owned();
        let root = world.operator_bearer().await;
        let auth = [("authorization", root.as_str())];
        let find = async |query: &str| get(&world.operator, &format!("/api/v1/admin/audit-logs?{query}"), &auth).await;
        let targets = async |query: &str| {
            let found = find(query).await.ok();
            let all = found["items"].as_array().unwrap().iter().map(|one| one["target"].as_str().unwrap().to_owned());
            all.collect::<Vec<_>>()
        };
        assert_eq!(targets("q=gr%C3%BCne%20WIESE").await, [project.as_str()], "in what was there afterwards");
        assert_eq!(targets(&format!("q={}", project.to_uppercase())).await, [project.as_str()], "in an id");
        assert_eq!(targets("q=projects.create&actor=nobody").await, Vec::<String>::new(), "beside other filters");
        assert_eq!(targets("q=%25").await, Vec::<String>::new(), "no wild card");
        assert!(targets("q=%20").await.len() > 2, "nothing to look for");
        assert_eq!(find(&format!("q={}", "x".repeat(101))).await.refusal(), (422, "validation_failed"));
        let export = format!("/api/v1/admin/audit-logs/export?format=jsonl&q={project}");
        let lines = get(&world.operator, &export, &auth).await.text;
        // The export is an event that holds its own filters. Between the lines stand the lengths of chunks.
        let events: Vec<_> = lines.lines().filter(|line| line.starts_with('{')).collect();
        assert!(events.len() == 2 && events.iter().all(|line| line.contains(&project)), "{lines}");
    });
}
