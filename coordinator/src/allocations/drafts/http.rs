//! Drafts over HTTP: read, kept and forgotten under a name that the wizard chose.

use super::store;
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::{Caller, Json, Path, Problem};
use crate::base::limits;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Longest name of a draft, characters.
const NAME_MAX: usize = 64;

/// A draft.
#[derive(Debug, Serialize, ToSchema)]
struct DraftReply {
    /// What was kept, as it was sent.
    #[schema(value_type = Object)]
    body: Value,
    /// When, RFC 3339.
    saved_at: String,
}

/// A name of letters, digits and `-`; 404 for any other: no draft can have it.
fn named(id: String) -> Result<String, Problem> {
    let good = !id.is_empty() && id.len() <= NAME_MAX && id.bytes().all(|at| at.is_ascii_alphanumeric() || at == b'-');
    if good { Ok(id) } else { Err(Problem::not_found("draft")) }
}

/// One of the caller's drafts.
#[utoipa::path(get, path = "/api/v1/launch/drafts/{id}", operation_id = "drafts.show", tag = "allocations",
    params(("id" = String, Path)), responses((status = 200, body = DraftReply)))]
async fn show(State(app): State<App>, Caller(cx): Caller, Path(id): Path<String>) -> Result<Json<DraftReply>, Problem> {
    let (user, id) = (cx.user_id()?, named(id)?);
    authz::require(&cx, Verb::DraftsShow, Scope::User(user))?;
    let found = app.store.read(move |tx| store::find(tx, user, &id)).await?;
    let (text, saved_ms) = found.ok_or_else(|| Problem::not_found("draft"))?;
    let body = serde_json::from_str(&text).map_err(Problem::internal)?;
    Ok(Json(DraftReply { body, saved_at: rfc3339(saved_ms) }))
}

/// Keeps a draft of up to 16 KiB in place of what it was. 409 `too_many_drafts` for the twenty-first.
#[utoipa::path(put, path = "/api/v1/launch/drafts/{id}", operation_id = "drafts.save", tag = "allocations",
    params(("id" = String, Path)), request_body = Object, responses((status = 204)))]
async fn save(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Json(body): Json<Map<String, Value>>,
) -> Result<StatusCode, Problem> {
    let (user, id) = (cx.user_id()?, named(id)?);
    authz::require(&cx, Verb::DraftsSave, Scope::User(user))?;
    let text = Value::Object(body).to_string();
    if text.len() > limits::DRAFT_BYTES {
        return Err(Problem::invalid("body", "too_long", "A draft has at most 16 KiB."));
    }
    app.store
        .write(move |tx| {
            if store::others(tx, user, &id)? >= limits::DRAFTS {
                return Err(Problem::conflict("too_many_drafts", "You have as many drafts as one may have."));
            }
            store::save(tx, user, &id, &text, cx.now_ms)?;
            Ok(audit::unchanged(()))
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a draft; also one that is not there.
#[utoipa::path(delete, path = "/api/v1/launch/drafts/{id}", operation_id = "drafts.delete", tag = "allocations",
    params(("id" = String, Path)), responses((status = 204)))]
async fn delete(State(app): State<App>, Caller(cx): Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let (user, id) = (cx.user_id()?, named(id)?);
    authz::require(&cx, Verb::DraftsDelete, Scope::User(user))?;
    app.store
        .write(move |tx| {
            store::delete(tx, user, &id)?;
            Ok(audit::unchanged(()))
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, save, delete))
}
