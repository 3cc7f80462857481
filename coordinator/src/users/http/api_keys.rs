//! One's own API keys.

use crate::app::App;
use crate::base::clock::rfc3339;
use crate::base::http::{Caller, Json, Page, Path, Problem, ProblemBody};
use crate::users::api_keys;
use crate::users::store::ApiKey;
use axum::extract::State;
use axum::http::StatusCode;
use muster_protocol::ids::LoginId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Life of a key when none is asked for, days.
const DAYS: i64 = 90;

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiKeyItem {
    /// `lo_…`
    id: String,
    /// For people.
    name: String,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    expires_at: String,
}

impl From<ApiKey> for ApiKeyItem {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            created_at: rfc3339(key.created_ms),
            expires_at: rfc3339(key.expires_ms),
        }
    }
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewApiKey {
    /// 1 to 100 characters on one line.
    name: String,
    /// 1 to 365; 90 if not given.
    expires_in_days: Option<i64>,
}

/// A key with its token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiKeyMade {
    /// The key.
    key: ApiKeyItem,
    /// Send it as `Authorization: Bearer …`. It is shown this once.
    token: String,
}

/// My API keys that are still good, newest first.
#[utoipa::path(get, path = "/api/v1/api-keys", operation_id = "api_keys.list", tag = "account",
    responses((status = 200, body = Page<ApiKeyItem>)))]
pub(super) async fn list(State(app): State<App>, Caller(cx): Caller) -> Result<Json<Page<ApiKeyItem>>, Problem> {
    let keys = api_keys::list(&app, &cx).await?;
    Ok(Json(Page::whole(keys.into_iter().map(ApiKeyItem::from).collect())))
}

/// Makes an API key. Needs step-up.
#[utoipa::path(post, path = "/api/v1/api-keys", operation_id = "api_keys.create", tag = "account",
    request_body = NewApiKey, responses((status = 201, body = ApiKeyMade), (status = 409, body = ProblemBody)))]
pub(super) async fn create(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(new): Json<NewApiKey>,
) -> Result<(StatusCode, Json<ApiKeyMade>), Problem> {
    let (key, token) = api_keys::create(&app, &cx, &new.name, new.expires_in_days.unwrap_or(DAYS)).await?;
    Ok((StatusCode::CREATED, Json(ApiKeyMade { key: key.into(), token })))
}

/// Ends one of my API keys at once.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", operation_id = "api_keys.revoke", tag = "account",
    params(("id" = String, Path)), responses((status = 204)))]
pub(super) async fn revoke(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<LoginId>,
) -> Result<StatusCode, Problem> {
    api_keys::revoke(&app, &cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
