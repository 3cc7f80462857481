//! What platform administrators do with other people: roles, whether they may sign in, their sign-ins.

use super::store::{self, Login};
use super::{User, verbs};
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Door, Problem};
use crate::base::store::Tx;
use crate::cx::{Cx, Role};
use muster_protocol::ids::UserId;

/// 409 `last_admin` if nobody would be left who may do everything.
fn require_another_admin_in(tx: &mut Tx, user: &User) -> Result<(), Problem> {
    if user.active && user.roles.contains(&Role::PlatformAdmin) && store::other_admins(tx, user.id)? == 0 {
        let detail = "This is the last platform administrator. Make another one first.";
        return Err(Problem::conflict("last_admin", detail));
    }
    Ok(())
}

/// Gives a person these roles and no others; they count from the next request on.
pub(super) async fn set_roles(app: &App, cx: &Cx, id: UserId, roles: Vec<Role>) -> Result<User, Problem> {
    authz::require(cx, Verb::UsersUpdate, Scope::Platform)?;
    if roles.is_empty() {
        return Err(Problem::invalid("roles", "required", "Give at least one role, or disable the person."));
    }
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            let user = store::find_in(tx, id)?;
            if !roles.contains(&Role::PlatformAdmin) {
                require_another_admin_in(tx, &user)?;
            }
            if user.tenant_id.is_none() && roles.iter().any(|role| role.door() == Door::Console) {
                let detail = "This person has no tenant, so that roles of the user console mean nothing.";
                return Err(Problem::invalid("roles", "no_tenant", detail));
            }
            let words = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>();
            store::set_roles(tx, id, &roles)?;
            let event = Event::new(Verb::UsersUpdate.as_str(), id).before(&words(&user.roles)).after(&words(&roles));
            let user = store::find_in(tx, id)?;
            audit::record(tx, &cx, event, user)
        })
        .await
}

/// Lets a person sign in or not; who may not is signed out everywhere.
pub(super) async fn set_active(app: &App, cx: &Cx, id: UserId, active: bool) -> Result<User, Problem> {
    let verb = if active { Verb::UsersEnable } else { Verb::UsersDisable };
    authz::require(cx, verb, Scope::Platform)?;
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            let user = store::find_in(tx, id)?;
            if user.active == active {
                return Ok(audit::unchanged(user));
            }
            if !active {
                require_another_admin_in(tx, &user)?;
                end_all_in(tx, &cx, id, verb)?;
            }
            store::set_active(tx, id, active)?;
            audit::record(tx, &cx, Event::new(verb.as_str(), id), User { active, ..user })
        })
        .await
}

/// The live sign-ins of a person.
pub(super) async fn sessions(app: &App, cx: &Cx, id: UserId) -> Result<Vec<Login>, Problem> {
    authz::require(cx, Verb::UsersSessions, Scope::Platform)?;
    let now_ms = cx.now_ms;
    verbs::show(app, cx, id).await?;
    app.store.read(move |tx| store::logins(tx, id, now_ms)).await
}

/// Signs a person out everywhere, API keys included. Returns how many sign-ins and keys that were.
pub(super) async fn end_sessions(app: &App, cx: &Cx, id: UserId) -> Result<usize, Problem> {
    authz::require(cx, Verb::UsersEndSessions, Scope::Platform)?;
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            store::find_in(tx, id)?;
            let ended = end_all_in(tx, &cx, id, Verb::UsersEndSessions)?;
            let after = serde_json::json!({ "ended": ended });
            audit::record(tx, &cx, Event::new(Verb::UsersEndSessions.as_str(), id).after(&after), ended)
        })
        .await
}

/// Sign-ins and API keys alike.
fn end_all_in(tx: &mut Tx, cx: &Cx, id: UserId, verb: Verb) -> Result<usize, Problem> {
    store::end_logins(tx, cx.now_ms, id, verb.as_str(), None, true)
}
