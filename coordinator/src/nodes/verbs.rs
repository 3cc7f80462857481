//! What operators do with nodes. Each `_in` verb runs in its caller's transaction and notes its event.

use super::acts;
use super::model::{Event, Health, Lifecycle, apply};
use super::store;
use super::view::{self, NodeItem};
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::{FieldError, IfMatch, JsonText, Page, PageQuery, Problem, StatusCode, answer_in};
use crate::base::limits;
use crate::base::store::Tx;
use crate::cx::Cx;
use muster_protocol::ids::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Most labels of one node.
const LABELS_MAX: usize = 32;
/// Longest key or value of a label, in bytes.
const LABEL_MAX: usize = 63;

#[derive(Serialize)]
struct Stage {
    lifecycle: &'static str,
    scheduling: &'static str,
}

/// Moves lifecycle and scheduling by an event and notes it. False if nothing changed.
///
/// # Errors
/// 404, and 409 `invalid_state` if the event does not fit.
pub fn change_in(tx: &mut Tx, cx: &Cx, id: NodeId, event: Event, action: &'static str) -> Result<bool, Problem> {
    let node = store::get_in(tx, id)?;
    let before = (node.facets.lifecycle, node.facets.scheduling);
    let after = apply(before.0, before.1, event)
        .map_err(|_| Problem::conflict("invalid_state", acts::refusal(&node.facets, event)))?;
    if before == after {
        return Ok(false);
    }
    store::save_stage_in(tx, id, after.0, after.1)?;
    let stage = |(lifecycle, scheduling): (Lifecycle, super::model::Scheduling)| Stage {
        lifecycle: lifecycle.word(),
        scheduling: scheduling.word(),
    };
    audit::note(tx, cx, audit::Event::new(action, id).before(&stage(before)).after(&stage(after)))?;
    Ok(true)
}

/// One of the plain moves of an operator: approve, reject, cordon, uncordon.
///
/// # Errors
/// As [`change_in`], and what [`authz::require`] says.
pub async fn change(app: &App, cx: &Cx, id: NodeId, verb: Verb, event: Event) -> Result<NodeItem, Problem> {
    authz::require(cx, verb, Scope::Platform)?;
    let (app_, context) = (app.clone(), cx.clone());
    let item = app
        .store
        .write(move |tx| {
            change_in(tx, &context, id, event, verb.as_str())?;
            let node = store::get_in(tx, id)?;
            let item = view::item_in(tx, &app_, &context, &node)?;
            answer_in(tx, &context, StatusCode::OK, &item)?;
            Ok(audit::unchanged(item))
        })
        .await?;
    if event == Event::Reject {
        app.nudges.revoked.notify();
    }
    Ok(item)
}

/// Longest time that a drain may leave to what runs: 30 days, in seconds.
const DRAIN_MAX_S: i64 = 30 * 86_400;

/// How a node is drained.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Seconds until what still runs is released, 0 to 2,592,000; none: the drain waits as long as that takes.
    #[schema(minimum = 0, maximum = 2_592_000)]
    pub deadline_s: Option<i64>,
}

/// No new work, and maintenance when empty; after the deadline what still runs is released. Said again, it
/// changes the deadline.
///
/// # Errors
/// 404, 409 `invalid_state`, 422.
pub async fn drain(app: &App, cx: &Cx, id: NodeId, drain: Drain) -> Result<NodeItem, Problem> {
    authz::require(cx, Verb::NodesDrain, Scope::Platform)?;
    if drain.deadline_s.is_some_and(|seconds| !(0..=DRAIN_MAX_S).contains(&seconds)) {
        let detail = "A drain may wait for 0 to 2592000 seconds (30 days).";
        return Err(Problem::invalid("deadline_s", "out_of_range", detail));
    }
    let deadline_ms = drain.deadline_s.map(|seconds| cx.now_ms.saturating_add(seconds * 1_000));
    let (app_, context) = (app.clone(), cx.clone());
    let item = app
        .store
        .write(move |tx| {
            change_in(tx, &context, id, Event::Drain, Verb::NodesDrain.as_str())?;
            let before = store::get_in(tx, id)?.drain_deadline_ms.map(rfc3339);
            if before.is_some() || deadline_ms.is_some() {
                store::save_drain_deadline_in(tx, id, deadline_ms)?;
                let event = audit::Event::new("nodes.drain_deadline", id);
                audit::note(tx, &context, event.before(&before).after(&deadline_ms.map(rfc3339)))?;
            }
            let node = store::get_in(tx, id)?;
            let item = view::item_in(tx, &app_, &context, &node)?;
            answer_in(tx, &context, StatusCode::OK, &item)?;
            Ok(audit::unchanged(item))
        })
        .await?;
    app.nudges.slots.notify();
    Ok(item)
}

