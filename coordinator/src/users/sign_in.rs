//! Signing in, refreshing, signing out.

use super::{User, model::username_key, password, store};
use crate::app::App;
use crate::audit::{self, Event, Outcome};
use crate::base::http::{Door, Problem, auth::token_sha256};
use crate::base::limits;
use crate::cx::{Actor, Cx, Person};
use muster_protocol::ids::UserId;
use std::time::Duration;

/// What a sign-in hands out. The tokens exist here and at the caller only.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The bearer token, or the value of the cookie.
    pub(super) access_token: String,
    /// For bearer sign-ins.
    pub(super) refresh_token: Option<String>,
    /// Life of the access token.
    pub(super) expires_in: Duration,
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn bad_credentials() -> Problem {
    Problem::unauthorized("bad_credentials", "The username or the password is wrong.")
}

/// The person with this name and password: 401 `bad_credentials`, 429 after too many failures. An unknown
/// name takes as long as a wrong password.
async fn authenticate(app: &App, cx: &Cx, username: &str, password: String) -> Result<User, Problem> {
    let account = username_key(username);
    app.failures.check(&account, cx.source_ip, cx.now_ms)?;
    let name = username.to_owned();
    let found = app.store.read(move |tx| store::by_name(tx, &name)).await?;
    let (user, hash) = found.filter(|(user, _)| user.active).unzip();
    let right = app.cpu.run(move || password::verify_password(&password, hash.as_deref())).await?;
    // Again: of many guesses sent at once, all of which were let in, no more are answered than one by one.
    app.failures.check(&account, cx.source_ip, cx.now_ms)?;
    if let (true, Some(user)) = (right, user) {
        app.failures.forgive(&account);
        return Ok(user);
    }
    app.failures.count(&account, cx.source_ip, cx.now_ms);
    let (cx, target) = (cx.clone(), account.chars().take(64).collect::<String>());
    app.store
        .write(move |tx| {
            let event = Event::new("auth.login", &target).outcome(Outcome::Refused).reason("bad_credentials");
            audit::record(tx, &cx, event, ())
        })
        .await?;
    app.nudges.seal.notify();
    Err(bad_credentials())
}

fn require_door(user: &User, door: Door) -> Result<(), Problem> {
    if user.roles.iter().any(|role| role.door() == door) {
        return Ok(());
    }
    Err(match door {
        Door::Operator => Problem::forbidden("operator_role_required", "This account has no operator role."),
        Door::Console => Problem::forbidden("console_role_required", "This account belongs to no tenant."),
    })
}

/// Signs in with name and password at a door.
pub(super) async fn login(
    app: &App,
    cx: &Cx,
    door: Door,
    username: &str,
    password: String,
    bearer: bool,
    user_agent: Option<String>,
) -> Result<(User, Session), Problem> {
    let user = authenticate(app, cx, username, password).await?;
    require_door(&user, door)?;
    let access_token = app.rng.secret();
    let refresh_token = bearer.then(|| app.rng.secret());
    let expires_in = if bearer { limits::ACCESS_TOKEN } else { limits::COOKIE_SESSION };
    let new = store::NewLogin {
        id: cx.new_id(),
        user: user.id,
        door,
        bearer,
        access_sha256: token_sha256(&access_token),
        access_expires_ms: cx.now_ms + ms(expires_in),
        refresh: refresh_token.as_deref().map(|token| (token_sha256(token), cx.now_ms + ms(limits::REFRESH_TOKEN))),
        user_agent,
        key_name: None,
    };
    let mut acting = cx.clone();
    acting.actor = actor_of(&user, &new);
    app.store
        .write(move |tx| {
            store::insert_login(tx, &acting, &new)?;
            let after = serde_json::json!({ "door": new.door.as_str(), "login_id": new.id });
            audit::record(tx, &acting, Event::new("auth.login", new.user).after(&after), ())
        })
        .await?;
    app.nudges.seal.notify();
    Ok((user, Session { access_token, refresh_token, expires_in }))
}

