//! Labels of allocations: words that people put on them, to find them again. A node never hears of them.

pub mod http;
pub(super) mod store;

use super::effects::about;
use super::release::seen_in;
use super::request::labels_wrong;
use super::view::{AllocationView, shown_in};
use crate::app::App;
use crate::audit;
use crate::base::authz::Verb;
use crate::base::http::{IfMatch, Problem};
use crate::cx::Cx;
use muster_protocol::ids::AllocationId;
use std::collections::BTreeMap;

/// Replaces the labels of an allocation that is still at the version the person read; also of one that is over.
pub(super) async fn update(
    app: &App,
    cx: &Cx,
    id: AllocationId,
    version: IfMatch,
    labels: Option<BTreeMap<String, String>>,
) -> Result<AllocationView, Problem> {
    if let Some(error) = labels.as_ref().and_then(labels_wrong) {
        return Err(Problem::invalid_fields(vec![error]));
    }
    let cx = cx.clone();
    let updated = app.store.write(move |tx| {
        let row = seen_in(tx, &cx, id, Verb::AllocationsUpdate)?;
        version.check(store::version(tx, id)?)?;
        let before = store::of(tx, id)?;
        let Some(after) = labels.as_ref().filter(|labels| **labels != before) else {
            return Ok(audit::unchanged(shown_in(tx, row)?));
        };
        store::save(tx, id, after)?;
        let event = about(&row, Verb::AllocationsUpdate.as_str());
        let event =
            event.before(&serde_json::json!({ "labels": before })).after(&serde_json::json!({ "labels": after }));
        let shown = shown_in(tx, row)?;
        audit::record(tx, &cx, event, shown)
    });
    updated.await
}