/// Why a node is trusted again.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reactivate {
    /// At most 500 characters, for the audit log.
    pub reason: Option<String>,
}

/// Takes a node out of quarantine. The machine that is connected is the node; while none is, the next one that
/// comes with its key.
///
/// # Errors
/// 404, 409 `invalid_state`, 422.
pub async fn reactivate(app: &App, cx: &Cx, id: NodeId, why: Reactivate) -> Result<NodeItem, Problem> {
    authz::require(cx, Verb::NodesReactivate, Scope::Platform)?;
    let reason = why.reason.unwrap_or_default().trim().to_owned();
    if reason.chars().count() > limits::REASON_CHARS {
        return Err(Problem::invalid("reason", "too_long", "A reason has at most 500 characters."));
    }
    let (app_, context) = (app.clone(), cx.clone());
    app.store
        .write(move |tx| {
            let node = store::get_in(tx, id)?;
            if let Some(refusal) = acts::quarantined(&node.facets, node.revoked_ms.is_some()) {
                return Err(Problem::conflict("invalid_state", refusal));
            }
            store::save_health_in(tx, id, Health::Ok, "")?;
            if app_.links.get(id).is_none() {
                store::forget_machine_in(tx, id)?;
            }
            let event = audit::Event::new(Verb::NodesReactivate.as_str(), id).before(&node.health_reason);
            audit::note(tx, &context, event.reason(reason.clone()))?;
            let node = store::get_in(tx, id)?;
            let item = view::item_in(tx, &app_, &context, &node)?;
            answer_in(tx, &context, StatusCode::OK, &item)?;
            Ok(audit::unchanged(item))
        })
        .await
}

/// What an operator may edit; what is none stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// 1 to 63 letters, digits and `-_.`.
    pub name: Option<String>,
    /// All labels together.
    pub labels: Option<BTreeMap<String, String>>,
}

/// Edits a node that is still at the version the operator read.
///
/// # Errors
/// 404, 412 `stale_version`, 422.
pub async fn update(app: &App, cx: &Cx, id: NodeId, version: IfMatch, edit: Edit) -> Result<NodeItem, Problem> {
    authz::require(cx, Verb::NodesUpdate, Scope::Platform)?;
    check_labels(edit.labels.as_ref().unwrap_or(&BTreeMap::new()))?;
    check_name(edit.name.as_deref().unwrap_or("node"))?;
    let (app_, context) = (app.clone(), cx.clone());
    app.store
        .write(move |tx| {
            let node = store::get_in(tx, id)?;
            version.check(node.version)?;
            let name = edit.name.as_ref().unwrap_or(&node.name);
            let labels = edit.labels.as_ref().unwrap_or(&node.labels);
            if !store::save_labels_in(tx, id, node.version, name, labels)? {
                return Err(Problem::stale_version());
            }
            let event = audit::Event::new(Verb::NodesUpdate.as_str(), id);
            let event = event.before(&(&node.name, &node.labels)).after(&(name, labels));
            let node = store::get_in(tx, id)?;
            let item = view::item_in(tx, &app_, &context, &node)?;
            audit::record(tx, &context, event, item)
        })
        .await
}