/// The person who has just proved who they are, as the actor of the event.
fn actor_of(user: &User, login: &store::NewLogin) -> Actor {
    Actor::Person(Box::new(Person {
        id: user.id,
        username: user.username.clone(),
        login_id: login.id,
        door: login.door,
        tenant_id: user.tenant_id,
        workspace_id: None,
        roles: user.roles.clone(),
        stepped_up_until_ms: None,
        bearer: login.bearer,
        csrf_token: None,
    }))
}

enum Refreshed {
    Rotated,
    Reused,
    Unknown,
}

/// Changes a refresh token into new tokens. A used one that comes back means that it was stolen or
/// copied: the whole sign-in ends, 401 `refresh_reused`.
pub(super) async fn refresh(app: &App, cx: &Cx, door: Door, token: &str) -> Result<Session, Problem> {
    let old = token_sha256(token);
    let (access_token, refresh_token) = (app.rng.secret(), app.rng.secret());
    let access = (token_sha256(&access_token), cx.now_ms + ms(limits::ACCESS_TOKEN));
    let next = (token_sha256(&refresh_token), cx.now_ms + ms(limits::REFRESH_TOKEN));
    let cx = cx.clone();
    let outcome = app
        .store
        .write(move |tx| {
            let found = store::refresh(tx, old)?.filter(|found| found.door == door && !found.ended);
            let Some(found) = found else { return Ok(audit::unchanged(Refreshed::Unknown)) };
            if found.used {
                store::end_login(tx, cx.now_ms, found.login, "refresh_reused")?;
                let event = Event::new("auth.refresh", found.user).outcome(Outcome::Refused).reason("refresh_reused");
                return audit::record(tx, &cx, event, Refreshed::Reused);
            }
            if found.expires_ms <= cx.now_ms || !store::find_in(tx, found.user)?.active {
                return Ok(audit::unchanged(Refreshed::Unknown));
            }
            store::rotate(tx, cx.now_ms, old, found.login, access, next)?;
            audit::record(tx, &cx, Event::new("auth.refresh", found.user), Refreshed::Rotated)
        })
        .await?;
    match outcome {
        Refreshed::Rotated => {
            Ok(Session { access_token, refresh_token: Some(refresh_token), expires_in: limits::ACCESS_TOKEN })
        }
        Refreshed::Reused => {
            let detail = "This refresh token was used before: the sign-in has been ended. Sign in again.";
            Err(Problem::unauthorized("refresh_reused", detail))
        }
        Refreshed::Unknown => {
            // A replay after the sign-in has ended is still a replay to whoever holds the token.
            let ended = app.store.read(move |tx| store::refresh(tx, old)).await?;
            let reused = ended.is_some_and(|found| found.used && found.door == door);
            let code = if reused { "refresh_reused" } else { "unauthenticated" };
            Err(Problem::unauthorized(code, "This refresh token is not valid. Sign in again."))
        }
    }
}

/// Opens sensitive verbs for a while, for the password.
pub(super) async fn step_up(app: &App, cx: &Cx, password: String) -> Result<i64, Problem> {
    let person = cx.person()?;
    let user = authenticate(app, cx, &person.username, password).await?;
    let (login, until) = (person.login_id, cx.now_ms + ms(limits::STEP_UP));
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            store::step_up(tx, login, until)?;
            audit::record(tx, &cx, Event::new("auth.step_up", user.id), until)
        })
        .await
}

/// Checks a person's own password without signing in.
pub(super) async fn confirm(app: &App, user: UserId, password: String) -> Result<(), Problem> {
    let hash = app.store.read(move |tx| store::password_hash(tx, user)).await?;
    let right = app.cpu.run(move || password::verify_password(&password, Some(&hash))).await?;
    if right { Ok(()) } else { Err(bad_credentials()) }
}
