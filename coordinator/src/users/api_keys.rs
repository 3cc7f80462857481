//! API keys: bearer tokens with a name and a chosen life, for scripts. A key is a sign-in without a refresh token:
//! good at the door it was made at, with all that its person may do there but step-up.

use super::store::{self, ApiKey};
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Problem, auth::token_sha256};
use crate::base::limits;
use crate::cx::Cx;
use muster_protocol::ids::LoginId;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The caller's keys that are still good, newest first.
pub(super) async fn list(app: &App, cx: &Cx) -> Result<Vec<ApiKey>, Problem> {
    let person = cx.person()?;
    authz::require(cx, Verb::ApiKeysList, Scope::User(person.id))?;
    let (user, door, now_ms) = (person.id, person.door, cx.now_ms);
    app.store.read(move |tx| store::api_keys(tx, user, door, now_ms)).await
}

/// Makes a key and its token, which is told once. 403 `step_up_required`, 409 `too_many_keys`.
pub(super) async fn create(app: &App, cx: &Cx, name: &str, days: i64) -> Result<(ApiKey, String), Problem> {
    let person = cx.person()?;
    authz::require(cx, Verb::ApiKeysCreate, Scope::User(person.id))?;
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 100 || name.contains(char::is_control) {
        return Err(Problem::invalid("name", "invalid", "A name has 1 to 100 characters on one line."));
    }
    if !(1..=limits::API_KEY_DAYS).contains(&days) {
        return Err(Problem::invalid("expires_in_days", "out_of_range", "A key lives 1 to 365 days."));
    }
    authz::require_step_up(cx)?;
    let token = app.rng.secret();
    let key = ApiKey { id: cx.new_id(), name, created_ms: cx.now_ms, expires_ms: cx.now_ms + days * DAY_MS };
    let new = store::NewLogin {
        id: key.id,
        user: person.id,
        door: person.door,
        bearer: true,
        access_sha256: token_sha256(&token),
        access_expires_ms: key.expires_ms,
        refresh: None,
        user_agent: None,
        key_name: Some(key.name.clone()),
    };
    let (cx, made) = (cx.clone(), key.clone());
    app.store
        .write(move |tx| {
            if store::api_keys(tx, new.user, new.door, cx.now_ms)?.len() >= limits::API_KEYS {
                return Err(Problem::conflict("too_many_keys", "You have as many API keys as one may have."));
            }
            store::insert_login(tx, &cx, &new)?;
            let after = serde_json::json!({ "name": made.name, "expires_ms": made.expires_ms });
            audit::record(tx, &cx, Event::new("api_keys.create", made.id).after(&after), ())
        })
        .await?;
    Ok((key, token))
}

/// Ends one of the caller's keys; 404 for any other.
pub(super) async fn revoke(app: &App, cx: &Cx, id: LoginId) -> Result<(), Problem> {
    let person = cx.person()?;
    authz::require(cx, Verb::ApiKeysRevoke, Scope::User(person.id))?;
    let (user, door, cx) = (person.id, person.door, cx.clone());
    app.store
        .write(move |tx| {
            if !store::api_keys(tx, user, door, cx.now_ms)?.iter().any(|key| key.id == id) {
                return Err(Problem::not_found("API key"));
            }
            store::end_login(tx, cx.now_ms, id, "revoked")?;
            audit::record(tx, &cx, Event::new("api_keys.revoke", id), ())
        })
        .await
}
