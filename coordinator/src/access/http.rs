//! SSH keys over HTTP.

use super::{SshKey, store, verbs};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::{Caller, Json, Page, PageQuery, Path, Problem, ProblemBody, Query};
use axum::extract::State;
use axum::http::StatusCode;
use muster_protocol::ids::SshKeyId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// A public key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SshKeyReply {
    /// `sk_…`
    pub id: String,
    /// For people.
    pub name: String,
    /// The algorithm, as in the key line.
    pub kind: String,
    /// Its strength.
    pub bits: u32,
    /// `type base64`
    pub public_key: String,
    /// What stood behind the key.
    pub comment: String,
    /// As `ssh-keygen -lf` shows it.
    pub fingerprint: String,
    /// RFC 3339.
    pub created_at: String,
}

impl From<SshKey> for SshKeyReply {
    fn from(key: SshKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            kind: key.key.kind.as_str().to_owned(),
            bits: key.key.bits,
            public_key: key.key.line(),
            comment: key.key.comment,
            fingerprint: key.key.fingerprint,
            created_at: rfc3339(key.created_ms),
        }
    }
}

/// A key to add.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct NewSshKey {
    /// For people; the key's comment when not given.
    pub name: Option<String>,
    /// The one line of a `.pub` file.
    pub public_key: String,
}

/// The caller's keys, newest first.
#[utoipa::path(get, path = "/api/v1/ssh-keys", operation_id = "ssh_keys.list", tag = "ssh_keys",
    params(PageQuery), responses((status = 200, body = Page<SshKeyReply>)))]
async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SshKeyReply>>, Problem> {
    let user = cx.user_id()?;
    authz::require(&cx, Verb::SshKeysList, Scope::User(user))?;
    let rows = {
        let page = page.clone();
        app.store.read(move |tx| store::page(tx, user, &page)).await?
    };
    Ok(Json(Page::cut(rows, &page, |key| (key.created_ms, key.id.to_string()))?.map(SshKeyReply::from)))
}

/// Adds a key.
#[utoipa::path(post, path = "/api/v1/ssh-keys", operation_id = "ssh_keys.create", tag = "ssh_keys",
    request_body = NewSshKey, responses((status = 201, body = SshKeyReply), (status = 409, body = ProblemBody)))]
async fn create(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(new): Json<NewSshKey>,
) -> Result<(StatusCode, Json<SshKeyReply>), Problem> {
    let key = verbs::create(&app, &cx, new.name, &new.public_key).await?;
    Ok((StatusCode::CREATED, Json(key.into())))
}

/// Forgets a key.
#[utoipa::path(delete, path = "/api/v1/ssh-keys/{key_id}", operation_id = "ssh_keys.delete", tag = "ssh_keys",
    params(("key_id" = String, Path)), responses((status = 204)))]
async fn delete(State(app): State<App>, Caller(cx): Caller, Path(id): Path<SshKeyId>) -> Result<StatusCode, Problem> {
    verbs::delete(&app, &cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(delete))
}
