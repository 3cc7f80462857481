//! Signing in and out.

use super::UserReply;
use crate::app::App;
use crate::base::clock::rfc3339;
use crate::base::http::auth::{csrf_token, require_own_origin};
use crate::base::http::frame::RequestInfo;
use crate::base::http::{Caller, Json, Problem, ProblemBody, Visitor};
use crate::projects::http::ProjectReply;
use crate::users::sign_in::{self, Session};
use crate::users::verbs::{self, Asked};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a sign-in is carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SessionKind {
    /// An HttpOnly cookie, for browsers.
    Cookie,
    /// Tokens in the answer, for scripts.
    #[default]
    Bearer,
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginRequest {
    /// The sign-in name.
    username: String,
    /// The password.
    password: String,
    /// How the sign-in is carried.
    #[serde(default)]
    session: SessionKind,
}

/// What a sign-in hands out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionReply {
    /// For `Authorization: Bearer`; absent for cookie sign-ins.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// Good once, at `/api/v1/auth/token/refresh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// `Bearer` or `Cookie`.
    token_type: &'static str,
    /// Seconds until the access token or the cookie ends.
    expires_in: u64,
    /// For `X-CSRF-Token`; cookie sign-ins only.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
    /// Who signed in; not at a refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserReply>,
}

impl SessionReply {
    fn bearer(session: Session, user: Option<UserReply>) -> Self {
        Self {
            access_token: Some(session.access_token),
            refresh_token: session.refresh_token,
            token_type: "Bearer",
            expires_in: session.expires_in.as_secs(),
            csrf_token: None,
            user,
        }
    }
}

fn cookie(info: &RequestInfo, value: &str, seconds: u64) -> String {
    let secure = if info.secure { "; Secure" } else { "" };
    let name = info.door.cookie_name(info.secure);
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(200).collect())
}

/// Signs in with name and password. At the operator door an operator role is needed.
#[utoipa::path(post, path = "/api/v1/auth/personal/login", operation_id = "auth.login", tag = "auth",
    request_body = LoginRequest, responses((status = 200, body = SessionReply), (status = 401, body = ProblemBody)))]
pub(super) async fn login(
    State(app): State<App>,
    Extension(info): Extension<RequestInfo>,
    headers: HeaderMap,
    Json(asked): Json<LoginRequest>,
) -> Result<Response, Problem> {
    require_own_origin(&headers, &info)?;
    let bearer = asked.session == SessionKind::Bearer;
    let (cx, agent) = (info.cx(&app), user_agent(&headers));
    let (user, session) = sign_in::login(&app, &cx, info.door, &asked.username, asked.password, bearer, agent).await?;
    let user = Some(UserReply::from(user));
    if bearer {
        return Ok(Json(SessionReply::bearer(session, user)).into_response());
    }
    let expires_in = session.expires_in.as_secs();
    let set = cookie(&info, &session.access_token, expires_in);
    let csrf_token = Some(csrf_token(&session.access_token));
    let reply =
        SessionReply { access_token: None, refresh_token: None, token_type: "Cookie", expires_in, csrf_token, user };
    Ok(([(header::SET_COOKIE, set)], Json(reply)).into_response())
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
pub(super) struct RefreshRequest {
    /// As handed out last.
    refresh_token: String,
}

/// Changes a refresh token into new tokens. Each is good once.
#[utoipa::path(post, path = "/api/v1/auth/token/refresh", operation_id = "auth.refresh", tag = "auth",
    request_body = RefreshRequest, responses((status = 200, body = SessionReply), (status = 401, body = ProblemBody)))]
pub(super) async fn refresh(
    State(app): State<App>,
    Extension(info): Extension<RequestInfo>,
    Json(asked): Json<RefreshRequest>,
) -> Result<Json<SessionReply>, Problem> {
    let session = sign_in::refresh(&app, &info.cx(&app), info.door, &asked.refresh_token).await?;
    Ok(Json(SessionReply::bearer(session, None)))
}

/// Ends this sign-in and forgets its cookie. Also without a valid one.
#[utoipa::path(post, path = "/api/v1/auth/logout", operation_id = "auth.logout", tag = "auth",
    responses((status = 204)))]
pub(super) async fn logout(
    State(app): State<App>,
    Extension(info): Extension<RequestInfo>,
    Visitor(cx): Visitor,
) -> Result<Response, Problem> {
    verbs::logout(&app, &cx).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&info, "", 0))]).into_response())
}

/// The password once more.
#[derive(Deserialize, ToSchema)]
pub(super) struct StepUpRequest {
    /// The password.
    password: String,
}

/// Until when sensitive verbs are open.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StepUpReply {
    /// RFC 3339.
    expires_at: String,
}

/// Opens sensitive verbs for five minutes, for the password.
#[utoipa::path(post, path = "/api/v1/auth/step-up", operation_id = "auth.step_up", tag = "auth",
    request_body = StepUpRequest, responses((status = 200, body = StepUpReply)))]
pub(super) async fn step_up(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(asked): Json<StepUpRequest>,
) -> Result<Json<StepUpReply>, Problem> {
    let until = sign_in::step_up(&app, &cx, asked.password).await?;
    Ok(Json(StepUpReply { expires_at: rfc3339(until) }))
}

/// A person who signs up.
#[derive(Deserialize, ToSchema)]
pub(super) struct SignupRequest {
    /// 2 to 64 letters, digits or . _ - @ +
    username: String,
    /// Where they can be written to.
    email: Option<String>,
    /// At least 8 characters.
    password: String,
}

/// The tenant of a person who signed up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TenantReply {
    /// `tn_…`
    pub id: String,
    /// For people.
    pub name: String,
    /// `personal` or `organisation`.
    pub kind: String,
}

impl From<&crate::tenants::Tenant> for TenantReply {
    fn from(tenant: &crate::tenants::Tenant) -> Self {
        Self { id: tenant.id.to_string(), name: tenant.name.clone(), kind: tenant.kind.as_str().to_owned() }
    }
}

/// What a sign-up made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeReply {
    /// The person.
    pub user: UserReply,
    /// Their tenant; null for staff.
    pub tenant: Option<TenantReply>,
    /// Its default project; null for staff.
    pub project: Option<ProjectReply>,
}

impl From<verbs::Made> for MadeReply {
    fn from((user, world): verbs::Made) -> Self {
        let (tenant, project) = world.unzip();
        Self { user: user.into(), tenant: tenant.as_ref().map(TenantReply::from), project: project.map(Into::into) }
    }
}

/// Makes a person with a tenant of their own and its default project.
#[utoipa::path(post, path = "/api/v1/auth/personal/signup", operation_id = "auth.signup", tag = "auth",
    request_body = SignupRequest, responses((status = 201, body = MadeReply), (status = 409, body = ProblemBody)))]
pub(super) async fn sign_up(
    State(app): State<App>,
    Extension(info): Extension<RequestInfo>,
    headers: HeaderMap,
    Json(asked): Json<SignupRequest>,
) -> Result<(StatusCode, Json<MadeReply>), Problem> {
    require_own_origin(&headers, &info)?;
    let asked = Asked { username: asked.username, email: asked.email, password: asked.password, roles: Vec::new() };
    let made = verbs::sign_up(&app, &info.cx(&app), asked).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}
