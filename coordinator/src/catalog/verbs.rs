//! What can be done with SKUs: made, offered, retired.

use super::model::{self, Sku, State};
use super::store;
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{IfMatch, Problem};
use crate::cx::Cx;
use muster_protocol::ids::SkuId;
use std::collections::BTreeMap;

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

/// Changes to a draft; what is left out stays.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::ToSchema)]
pub(super) struct Edit {
    /// Unique.
    pub name: Option<String>,
    /// Part of NVML's name, in any case; empty: any.
    pub gpu_model: Option<String>,
    /// MIG profile, for kind `mig`.
    pub profile: Option<String>,
    /// GPUs or placements of one allocation.
    pub gpus: Option<u32>,
    /// Thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// Memory of a cell.
    pub memory_bytes: Option<u64>,
    /// Size of its home.
    pub disk_bytes: Option<u64>,
    /// Processes and threads of a cell.
    pub pids: Option<u64>,
    /// Labels the node must carry.
    pub labels: Option<BTreeMap<String, String>>,
}

impl Edit {
    fn over(&self, mut sku: Sku) -> Sku {
        let edit = self.clone();
        sku.name = edit.name.unwrap_or(sku.name);
        if let Some(model) = edit.gpu_model {
            sku.gpu_model = Some(model.trim().to_owned()).filter(|model| !model.is_empty());
        }
        sku.profile = edit.profile.or(sku.profile);
        sku.gpus = edit.gpus.unwrap_or(sku.gpus);
        sku.size.cpu_milli = edit.cpu_milli.unwrap_or(sku.size.cpu_milli);
        sku.size.memory_bytes = edit.memory_bytes.unwrap_or(sku.size.memory_bytes);
        sku.size.disk_bytes = edit.disk_bytes.unwrap_or(sku.size.disk_bytes);
        sku.size.pids = edit.pids.unwrap_or(sku.size.pids);
        sku.labels = edit.labels.unwrap_or(sku.labels);
        sku
    }
}

/// Changes a draft. 409 `invalid_state` once it has been offered, 412 if it changed since it was read.
pub(super) async fn update(app: &App, cx: &Cx, id: SkuId, version: IfMatch, edit: Edit) -> Result<Sku, Problem> {
    authz::require(cx, Verb::SkusUpdate, Scope::Platform)?;
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            let before = store::find_in(tx, id)?;
            version.check(before.version)?;
            if before.state != State::Draft {
                let detail = "It has been offered: retire it and make another.";
                return Err(Problem::conflict("invalid_state", detail));
            }
            let after = edit.over(before.clone());
            let errors = model::check(&after);
            if !errors.is_empty() {
                return Err(Problem::invalid_fields(errors));
            }
            if !store::save(tx, &after, cx.now_ms)? {
                return Err(Problem::conflict("already_exists", format!("There is a SKU {} already.", after.name)));
            }
            let shown = |sku: &Sku| serde_json::json!({ "name": sku.name, "gpus": sku.gpus, "labels": sku.labels });
            let event = Event::new("skus.update", id).before(&shown(&before)).after(&shown(&after));
            let after = store::find_in(tx, id)?;
            audit::record(tx, &cx, event, after)
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
