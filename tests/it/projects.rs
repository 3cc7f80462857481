//! The room `projects` through its door: whose they are, and that a sign-up leaves exactly one behind.

use muster_tests::{Api, World, flow::nobody};
use serde_json::{Value, json};

#[tokio::test]
async fn projects_are_ones_own_and_a_sign_up_before_a_crash_has_exactly_one() {
    let world = World::with_nodes(0).await;
    let user = world.user().await;
    user.get("/api/v1/projects?cursor=garbage").await.refused(422, "validation_failed");
    let own = user.get("/api/v1/projects").await.ok();
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1), "{own:#}");

    let late = Api::sign_up(&world.ready().console_url, "late").await;
    world.crash().await;
    let theirs = late.get("/api/v1/projects").await.ok();
    assert_eq!(theirs["items"].as_array().map(Vec::len), Some(1), "{theirs:#}");
    assert_eq!(theirs["items"][0]["is_default"], true);
    assert_ne!(theirs["items"][0]["id"], own["items"][0]["id"]);

    // Somebody else's project is no different from one that is not there.
    let operator = world.operator().await;
    let sku = operator.post("/api/v1/admin/skus", json!({"name": "any", "kind": "cpu"})).await.ok();
    let activate = format!("/api/v1/admin/skus/{}/activate", sku["id"].as_str().expect("an id"));
    let _ = operator.post(&activate, json!({})).await.ok();
    let launch = async |project: &Value| {
        let body = json!({"sku": "any", "command": ["true"], "project_id": project});
        user.post("/api/v1/allocations", body).await
    };
    let (foreign, missing) = (launch(&theirs["items"][0]["id"]).await, launch(&json!(nobody("pj"))).await);
    assert_eq!((foreign.status, foreign.code()), (missing.status, missing.code()));
    assert!([404, 422].contains(&foreign.status.as_u16()), "{}", foreign.text);
    launch(&own["items"][0]["id"]).await.refused(409, "sold_out");
}

#[tokio::test]
async fn a_project_is_made_once_and_takes_launches() {
    let world = World::start().await;
    let (user, stranger) = (world.user().await, world.stranger().await);
    let made = user.post("/api/v1/projects", json!({"name": "research"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    user.post("/api/v1/projects", json!({"name": " research "})).await.refused(409, "name_taken");
    user.post("/api/v1/projects", json!({"name": ""})).await.refused(422, "validation_failed");
    assert_eq!(stranger.post("/api/v1/projects", json!({"name": "research"})).await.status, 201, "another tenant's");
    world.crash().await;
    let operator = world.operator().await;
    let _ = muster_tests::flow::online(&operator, &world.node(0)).await;
    let project = made.body["id"].as_str().expect("an id");
    assert_eq!(made.body["is_default"], false);
    let body = json!({"sku": "h100", "name": "inside", "project_id": project});
    let launched = muster_tests::flow::launch(&user, body).await;
    assert_eq!(launched["project_id"], project);
    let found = user.get(&format!("/api/v1/workloads?project_id={project}")).await.ok();
    assert_eq!((&found["items"][0]["id"], &found["counts"]["all"]), (&launched["id"], &json!(1)));

    // While it stands there the project stays; when it is over it stays in the history of a project that is gone.
    let one = format!("/api/v1/projects/{project}");
    let refused = user.delete(&one).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "project_not_empty"), "{}", refused.text);
    assert_eq!(
        (&refused.body["errors"][0]["field"], &refused.body["errors"][0]["code"]),
        (&launched["id"], &json!("allocation"))
    );
    let impact = user.get(&format!("{one}/deletion-impact")).await.ok();
    assert_eq!(
        (&impact["deletable"], &impact["allocations"], &impact["history"]),
        (&json!(false), &json!(1), &json!(0))
    );
    stranger.delete(&one).await.refused(404, "not_found");
    let id = launched["id"].as_str().expect("an id");
    let _ = muster_tests::flow::release(&user, &operator, id).await;
    assert_eq!(user.delete(&one).await.status, 204);
    let found = user.get(&format!("/api/v1/workloads?view=all&project_id={project}")).await.ok();
    assert_eq!(found["items"][0]["id"], launched["id"]);
    let again = json!({"sku": "h100", "project_id": project});
    user.post("/api/v1/allocations", again).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_command_line_makes_renames_and_deletes_and_changes_labels() {
    let world = World::start().await;
    let (ready, user) = (world.ready(), world.user().await);
    let cli = muster_tests::Cli::login(&ready.console_url, &ready.user.username, &ready.user.password, false);
    let id = cli.run(&["projects", "create", "research"]).ok().trim().to_owned();
    assert!(id.starts_with("pj_"), "{id}");
    assert_eq!(cli.run(&["projects", "rename", "research", "default"]).code, 5, "the name is taken");
    assert_eq!(cli.run(&["projects", "rename", "research", "vision"]).ok().trim(), id);
    let _ = cli.run(&["projects", "default", "vision"]).ok();
    assert_eq!(user.get("/api/v1/me").await.ok()["default_project"]["name"], "vision");
    let refused = cli.run(&["projects", "rm", "vision"]);
    assert!(refused.code == 5 && refused.err.contains("default project"), "{}", refused.err);
    let _ = cli.run(&["projects", "rm", "default"]).ok();
    let list = cli.json(&["projects", "list"]);
    assert_eq!((&list["items"][0]["id"], list["items"].as_array().map(Vec::len)), (&json!(id), Some(1)));

    let launched = muster_tests::flow::launch(&user, json!({"sku": "h100", "name": "box", "labels": {"a": "1"}})).await;
    let _ = cli.run(&["allocations", "label", "box", "team=vision", "a="]).ok();
    let one = format!("/api/v1/allocations/{}", launched["id"].as_str().expect("an id"));
    assert_eq!(user.get(&one).await.ok()["labels"], json!({"team": "vision"}));
    assert_eq!(cli.json(&["allocations", "list", "--label", "team=vision"])["items"][0]["name"], "box");
    assert_eq!(cli.json(&["allocations", "list", "--label", "a"])["items"], json!([]));
    assert_eq!(cli.run(&["allocations", "label", "box", "nothing"]).code, 1);
}
