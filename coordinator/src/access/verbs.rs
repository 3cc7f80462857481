//! What one can do with SSH keys.

use super::{PublicKey, SshKey, store};
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{FieldError, Problem};
use crate::base::limits;
use crate::base::store::Tx;
use crate::cx::Cx;
use muster_protocol::ids::{SshKeyId, UserId};

/// The keys for a launch: those named, or all of the person's when `ids` is `None`. 404 for one that is not the
/// person's.
pub fn resolve_in(tx: &mut Tx, user: UserId, ids: Option<&[SshKeyId]>) -> Result<Vec<SshKey>, Problem> {
    let Some(ids) = ids else { return store::of_user_in(tx, user) };
    let mut keys: Vec<SshKey> = Vec::with_capacity(ids.len());
    for id in ids {
        if !keys.iter().any(|key| key.id == *id) {
            keys.push(store::find_in(tx, user, *id)?);
        }
    }
    Ok(keys)
}

/// Adds a key of the caller. 422 with the code of [`super::BadKey`], 409 `duplicate`, 409 `too_many_keys`.
pub(super) async fn create(app: &App, cx: &Cx, name: Option<String>, text: &str) -> Result<SshKey, Problem> {
    let user = cx.user_id()?;
    authz::require(cx, Verb::SshKeysCreate, Scope::User(user))?;
    let key = PublicKey::parse(text).map_err(|bad| Problem::invalid("public_key", bad.code(), &bad.to_string()))?;
    let given = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let name = given
        .unwrap_or_else(|| if key.comment.is_empty() { key.kind.as_str().to_owned() } else { key.comment.clone() });
    if name.chars().count() > 100 || name.contains(char::is_control) {
        return Err(Problem::invalid("name", "invalid", "A name has at most 100 characters on one line."));
    }
    let key = SshKey { id: cx.new_id(), user_id: user, name, key, created_ms: cx.now_ms };
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            if store::count(tx, user)? >= limits::SSH_KEYS {
                return Err(Problem::conflict("too_many_keys", "You have as many SSH keys as one may have."));
            }
            if !store::insert(tx, &key)? {
                let detail = "You have added this key before.";
                return Err(Problem::conflict("duplicate", detail).with_errors(vec![FieldError {
                    field: "public_key".to_owned(),
                    code: "duplicate".to_owned(),
                    detail: detail.to_owned(),
                }]));
            }
            let after = serde_json::json!({ "name": key.name, "fingerprint": key.key.fingerprint });
            audit::record(tx, &cx, Event::new("ssh_keys.create", key.id).after(&after), key.clone())
        })
        .await
}

/// Forgets a key of the caller. Allocations that run keep the keys they were launched with.
pub(super) async fn delete(app: &App, cx: &Cx, id: SshKeyId) -> Result<(), Problem> {
    let user = cx.user_id()?;
    authz::require(cx, Verb::SshKeysDelete, Scope::User(user))?;
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            let key = store::find_in(tx, user, id)?;
            store::delete(tx, user, id)?;
            let before = serde_json::json!({ "name": key.name, "fingerprint": key.key.fingerprint });
            audit::record(tx, &cx, Event::new("ssh_keys.delete", id).before(&before), ())
        })
        .await
}
