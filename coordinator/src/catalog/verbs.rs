//! What can be done with SKUs: made, offered, retired.

use super::model::{self, Sku, State};
use super::store;
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::Problem;
use crate::cx::Cx;
use muster_protocol::ids::SkuId;

/// Makes a SKU. 409 `already_exists` if the name is taken, 422 for what cannot be.
pub async fn create(app: &App, cx: &Cx, sku: Sku) -> Result<Sku, Problem> {
    authz::require(cx, Verb::SkusCreate, Scope::Platform)?;
    let errors = model::check(&sku);
    if !errors.is_empty() {
        return Err(Problem::invalid_fields(errors));
    }
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            if !store::insert(tx, &sku)? {
                return Err(Problem::conflict("already_exists", format!("There is a SKU {} already.", sku.name)));
            }
            let after = serde_json::json!({ "name": sku.name, "kind": sku.kind.word(), "state": sku.state.word() });
            audit::record(tx, &cx, Event::new("skus.create", sku.id).after(&after), sku.clone())
        })
        .await
}

/// Offers a SKU (again), or takes it off sale. Doing it twice changes nothing.
pub(super) async fn set_state(app: &App, cx: &Cx, id: SkuId, state: State) -> Result<Sku, Problem> {
    let (verb, action) = match state {
        State::Retired => (Verb::SkusRetire, "skus.retire"),
        State::Active | State::Draft => (Verb::SkusActivate, "skus.activate"),
    };
    authz::require(cx, verb, Scope::Platform)?;
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            let before = store::find_in(tx, id)?;
            if before.state == state {
                return Ok(audit::unchanged(before));
            }
            store::save_state(tx, id, state, cx.now_ms)?;
            let after = store::find_in(tx, id)?;
            let event = Event::new(action, id).before(&before.state.word()).after(&after.state.word());
            audit::record(tx, &cx, event, after)
        })
        .await
}