/// Sets health with its reason and notes it. False if it was so already.
///
/// # Errors
/// Only what the store says.
pub fn set_health_in(tx: &mut Tx, cx: &Cx, id: NodeId, health: Health, reason: &str) -> Result<bool, Problem> {
    if !store::save_health_in(tx, id, health, reason)? {
        return Ok(false);
    }
    audit::note(tx, cx, audit::Event::new("nodes.health", id).reason(reason).after(&health))?;
    Ok(true)
}

/// 422 unless these can be labels.
///
/// # Errors
/// `validation_failed`.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    let fits = |text: &str| {
        text.len() <= LABEL_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    };
    if labels.len() > LABELS_MAX {
        return Err(Problem::invalid("labels", "too_many", "A node has at most 32 labels."));
    }
    let bad: Vec<_> = labels
        .iter()
        .filter(|(key, value)| key.is_empty() || !fits(key) || !fits(value))
        .map(|(key, _)| FieldError {
            field: format!("labels.{}", key.chars().take(LABEL_MAX).collect::<String>()),
            code: "invalid".to_owned(),
            detail: "Keys and values are up to 63 letters, digits and -_./".to_owned(),
        })
        .collect();
    if bad.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(bad)) }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let fits = (1..=LABEL_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits { Ok(()) } else { Err(Problem::invalid("name", "invalid", "A name is 1 to 63 letters, digits and -_.")) }
}

/// What a list of nodes is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NodesQuery {
    /// A part of the name, or an id.
    pub q: Option<String>,
    /// The one word of its state, as shown.
    pub state: Option<String>,
}

/// A page of nodes, oldest first, as the document of a `Page<NodeItem>`.
///
/// # Errors
/// 422 for a bad page.
pub async fn list(app: &App, cx: &Cx, query: PageQuery, narrow: NodesQuery) -> Result<JsonText, Problem> {
    authz::require(cx, Verb::NodesList, Scope::Platform)?;
    let (app_, context) = (app.clone(), cx.clone());
    app.store
        .read(move |tx| {
            let (page, total) = if narrow.q.is_none() && narrow.state.is_none() {
                let rows = store::page_in(tx, &query)?;
                (Page::cut(rows, &query, |node| (node.created_ms, node.id.to_string()))?, store::count_in(tx)?)
            } else {
                narrowed_in(tx, &app_, &query, &narrow)?
            };
            let shown = page.items.iter().map(|node| view::item_in(tx, &app_, &context, node));
            let items = shown.collect::<Result<Vec<_>, _>>()?;
            JsonText::of(&Page { items, next_cursor: page.next_cursor, total: Some(total) })
        })
        .await
}

/// A page of those that fit, and how many there are. The live presence is in memory, so the state of every
/// node is derived here from its short row.
fn narrowed_in(
    tx: &mut Tx,
    app: &App,
    query: &PageQuery,
    narrow: &NodesQuery,
) -> Result<(Page<store::NodeRow>, i64), Problem> {
    let (at, id, most) = query.oldest_first()?;
    let wanted = narrow.q.as_deref().unwrap_or_default().trim().to_lowercase();
    let fits = |node: &store::Brief| {
        let named = node.name.to_lowercase().contains(&wanted) || node.id.to_string() == wanted;
        let state = view::brief_facets(app, node).state();
        named && narrow.state.as_deref().is_none_or(|word| word == state)
    };
    let found: Vec<_> = store::briefs_in(tx)?.into_iter().filter(fits).collect();
    let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let most = usize::try_from(most).unwrap_or_default();
    let after = found.iter().filter(|node| (node.created_ms, node.id.to_string()) > (at, id.clone())).take(most);
    let rows = after.map(|node| store::get_in(tx, node.id)).collect::<Result<Vec<_>, _>>()?;
    Ok((Page::cut(rows, query, |node| (node.created_ms, node.id.to_string()))?, total))
}

/// One node.
///
/// # Errors
/// 404.
pub async fn show(app: &App, cx: &Cx, id: NodeId) -> Result<NodeItem, Problem> {
    authz::require(cx, Verb::NodesShow, Scope::Platform)?;
    let (app_, context) = (app.clone(), cx.clone());
    app.store.read(move |tx| store::get_in(tx, id).and_then(|node| view::item_in(tx, &app_, &context, &node))).await
}
