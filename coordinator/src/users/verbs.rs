//! What one can do with people and sign-ins, beside signing in.

use super::store::{self, Login};
use super::{NewUser, User, model, password, sign_in};
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Door, Problem};
use crate::base::store::Tx;
use crate::cx::{Cx, Role};
use crate::projects::{self, Project};
use crate::tenants::{self, Tenant, TenantKind};
use muster_protocol::ids::{LoginId, UserId};

/// A new person with, unless they are staff only, a personal tenant and its default project.
pub(super) type Made = (User, Option<(Tenant, Project)>);

/// Makes a person and their events. 409 `username_taken`.
pub fn create_in(tx: &mut Tx, cx: &Cx, new: &NewUser) -> Result<Made, Problem> {
    let world = if new.roles.iter().any(|role| role.door() == Door::Console) {
        let tenant = tenants::create_in(tx, cx, &new.username, TenantKind::Personal)?;
        let project = projects::create_in(tx, cx, tenant.id, "default", true)?;
        Some((tenant, project))
    } else {
        None
    };
    let taken = || Problem::conflict("username_taken", "This username is taken.");
    let tenant = world.as_ref().map(|(tenant, _)| tenant.id);
    let user = store::insert(tx, cx, new, tenant)?.ok_or_else(taken)?;
    let roles: Vec<&str> = user.roles.iter().map(|role| role.as_str()).collect();
    let mut event = Event::new("users.create", user.id);
    if let Some(tenant) = tenant {
        event = event.tenant(tenant);
    }
    let after = serde_json::json!({ "username": user.username, "roles": roles });
    audit::note(tx, cx, event.after(&after))?;
    Ok((user, world))
}

/// What is asked for a new person.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) username: String,
    pub(super) email: Option<String>,
    pub(super) password: String,
    pub(super) roles: Vec<Role>,
}

/// What is asked for, without what stands around it. 422 if it cannot be.
fn check(asked: &Asked) -> Result<(String, Option<String>), Problem> {
    let username = asked.username.trim().to_owned();
    model::check_username(&username)?;
    let email = asked.email.as_ref().map(|email| email.trim().to_owned()).filter(|email| !email.is_empty());
    email.as_deref().map_or(Ok(()), model::check_email)?;
    password::check_password(&username, &asked.password)?;
    Ok((username, email))
}

async fn make(app: &App, cx: &Cx, asked: Asked) -> Result<Made, Problem> {
    let (username, email) = check(&asked)?;
    let secret = asked.password;
    let password_hash = app.cpu.run(move || password::hash_password(&secret)).await??;
    let new = NewUser { username, email, password_hash, roles: asked.roles };
    let cx = cx.clone();
    let made = app
        .store
        .write(move |tx| {
            let made = create_in(tx, &cx, &new)?;
            Ok(audit::unchanged(made))
        })
        .await?;
    app.nudges.seal.notify();
    Ok(made)
}

/// Sign-up: anyone makes themselves a person with a tenant of their own.
pub(super) async fn sign_up(app: &App, cx: &Cx, mut asked: Asked) -> Result<Made, Problem> {
    asked.roles = vec![Role::TenantAdmin];
    check(&asked)?;
    app.sign_ups.count(cx.source_ip, cx.now_ms)?;
    make(app, cx, asked).await
}

/// An operator makes a person. Without roles: a user with a tenant of their own.
pub(super) async fn create(app: &App, cx: &Cx, mut asked: Asked) -> Result<Made, Problem> {
    authz::require(cx, Verb::UsersCreate, Scope::Platform)?;
    if asked.roles.is_empty() {
        asked.roles = vec![Role::TenantAdmin];
    }
    make(app, cx, asked).await
}

/// Ends the sign-in of this request. Nothing to do for an anonymous caller.
pub(super) async fn logout(app: &App, cx: &Cx) -> Result<(), Problem> {
    let Ok(person) = cx.person() else { return Ok(()) };
    end(app, cx, person.login_id, "auth.logout").await
}

async fn end(app: &App, cx: &Cx, login: LoginId, action: &'static str) -> Result<(), Problem> {
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            if !store::end_login(tx, cx.now_ms, login, action)? {
                return Ok(audit::unchanged(()));
            }
            audit::record(tx, &cx, Event::new(action, login), ())
        })
        .await
}

/// The caller's live sign-ins.
pub(super) async fn sessions(app: &App, cx: &Cx) -> Result<Vec<Login>, Problem> {
    let (user, now_ms) = (cx.user_id()?, cx.now_ms);
    authz::require(cx, Verb::AccountSessionsList, Scope::User(user))?;
    app.store.read(move |tx| store::logins(tx, user, now_ms)).await
}

/// Ends one of the caller's sign-ins; 404 when it is not theirs or over.
pub(super) async fn end_session(app: &App, cx: &Cx, login: LoginId) -> Result<(), Problem> {
    authz::require(cx, Verb::AccountSessionsEnd, Scope::User(cx.user_id()?))?;
    if !sessions(app, cx).await?.iter().any(|found| found.id == login) {
        return Err(Problem::not_found("session"));
    }
    end(app, cx, login, "account.sessions.end").await
}

/// Ends all of the caller's sign-ins but this one. Returns how many.
pub(super) async fn end_others(app: &App, cx: &Cx) -> Result<usize, Problem> {
    let person = cx.person()?;
    let (user, own) = (person.id, person.login_id);
    authz::require(cx, Verb::AccountSessionsEndOthers, Scope::User(user))?;
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            let action = "account.sessions.end_others";
            let ended = store::end_logins(tx, cx.now_ms, user, action, Some(own), false)?;
            let after = serde_json::json!({ "ended": ended });
            audit::record(tx, &cx, Event::new(action, user).after(&after), ended)
        })
        .await
}

/// Changes the caller's password and ends their other sign-ins. Needs step-up.
pub(super) async fn change_password(app: &App, cx: &Cx, current: String, new: String) -> Result<(), Problem> {
    let person = cx.person()?;
    let (user, own) = (person.id, person.login_id);
    authz::require(cx, Verb::AccountPassword, Scope::User(user))?;
    authz::require_step_up(cx)?;
    password::check_password(&person.username, &new)?;
    sign_in::confirm(app, user, current).await?;
    let hash = app.cpu.run(move || password::hash_password(&new)).await??;
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            store::set_password_hash(tx, user, &hash)?;
            store::end_logins(tx, cx.now_ms, user, "account.password", Some(own), false)?;
            audit::record(tx, &cx, Event::new("account.password", user), ())
        })
        .await
}

/// One person, for staff.
pub(super) async fn show(app: &App, cx: &Cx, user: UserId) -> Result<User, Problem> {
    authz::require(cx, Verb::UsersShow, Scope::Platform)?;
    app.store.read(move |tx| store::find_in(tx, user)).await
}

/// Forgets sign-ins that have been over for a month.
pub fn forget_old_in(tx: &mut Tx, now_ms: i64) -> Result<u64, Problem> {
    const MONTH_MS: i64 = 30 * 24 * 3_600_000;
    store::forget_old(tx, now_ms - MONTH_MS)
}
