//! Workloads: the allocations of a tenant as people look for them, with counts, and what happened to each.

use super::store::{self, Counts, Filter};
use crate::allocations::{self, AllocationView, State};
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::{Page, PageQuery, Problem};
use crate::base::store::Tx;
use crate::catalog::Price;
use crate::cx::Cx;
use crate::nodes;
use muster_protocol::ids::{AllocationId, ProjectId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long a failed workload asks for attention, ms; one whose command ended badly likewise.
const FAILED_FOR_MS: i64 = 3 * 24 * 3600 * 1000;
/// Longest text to look for, characters.
const TEXT_MAX: usize = 100;
/// Rows of each part of the home page.
const HOME_ROWS: u32 = 6;
const VIEWS: [&str; 4] = ["active", "attention", "history", "all"];

/// What a list of workloads may be narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WorkloadQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Rows wanted, 1 to 200.
    pub limit: Option<u32>,
    /// `active` (the default), `attention`, `history`, `all` (the default with `status`).
    pub view: Option<String>,
    /// In one state: `active`, `degraded`, `released`, …
    pub status: Option<String>,
    /// Of one project.
    pub project_id: Option<String>,
    /// A part of the name, or the whole id.
    pub q: Option<String>,
    /// With this label: its name, or `name=value`.
    pub label: Option<String>,
}

/// How many workloads each view has; text that is looked for does not change them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CountsView {
    /// Not over.
    pub active: i64,
    /// Degraded, not provably released, or failed within the last three days: the workload itself, or its command
    /// with an exit code other than 0, until it is released by hand.
    pub attention: i64,
    /// Over.
    pub history: i64,
    /// All of them.
    pub all: i64,
}

impl From<Counts> for CountsView {
    fn from(counts: Counts) -> Self {
        Self { active: counts.active, attention: counts.attention, history: counts.history, all: counts.all }
    }
}

/// A page of workloads, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkloadPage {
    /// The rows.
    pub items: Vec<AllocationView>,
    /// Ask with this for the next page; null at the end.
    pub next_cursor: Option<String>,
    /// How many the view has in all; null while text is looked for.
    pub total: Option<i64>,
    /// How many each view has.
    pub counts: CountsView,
    /// Since when many nodes of the platform are lost together; null while they are not. What runs on them runs on,
    /// and nothing is given up meanwhile.
    pub many_lost_at: Option<String>,
}

/// What a person comes home to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HomeView {
    /// What asks for attention, newest first; at most six.
    pub attention: Vec<AllocationView>,
    /// What is not over, newest first; at most six.
    pub running: Vec<AllocationView>,
    /// How many there are of each.
    pub counts: CountsView,
    /// What everything that runs costs an hour together, by currency; without what has no price.
    pub running_prices: Vec<Price>,
    /// The person has an SSH key.
    pub has_ssh_key: bool,
    /// The tenant launched something before.
    pub has_launched: bool,
    /// Since when many nodes of the platform are lost together; null while they are not. What runs on them runs on,
    /// and nothing is given up meanwhile.
    pub many_lost_at: Option<String>,
}

/// A line of a workload's life.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActivityLine {
    /// When.
    pub at: String,
    /// `task` or `audit`.
    pub source: String,
    /// What happened, as scripts know it.
    pub action: String,
    /// For people; may be empty.
    pub detail: String,
    /// Who acted.
    pub by: String,
    /// The task it belongs to.
    pub operation_id: Option<String>,
    /// Names the request in logs.
    pub correlation_id: String,
}

