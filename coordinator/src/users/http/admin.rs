//! People, for staff.

use super::UserReply;
use super::account::{EndedReply, SessionItem};
use super::auth::MadeReply;
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Caller, Json, Page, PageQuery, Path, Problem, ProblemBody, Query};
use crate::cx::Role;
use crate::users::verbs::{self, Asked};
use crate::users::{manage, store};
use axum::extract::State;
use axum::http::StatusCode;
use muster_protocol::ids::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

/// What a list of people is narrowed to.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UsersQuery {
    /// A part of the sign-in name.
    q: Option<String>,
}

/// All people, newest first.
#[utoipa::path(get, path = "/api/v1/admin/users", operation_id = "users.list", tag = "users",
    params(PageQuery, UsersQuery), responses((status = 200, body = Page<UserReply>)))]
pub(super) async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(page): Query<PageQuery>,
    Query(narrow): Query<UsersQuery>,
) -> Result<Json<Page<UserReply>>, Problem> {
    authz::require(&cx, Verb::UsersList, Scope::Platform)?;
    let rows = {
        let page = page.clone();
        app.store.read(move |tx| store::page(tx, &page, narrow.q.as_deref())).await?
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

fn known(words: &[String]) -> Result<Vec<Role>, Problem> {
    let unknown = |word: &String| {
        let role: Result<Role, ()> = word.parse();
        role.map_err(|()| Problem::invalid("roles", "unknown_role", &format!("There is no role {word:?}.")))
    };
    words.iter().map(unknown).collect()
}

/// Makes a person.
#[utoipa::path(post, path = "/api/v1/admin/users", operation_id = "users.create", tag = "users",
    request_body = NewUserRequest, responses((status = 201, body = MadeReply), (status = 409, body = ProblemBody)))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(asked): Json<NewUserRequest>,
) -> Result<(StatusCode, Json<MadeReply>), Problem> {
    let roles = known(&asked.roles)?;
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

/// What is changed about a person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEdit {
    /// All roles together, of both doors.
    roles: Vec<String>,
}

/// Gives a person other roles; they count from the next request on. 409 `last_admin`.
#[utoipa::path(patch, path = "/api/v1/admin/users/{user_id}", operation_id = "users.update", tag = "users",
    params(("user_id" = String, Path)), request_body = UserEdit,
    responses((status = 200, body = UserReply), (status = 409, body = ProblemBody)))]
pub(super) async fn update(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<UserId>,
    Json(edit): Json<UserEdit>,
) -> Result<Json<UserReply>, Problem> {
    Ok(Json(manage::set_roles(&app, &cx, id, known(&edit.roles)?).await?.into()))
}

/// Keeps a person from signing in and signs them out everywhere. 409 `last_admin`.
#[utoipa::path(post, path = "/api/v1/admin/users/{user_id}/disable", operation_id = "users.disable", tag = "users",
    params(("user_id" = String, Path)),
    responses((status = 200, body = UserReply), (status = 409, body = ProblemBody)))]
pub(super) async fn disable(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<UserId>,
) -> Result<Json<UserReply>, Problem> {
    Ok(Json(manage::set_active(&app, &cx, id, false).await?.into()))
}

/// Lets a person sign in again.
#[utoipa::path(post, path = "/api/v1/admin/users/{user_id}/enable", operation_id = "users.enable", tag = "users",
    params(("user_id" = String, Path)), responses((status = 200, body = UserReply)))]
pub(super) async fn enable(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<UserId>,
) -> Result<Json<UserReply>, Problem> {
    Ok(Json(manage::set_active(&app, &cx, id, true).await?.into()))
}

/// Where a person is signed in.
#[utoipa::path(get, path = "/api/v1/admin/users/{user_id}/sessions", operation_id = "users.sessions", tag = "users",
    params(("user_id" = String, Path)), responses((status = 200, body = Page<SessionItem>)))]
pub(super) async fn sessions(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<UserId>,
) -> Result<Json<Page<SessionItem>>, Problem> {
    let own = cx.person()?.login_id;
    let logins = manage::sessions(&app, &cx, id).await?;
    Ok(Json(Page::whole(logins.into_iter().map(|login| SessionItem::of(login, own)).collect())))
}

/// Signs a person out everywhere.
#[utoipa::path(post, path = "/api/v1/admin/users/{user_id}/end-sessions", operation_id = "users.end_sessions",
    tag = "users", params(("user_id" = String, Path)), responses((status = 200, body = EndedReply)))]
pub(super) async fn end_sessions(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<UserId>,
) -> Result<Json<EndedReply>, Problem> {
    Ok(Json(EndedReply { ended: manage::end_sessions(&app, &cx, id).await? }))
}
