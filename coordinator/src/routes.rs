//! Every room's routes, merged per door in the order of the rooms.

use crate::app::App;
use crate::base::http::{Door, downloads, openapi, system};
use crate::{
    access, allocations, audit, catalog, enrolment, nodes, operations, projects, slots, telemetry, terminals, users,
    views,
};
use axum::Router;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;

/// The routes of a door and their document.
pub fn routes(door: Door) -> (Router<App>, OpenApi) {
    let title = match door {
        Door::Console => "Muster console API",
        Door::Operator => "Muster operator API",
    };
    let info = InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).build();
    let all = OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build());
    let all = match door {
        Door::Console => console(all),
        Door::Operator => operator(all),
    };
    let (router, mut document) = all.split_for_parts();
    openapi::complete(&mut document);
    (router, document)
}

fn console(all: OpenApiRouter<App>) -> OpenApiRouter<App> {
    // One line a room, in the order of the rooms.
    let all = all.merge(system::console_routes());
    let all = all.merge(downloads::routes());
    let all = all.merge(projects::http::console_routes());
    let all = all.merge(users::http::console_routes());
    let all = all.merge(access::http::console_routes());
    let all = all.merge(operations::http::console_routes());
    let all = all.merge(catalog::http::console_routes());
    let all = all.merge(allocations::http::console_routes());
    let all = all.merge(allocations::drafts::http::console_routes());
    let all = all.merge(allocations::labels::http::console_routes());
    let all = all.merge(allocations::projects::http::console_routes());
    let all = all.merge(terminals::http::console_routes());
    let all = all.merge(views::http::console_routes());
    all.merge(views::stream::http::console_routes())
}

fn operator(all: OpenApiRouter<App>) -> OpenApiRouter<App> {
    let all = all.merge(system::operator_routes());
    let all = all.merge(downloads::routes());
    let all = all.merge(audit::http::operator_routes());
    let all = all.merge(users::http::operator_routes());
    let all = all.merge(operations::http::operator_routes());
    let all = all.merge(catalog::http::operator_routes());
    let all = all.merge(catalog::prices::http::operator_routes());
    let all = all.merge(nodes::operator_routes());
    let all = all.merge(enrolment::operator_routes());
    let all = all.merge(telemetry::operator_routes());
    let all = all.merge(slots::operator_routes());
    let all = all.merge(allocations::http::operator_routes());
    let all = all.merge(views::operators::http::operator_routes());
    all.merge(views::stream::http::routes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::authz::{Gate, Verb};
    use std::collections::BTreeSet;

    #[test]
    fn every_route_names_a_verb_that_is_open_at_its_door() {
        for door in [Door::Console, Door::Operator] {
            let (_, document) = routes(door);
            let mut seen = BTreeSet::new();
            for (path, item) in &document.paths.paths {
                for (method, operation) in openapi::operations(item) {
                    let named = operation.operation_id.as_deref().unwrap_or_default();
                    let verb = Verb::parse(named);
                    assert!(verb.is_some(), "{method} {path} names no verb of the table: {named:?}");
                    let gate = verb.map(|verb| verb.gate(door));
                    assert_ne!(gate, Some(Gate::Closed), "{method} {path}: {named} is closed at {door:?}");
                    assert!(seen.insert(named.to_owned()), "{named} stands for two routes of {door:?}");
                }
            }
            assert!(seen.len() > 10);
        }
    }

    #[test]
    fn admin_routes_do_not_exist_at_the_console_door() {
        let (_, document) = routes(Door::Console);
        assert!(document.paths.paths.keys().all(|path| !path.contains("/admin/")));
    }
}