fn filter(cx: &Cx, query: &WorkloadQuery) -> Result<Filter, Problem> {
    let status = query.status.clone().filter(|status| !status.is_empty());
    if status.as_deref().is_some_and(|status| status.parse::<State>().is_err()) {
        return Err(Problem::invalid("status", "invalid", "This is no state of a workload."));
    }
    let usual = if status.is_some() { "all" } else { "active" };
    let view = query.view.clone().unwrap_or_else(|| usual.to_owned());
    if !VIEWS.contains(&view.as_str()) {
        return Err(Problem::invalid("view", "invalid", "view is active, attention, history or all."));
    }
    let text = query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_lowercase);
    if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_MAX) {
        return Err(Problem::invalid("q", "too_long", "Look for at most 100 characters."));
    }
    let wrong = |_| Problem::invalid("project_id", "invalid", "This is not an id.");
    let project_id = query.project_id.as_deref().map(str::parse::<ProjectId>).transpose().map_err(wrong)?;
    let label = query.label.clone().filter(|label| !label.is_empty());
    let failed_since_ms = cx.now_ms - FAILED_FOR_MS;
    Ok(Filter { tenant_id: cx.tenant_id()?, view, status, project_id, text, label, failed_since_ms })
}

fn shown(tx: &mut Tx, filter: &Filter, paging: &PageQuery) -> Result<Page<AllocationView>, Problem> {
    let rows = store::page(tx, filter, paging.newest_first()?)?;
    let page = Page::cut(rows, paging, |(at, id)| (*at, id.to_string()))?;
    let items = page.items.into_iter().map(|(_, id)| allocations::view_in(tx, id)).collect::<Result<_, _>>()?;
    Ok(Page { items, next_cursor: page.next_cursor, total: None })
}

/// A page of workloads with the counts of all views.
pub(super) fn list_in(tx: &mut Tx, cx: &Cx, query: &WorkloadQuery) -> Result<WorkloadPage, Problem> {
    let filter = filter(cx, query)?;
    authz::require(cx, Verb::WorkloadsList, Scope::Tenant(filter.tenant_id))?;
    let paging = PageQuery { cursor: query.cursor.clone(), limit: query.limit };
    let page = shown(tx, &filter, &paging)?;
    let counts = store::counts(tx, &filter)?;
    let of_view = match filter.view.as_str() {
        "active" => counts.active,
        "attention" => counts.attention,
        "history" => counts.history,
        _ => counts.all,
    };
    let total = (filter.text.is_none() && filter.label.is_none()).then_some(of_view);
    let many_lost_at = many_lost_in(tx)?;
    Ok(WorkloadPage { items: page.items, next_cursor: page.next_cursor, total, counts: counts.into(), many_lost_at })
}

fn many_lost_in(tx: &mut Tx) -> Result<Option<String>, Problem> {
    Ok(nodes::fuse::store::blown_in(tx)?.map(|blown| rfc3339(blown.since_ms)))
}

/// What the caller comes home to.
pub(super) fn home_in(tx: &mut Tx, cx: &Cx) -> Result<HomeView, Problem> {
    let active = filter(cx, &WorkloadQuery::default())?;
    authz::require(cx, Verb::MeHome, Scope::Tenant(active.tenant_id))?;
    let paging = PageQuery { cursor: None, limit: Some(HOME_ROWS) };
    let attention = Filter { view: "attention".to_owned(), ..active.clone() };
    let (has_ssh_key, has_launched) = store::begun(tx, cx.user_id()?, active.tenant_id)?;
    Ok(HomeView {
        attention: shown(tx, &attention, &paging)?.items,
        running: shown(tx, &active, &paging)?.items,
        counts: store::counts(tx, &active)?.into(),
        running_prices: store::running_prices(tx, active.tenant_id)?,
        has_ssh_key,
        has_launched,
        many_lost_at: many_lost_in(tx)?,
    })
}

/// What happened to a workload, newest first.
pub(super) fn activity_in(
    tx: &mut Tx,
    cx: &Cx,
    id: AllocationId,
    paging: &PageQuery,
) -> Result<Page<ActivityLine>, Problem> {
    let row = allocations::find_in(tx, cx, id, Verb::AllocationsTimeline)?;
    let lines = store::activity(tx, id, row.operation_id, paging.newest_first()?)?;
    let page = Page::cut(lines, paging, |line| (line.at_ms, line.key.clone()))?;
    Ok(page.map(|line| ActivityLine {
        at: rfc3339(line.at_ms),
        source: line.source,
        action: line.word,
        detail: line.detail,
        by: line.by,
        operation_id: line.operation_id,
        correlation_id: line.correlation_id,
    }))
}
