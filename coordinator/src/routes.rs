//! Every room's routes, merged per door in the order of the rooms.

use crate::app::App;
use crate::base::http::{Door, openapi};
use crate::{access, operations, projects};
use axum::Router;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;

/// The routes of a door and their document. Panics never; a handler without a document does not compile.
#[must_use]
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
    let all = all.merge(projects::http::console_routes());
    let all = all.merge(access::http::console_routes());
    all.merge(operations::http::console_routes())
}

fn operator(all: OpenApiRouter<App>) -> OpenApiRouter<App> {
    all.merge(operations::http::operator_routes())
}
