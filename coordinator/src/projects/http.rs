//! Projects over HTTP.

use super::{Project, store};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::{Caller, Json, Page, PageQuery, Problem, Query};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// A project.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProjectReply {
    /// `pj_…`
    pub id: String,
    /// Unique in the tenant.
    pub name: String,
    /// Whether things go here when nobody said otherwise.
    pub is_default: bool,
    /// RFC 3339.
    pub created_at: String,
}

impl From<Project> for ProjectReply {
    fn from(project: Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name,
            is_default: project.is_default,
            created_at: rfc3339(project.created_ms),
        }
    }
}

/// Projects of the caller's tenant.
#[utoipa::path(get, path = "/api/v1/projects", operation_id = "projects.list", tag = "projects",
    params(PageQuery), responses((status = 200, body = Page<ProjectReply>)))]
async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ProjectReply>>, Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(&cx, Verb::ProjectsList, Scope::Tenant(tenant))?;
    let rows = {
        let page = page.clone();
        app.store.read(move |tx| store::list_in(tx, tenant, &page)).await?
    };
    let page = Page::cut(rows, &page, |project| (project.created_ms, project.id.to_string()))?;
    Ok(Json(page.map(ProjectReply::from)))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}
