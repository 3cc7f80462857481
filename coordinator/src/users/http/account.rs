//! One's own account.

use super::UserReply;
use super::auth::TenantReply;
use crate::app::App;
use crate::base::authz::{self, Gate, Scope, Verb};
use crate::base::clock::{rfc3339, rfc3339_opt};
use crate::base::http::{Caller, Json, Page, Path, Problem};
use crate::projects::{self, http::ProjectReply};
use crate::tenants;
use crate::users::store::{self, Login};
use crate::users::verbs;
use axum::extract::State;
use axum::http::StatusCode;
use muster_protocol::ids::LoginId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything a shell needs after sign-in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MeReply {
    /// The person.
    user: UserReply,
    /// `console` or `operator`.
    door: String,
    /// Roles that count at this door.
    roles: Vec<String>,
    /// What may be done at this door, by the names of the operations.
    capabilities: Vec<String>,
    /// The tenant one works in; null for staff.
    tenant: Option<TenantReply>,
    /// All tenants one belongs to.
    tenants: Vec<TenantReply>,
    /// `ws_…` of the tenant.
    workspace_id: Option<String>,
    /// Where launches go when nobody said otherwise.
    default_project: Option<ProjectReply>,
    /// This sign-in.
    session: MeSession,
    /// For `X-CSRF-Token`; null for bearer sign-ins.
    csrf_token: Option<String>,
}

/// The sign-in of this request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MeSession {
    /// `lo_…`
    id: String,
    /// `cookie` or `bearer`.
    kind: String,
    /// How sure we are who it is: `password`.
    assurance: String,
    /// Until when sensitive verbs are open; null when they are not.
    stepped_up_until: Option<String>,
}

/// Who I am, what I may do, and where.
#[utoipa::path(get, path = "/api/v1/me", operation_id = "me.show", tag = "me",
    responses((status = 200, body = MeReply)))]
pub(super) async fn me(State(app): State<App>, Caller(cx): Caller) -> Result<Json<MeReply>, Problem> {
    let person = cx.person()?.clone();
    authz::require(&cx, Verb::MeShow, Scope::User(person.id))?;
    let (id, tenant) = (person.id, person.tenant_id);
    let (user, tenant, project) = app
        .store
        .read(move |tx| {
            let user = store::find_in(tx, id)?;
            let Some(tenant) = tenant else { return Ok((user, None, None)) };
            Ok((user, Some(tenants::find_in(tx, tenant)?), Some(projects::default_in(tx, tenant)?)))
        })
        .await?;
    let may = |gate: Gate| match gate {
        Gate::Closed => false,
        Gate::Anyone | Gate::SignedIn => true,
        Gate::Roles(roles) => person.roles.iter().any(|role| roles.contains(role)),
    };
    let capabilities =
        Verb::TABLE.iter().filter(|row| may(row.0.gate(person.door))).map(|row| row.1.to_owned()).collect();
    Ok(Json(MeReply {
        user: user.into(),
        door: person.door.as_str().to_owned(),
        roles: person.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        capabilities,
        tenants: tenant.iter().map(TenantReply::from).collect(),
        tenant: tenant.as_ref().map(TenantReply::from),
        workspace_id: person.workspace_id.map(|id| id.to_string()),
        default_project: project.map(Into::into),
        session: MeSession {
            id: person.login_id.to_string(),
            kind: if person.bearer { "bearer" } else { "cookie" }.to_owned(),
            assurance: "password".to_owned(),
            stepped_up_until: rfc3339_opt(person.stepped_up_until_ms.filter(|until| *until > cx.now_ms)),
        },
        csrf_token: person.csrf_token,
    }))
}

/// A sign-in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionItem {
    /// `lo_…`
    id: String,
    /// The door it is good at.
    door: String,
    /// `cookie` or `bearer`.
    kind: String,
    /// The program that signed in, in its own words.
    user_agent: Option<String>,
    /// Where it came from.
    source_ip: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// When its tokens were last changed.
    refreshed_at: String,
    /// Whether it is the one of this request.
    current: bool,
}

impl SessionItem {
    /// `own` is the sign-in of this request.
    pub(super) fn of(login: Login, own: LoginId) -> Self {
        Self {
            current: login.id == own,
            id: login.id.to_string(),
            door: login.door.as_str().to_owned(),
            kind: if login.bearer { "bearer" } else { "cookie" }.to_owned(),
            user_agent: login.user_agent,
            source_ip: login.source_ip,
            created_at: rfc3339(login.created_ms),
            refreshed_at: rfc3339(login.refreshed_ms),
        }
    }
}

/// Where I am signed in.
#[utoipa::path(get, path = "/api/v1/account/sessions", operation_id = "account.sessions.list", tag = "account",
    responses((status = 200, body = Page<SessionItem>)))]
pub(super) async fn sessions(State(app): State<App>, Caller(cx): Caller) -> Result<Json<Page<SessionItem>>, Problem> {
    let own = cx.person()?.login_id;
    let logins = verbs::sessions(&app, &cx).await?;
    Ok(Json(Page::whole(logins.into_iter().map(|login| SessionItem::of(login, own)).collect())))
}

/// Ends one of my sign-ins.
#[utoipa::path(delete, path = "/api/v1/account/sessions/{id}", operation_id = "account.sessions.end",
    tag = "account", params(("id" = String, Path)), responses((status = 204)))]
pub(super) async fn end_session(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<LoginId>,
) -> Result<StatusCode, Problem> {
    verbs::end_session(&app, &cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many sign-ins were ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EndedReply {
    /// How many.
    pub(super) ended: usize,
}

/// Ends all my sign-ins but this one.
#[utoipa::path(post, path = "/api/v1/account/sessions/revoke-others", operation_id = "account.sessions.end_others",
    tag = "account", responses((status = 200, body = EndedReply)))]
pub(super) async fn end_others(State(app): State<App>, Caller(cx): Caller) -> Result<Json<EndedReply>, Problem> {
    Ok(Json(EndedReply { ended: verbs::end_others(&app, &cx).await? }))
}

/// The old and the new password.
#[derive(Deserialize, ToSchema)]
pub(super) struct PasswordRequest {
    /// The password that is good now.
    current: String,
    /// At least 8 characters.
    new: String,
}

/// Changes my password and ends my other sign-ins. Needs step-up.
#[utoipa::path(post, path = "/api/v1/account/security/password", operation_id = "account.password",
    tag = "account", request_body = PasswordRequest, responses((status = 204)))]
pub(super) async fn password(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(asked): Json<PasswordRequest>,
) -> Result<StatusCode, Problem> {
    verbs::change_password(&app, &cx, asked.current, asked.new).await?;
    Ok(StatusCode::NO_CONTENT)
}
