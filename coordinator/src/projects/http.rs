//! Projects over HTTP.

use super::{Project, store};
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::{Caller, Json, Page, PageQuery, Problem, ProblemBody, Query};
use crate::base::limits;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
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

/// A project to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct NewProject {
    /// 1 to 100 characters on one line, unique in the tenant.
    pub name: String,
}

/// Makes a project. 409 `name_taken`, 409 `too_many_projects`.
#[utoipa::path(post, path = "/api/v1/projects", operation_id = "projects.create", tag = "projects",
    request_body = NewProject, responses((status = 201, body = ProjectReply), (status = 409, body = ProblemBody)))]
async fn create(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(new): Json<NewProject>,
) -> Result<(StatusCode, Json<ProjectReply>), Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(&cx, Verb::ProjectsCreate, Scope::Tenant(tenant))?;
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 100 || name.contains(char::is_control) {
        return Err(Problem::invalid("name", "invalid", "A name has 1 to 100 characters on one line."));
    }
    let made = app.store.write(move |tx| {
        if store::count(tx, tenant)? >= limits::PROJECTS {
            return Err(Problem::conflict("too_many_projects", "The tenant has as many projects as one may have."));
        }
        store::create_in(tx, &cx, tenant, &name, false).map(audit::unchanged)
    });
    Ok((StatusCode::CREATED, Json(made.await?.into())))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create))
}
