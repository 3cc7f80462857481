//! Deleting a project: only when nothing stands in it, which is known here. What ran in it stays as history.

pub mod http;
mod store;

use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{FieldError, Problem};
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::projects::{self, Project};
use muster_protocol::ids::ProjectId;
use serde::Serialize;
use utoipa::ToSchema;

/// Most allocations that are named; the count says how many there are.
const NAMED_MAX: i64 = 20;

/// One thing that keeps a project from being deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ProjectBlocker {
    /// `default_project` or `allocation`.
    pub code: &'static str,
    /// The id of what is in the way.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// One sentence for people.
    pub detail: String,
}

/// What deleting a project would meet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Impact {
    /// Nothing is in the way.
    pub deletable: bool,
    /// What is in the way; of allocations the oldest twenty.
    pub blockers: Vec<ProjectBlocker>,
    /// Allocations that are not over.
    pub allocations: i64,
    /// Allocations that are over; they stay in the history.
    pub history: i64,
}

fn impact_in(tx: &mut Tx, project: &Project) -> Result<Impact, Problem> {
    let mut blockers = Vec::new();
    if project.is_default {
        blockers.push(ProjectBlocker {
            code: "default_project",
            id: project.id.to_string(),
            name: project.name.clone(),
            detail: "It is the default project: make another one the default first.".to_owned(),
        });
    }
    for (id, name, state) in store::standing(tx, project.id, NAMED_MAX)? {
        let detail = format!("{name} is {}: release it first.", state.replace('_', " "));
        blockers.push(ProjectBlocker { code: "allocation", id: id.to_string(), name, detail });
    }
    let (allocations, history) = store::counts(tx, project.id)?;
    Ok(Impact { deletable: blockers.is_empty(), blockers, allocations, history })
}

/// What deleting a project would meet.
pub(super) async fn impact(app: &App, cx: &Cx, id: ProjectId) -> Result<Impact, Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(cx, Verb::ProjectsImpact, Scope::Tenant(tenant))?;
    let found = app.store.read(move |tx| {
        let project = projects::find_in(tx, tenant, id)?;
        impact_in(tx, &project)
    });
    found.await
}

/// Deletes a project. 409 `default_project`, or `project_not_empty` naming what stands in it.
pub(super) async fn delete(app: &App, cx: &Cx, id: ProjectId) -> Result<(), Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(cx, Verb::ProjectsDelete, Scope::Tenant(tenant))?;
    let cx = cx.clone();
    let deleted = app.store.write(move |tx| {
        let project = projects::find_in(tx, tenant, id)?;
        let impact = impact_in(tx, &project)?;
        if !impact.deletable {
            return Err(refused(impact));
        }
        projects::delete_in(tx, &cx, &project)?;
        Ok(audit::unchanged(()))
    });
    deleted.await
}

fn refused(impact: Impact) -> Problem {
    let errors = impact.blockers.into_iter().map(|one| FieldError {
        field: one.id,
        code: one.code.to_owned(),
        detail: one.detail,
    });
    let errors: Vec<_> = errors.collect();
    let (code, detail) = match impact.allocations {
        0 => ("default_project", "This is the default project: make another one the default first.".to_owned()),
        1 => ("project_not_empty", "An allocation stands in this project: release it first.".to_owned()),
        many => ("project_not_empty", format!("{many} allocations stand in this project: release them first.")),
    };
    Problem::conflict(code, detail).with_errors(errors)
}
