//! People, for staff.

use super::UserReply;
use super::auth::MadeReply;
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Caller, Json, Page, PageQuery, Path, Problem, ProblemBody, Query};
use crate::cx::Role;
use crate::users::store;
use crate::users::verbs::{self, Asked};
use axum::extract::State;
use axum::http::StatusCode;
use muster_protocol::ids::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

/// All people, newest first.
#[utoipa::path(get, path = "/api/v1/admin/users", operation_id = "users.list", tag = "users",
    params(PageQuery), responses((status = 200, body = Page<UserReply>)))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<UserReply>>, Problem> {
    authz::require(&cx, Verb::UsersList, Scope::Platform)?;
    let rows = {
        let page = page.clone();
        app.store.read(move |tx| store::page(tx, &page)).await?
    };
    Ok(Json(Page::cut(rows, &page, |user| (user.created_ms, user.id.to_string()))?.map(UserReply::from)))
}

/// A person to be made.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewUserRequest {
    /// 2 to 64 letters, digits or . _ - @ +
    username: String,
    /// Where they can be written to.
    email: Option<String>,
    /// At least 8 characters.
    password: String,
    /// Roles of either door; `tenant_admin` of a tenant of their own when empty.
    #[serde(default)]
    roles: Vec<String>,
}

/// Makes a person.
#[utoipa::path(post, path = "/api/v1/admin/users", operation_id = "users.create", tag = "users",
    request_body = NewUserRequest, responses((status = 201, body = MadeReply), (status = 409, body = ProblemBody)))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(asked): Json<NewUserRequest>,
) -> Result<(StatusCode, Json<MadeReply>), Problem> {
    let unknown = |word: &String| {
        let role: Result<Role, ()> = word.parse();
        role.map_err(|()| Problem::invalid("roles", "unknown_role", &format!("There is no role {word:?}.")))
    };
    let roles = asked.roles.iter().map(unknown).collect::<Result<_, _>>()?;
    let asked = Asked { username: asked.username, email: asked.email, password: asked.password, roles };
    let made = verbs::create(&app, &cx, asked).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// One person.
#[utoipa::path(get, path = "/api/v1/admin/users/{user_id}", operation_id = "users.show", tag = "users",
    params(("user_id" = String, Path)), responses((status = 200, body = UserReply)))]
pub(super) async fn show(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<UserId>,
) -> Result<Json<UserReply>, Problem> {
    Ok(Json(verbs::show(&app, &cx, id).await?.into()))
}
