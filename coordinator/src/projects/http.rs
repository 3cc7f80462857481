//! Projects over HTTP.

use super::{Project, store, verbs};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::{Caller, IfMatch, Json, Page, PageQuery, Path, Problem, ProblemBody, Query, with_etag};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::ids::ProjectId;
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
    /// For `If-Match`.
    pub version: i64,
    /// RFC 3339.
    pub created_at: String,
}

impl From<Project> for ProjectReply {
    fn from(project: Project) -> Self {
        Self {
            id: project.id.to_string(),
            name: project.name,
            is_default: project.is_default,
            version: project.version,
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
    Ok((StatusCode::CREATED, Json(verbs::create(&app, &cx, &new.name).await?.into())))
}

/// One project. Foreign, unknown and deleted ones answer the same.
#[utoipa::path(get, path = "/api/v1/projects/{project_id}", operation_id = "projects.show", tag = "projects",
    params(("project_id" = String, Path)), responses((status = 200, body = ProjectReply)))]
async fn show(State(app): State<App>, Caller(cx): Caller, Path(id): Path<ProjectId>) -> Result<Response, Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(&cx, Verb::ProjectsShow, Scope::Tenant(tenant))?;
    let found = app.store.read(move |tx| store::find_in(tx, tenant, id)).await?;
    Ok(with_etag(found.version, Json(ProjectReply::from(found))))
}

/// What is changed of a project; what is left out stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectEdit {
    /// 1 to 100 characters on one line, unique in the tenant.
    pub name: Option<String>,
}

/// Renames a project. 409 `name_taken`, 412 `stale_version`.
#[utoipa::path(patch, path = "/api/v1/projects/{project_id}", operation_id = "projects.update", tag = "projects",
    params(("project_id" = String, Path), ("If-Match" = String, Header)), request_body = ProjectEdit,
    responses((status = 200, body = ProjectReply), (status = 409, body = ProblemBody)))]
async fn update(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<ProjectId>,
    version: IfMatch,
    Json(edit): Json<ProjectEdit>,
) -> Result<Response, Problem> {
    let project = verbs::rename(&app, &cx, id, version, edit.name).await?;
    Ok(with_etag(project.version, Json(ProjectReply::from(project))))
}

/// Makes a project the default one. Doing it twice changes nothing.
#[utoipa::path(post, path = "/api/v1/projects/{project_id}/set-default", operation_id = "projects.set_default",
    tag = "projects", params(("project_id" = String, Path)), responses((status = 200, body = ProjectReply)))]
async fn set_default(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<ProjectId>,
) -> Result<Json<ProjectReply>, Problem> {
    Ok(Json(verbs::set_default(&app, &cx, id).await?.into()))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, update)).routes(routes!(set_default))
}
