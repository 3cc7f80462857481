//! People and sign-ins over HTTP: `auth` (signing in and out), `account` and `api_keys` (one's own), `admin` (for staff).

mod account;
mod admin;
mod api_keys;
mod auth;

use super::User;
use crate::app::App;
use crate::base::clock::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// A person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserReply {
    /// `us_…`
    pub id: String,
    /// The sign-in name.
    pub username: String,
    /// Where they can be written to.
    pub email: Option<String>,
    /// `tn_…`, null for staff without a tenant.
    pub tenant_id: Option<String>,
    /// Roles of both doors.
    pub roles: Vec<String>,
    /// `active` or `disabled`.
    pub state: String,
    /// RFC 3339.
    pub created_at: String,
}

impl From<User> for UserReply {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username,
            email: user.email,
            tenant_id: user.tenant_id.map(|id| id.to_string()),
            roles: user.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            state: if user.active { "active" } else { "disabled" }.to_owned(),
            created_at: rfc3339(user.created_ms),
        }
    }
}

/// Routes that stand at both doors.
fn shared() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::step_up))
        .routes(routes!(account::me))
        .routes(routes!(account::sessions))
        .routes(routes!(account::end_session))
        .routes(routes!(account::end_others))
        .routes(routes!(account::password))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    shared()
        .routes(routes!(auth::sign_up))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::revoke))
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    shared()
        .routes(routes!(admin::list, admin::create))
        .routes(routes!(admin::show, admin::update))
        .routes(routes!(admin::disable))
        .routes(routes!(admin::enable))
        .routes(routes!(admin::sessions))
        .routes(routes!(admin::end_sessions))
}
