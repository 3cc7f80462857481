//! Who is asking: the door, the credentials of a request, and the extractors that make a [`Cx`] of them.
//!
//! A bearer token is for scripts. A cookie is for browsers: every request that changes something must then
//! carry `X-CSRF-Token`, and its `Origin` must be the door's own. A token is good at one door only.

use super::Problem;
use super::frame::RequestInfo;
use crate::app::App;
use crate::cx::{Actor, Cx};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The two doors: two listeners, routers, documents, cookies and token audiences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// Users and tenants.
    Console,
    /// Staff.
    Operator,
}

impl Door {
    /// `console` or `operator`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Operator => "operator",
        }
    }

    /// The name of its session cookie. Cookies do not tell ports apart, so each door has its own name;
    /// `__Host-` binds it to TLS and this host.
    #[must_use]
    pub fn cookie_name(self, tls: bool) -> &'static str {
        match (self, tls) {
            (Self::Console, true) => "__Host-console",
            (Self::Operator, true) => "__Host-operator",
            (Self::Console, false) => "muster-console",
            (Self::Operator, false) => "muster-operator",
        }
    }
}

/// The credential a request brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer`.
    Bearer(String),
    /// The session cookie of this door.
    Cookie(String),
}

/// A signed-in caller; 401 without.
#[derive(Debug)]
pub struct Caller(pub Cx);

/// A caller who may or may not be signed in. Wrong credentials count as none.
#[derive(Debug)]
pub struct Visitor(pub Cx);

/// The SHA-256 of a token, the only form in which one is stored.
#[must_use]
pub fn token_sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The CSRF token that belongs to a session cookie. Derived, so nothing more has to be stored.
#[must_use]
pub fn csrf_token(cookie: &str) -> String {
    let mut hash = Sha256::new();
    hash.update("muster csrf\0");
    hash.update(cookie);
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// The credential of a request: a bearer token goes before a cookie.
#[must_use]
pub fn credential(headers: &HeaderMap, info: &RequestInfo) -> Option<Credential> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    if let Some(token) = bearer {
        return Some(Credential::Bearer(token));
    }
    let name = info.door.cookie_name(info.secure);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, token)| Credential::Cookie(token.to_owned()))
}

fn csrf_problem(detail: &str) -> Problem {
    Problem::forbidden("csrf", detail)
}

/// 403 `csrf` when the `Origin` of a request is not this door. A request without one passes: it does not
/// come from a page of a browser.
pub fn require_own_origin(headers: &HeaderMap, info: &RequestInfo) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scheme = if info.tls { "https" } else { "http" };
    let own = !host.is_empty() && origin == format!("{scheme}://{host}");
    let public = info.public_url.as_deref().is_some_and(|url| url.trim_end_matches('/') == origin);
    if own || public { Ok(()) } else { Err(csrf_problem("This request comes from another site.")) }
}

fn require_csrf(method: &Method, headers: &HeaderMap, info: &RequestInfo, cookie: &str) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    require_own_origin(headers, info)?;
    let sent = headers.get("x-csrf-token").map(|value| value.as_bytes()).unwrap_or_default();
    if bool::from(sent.ct_eq(csrf_token(cookie).as_bytes())) {
        return Ok(());
    }
    Err(csrf_problem("Send the csrf_token of your session in X-CSRF-Token."))
}

async fn resolve(parts: &Parts, app: &App) -> Result<Cx, Problem> {
    let info = RequestInfo::of(&parts.extensions)?;
    let mut cx = info.cx(app);
    let Some(credential) = credential(&parts.headers, info) else { return Ok(cx) };
    let (token, bearer) = match &credential {
        Credential::Bearer(token) => (token, true),
        Credential::Cookie(token) => (token, false),
    };
    let Some(mut person) = app.sign_in_of(token_sha256(token), bearer, cx.now_ms).await? else { return Ok(cx) };
    match (info.door, person.door == info.door) {
        (_, true) => {}
        // A user's token at the staff's door: say what is missing.
        (Door::Operator, false) => {
            return Err(Problem::forbidden("operator_token_required", "Sign in at the operator door."));
        }
        (Door::Console, false) => return Ok(cx),
    }
    if let Credential::Cookie(cookie) = &credential {
        require_csrf(&parts.method, &parts.headers, info, cookie)?;
        person.csrf_token = Some(csrf_token(cookie));
    }
    cx.actor = Actor::Person(Box::new(person));
    Ok(cx)
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let cx = resolve(parts, app).await?;
        app.gates.require(cx.person()?.door, parts, &cx)?;
        Ok(Self(cx))
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        resolve(parts, app).await.map(Self)
    }
}
