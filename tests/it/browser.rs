//! People's ways through the consoles, in a real browser.

use muster_tests::{
    World, browse,
    flow::{launch, release},
    seed::{Seed, seed},
};
use serde_json::json;

#[tokio::test]
async fn a_user_signs_up_launches_works_and_releases() {
    browse(&World::start().await, "user").await;
}

#[tokio::test]
async fn a_user_needs_no_mouse() {
    browse(&World::start().await, "keyboard").await;
}

#[tokio::test]
async fn a_terminal_outlives_its_line() {
    browse(&World::start().await, "terminal").await;
}

#[tokio::test]
async fn every_page_of_the_user_console_is_whole() {
    browse(&World::start().await, "pages").await;
}

#[tokio::test]
async fn an_operator_lets_a_machine_in_drains_it_and_ends_a_run() {
    browse(&World::start().await, "operator").await;
}

#[tokio::test]
async fn every_page_holds_in_every_look() {
    browse(&World::start().await, "looks").await;
}

#[tokio::test]
async fn nothing_an_operator_can_press_is_inert() {
    browse(&World::start().await, "inert").await;
}

#[tokio::test]
async fn nothing_a_user_can_press_is_inert() {
    browse(&World::start().await, "inert_user").await;
}

#[tokio::test]
async fn a_long_list_is_true_where_it_is_looked_at() {
    let world = World::start().await;
    let (user, operator) = (world.user().await, world.operator().await);
    let first = launch(&user, json!({"sku": "h100"})).await;
    let _ = release(&user, &operator, first["id"].as_str().expect("an id")).await;
    let fleet = Seed { nodes: 600, allocations: 600 };
    seed(&world.ready().data_dir.join("muster.db"), fleet).expect("seeded");
    browse(&world, "lists").await;
}
