//! The API as this command uses it: JSON on one kept connection, with the sign-in of the right door.

use crate::{
    error::{Error, Problem, Result},
    http::{Answer, Http, Origin, Stream},
    profile::{Door, Login, Profile, now_ms},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use serde_json::{Value, json};
use std::path::Path;

/// A bearer is renewed when it has less than this left, in ms.
const RENEW_BEFORE_MS: i64 = 30_000;
/// Items asked for at once.
const PAGE: usize = 200;

/// A header with its value.
type Named = (&'static str, String);

/// A signed-in connection to one door.
#[derive(Debug)]
pub struct Client {
    profile: Profile,
    door: Door,
    login: Login,
    origin: Origin,
    http: Option<Http>,
}

impl Client {
    /// From the stored sign-in; connects at the first request.
    ///
    /// # Errors
    /// [`Error::Auth`] if nobody is signed in at that door.
    pub fn open(profile: &Profile, door: Door) -> Result<Self> {
        let login = profile.load()?.at(door).cloned().ok_or_else(|| not_signed_in(door))?;
        let origin = Origin::parse(&login.url)?;
        Ok(Self { profile: profile.clone(), door, login, origin, http: None })
    }

    /// Who is signed in, and where.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// The bearer, renewed if it is about to end.
    ///
    /// # Errors
    /// [`Error::Auth`] if the sign-in has ended.
    pub async fn bearer(&mut self) -> Result<String> {
        if self.login.expires_at_ms - now_ms() < RENEW_BEFORE_MS {
            self.renew().await?;
        }
        Ok(self.login.access_token.clone())
    }

    /// Reads a document.
    ///
    /// # Errors
    /// What the API refused, or the network.
    pub async fn get(&mut self, path: &str) -> Result<Value> {
        self.call(&Method::GET, path, None).await
    }

    /// Sends a document. The request carries a fresh idempotency key, so that sending it again after a broken
    /// connection is safe.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        self.call(&Method::POST, path, Some(body)).await
    }

    /// Changes something that is still at a version.
    ///
    /// # Errors
    /// As [`Client::get`]; 412 if it changed since it was read.
    pub async fn patch(&mut self, path: &str, version: i64, body: &Value) -> Result<Value> {
        self.once(&Method::PATCH, path, Some(body), &[if_match(version)]).await
    }

    /// Sends a document about something that is still at a version.
    ///
    /// # Errors
    /// As [`Client::patch`].
    pub async fn post_at(&mut self, path: &str, version: i64, body: &Value) -> Result<Value> {
        self.once(&Method::POST, path, Some(body), &[fresh_key(), if_match(version)]).await
    }

    /// Removes something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&mut self, path: &str) -> Result<Value> {
        self.call(&Method::DELETE, path, None).await
    }

    /// A whole list: pages are read to the end, or until `most` items, and given as one document.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn list(&mut self, path: &str, most: usize) -> Result<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{joint}limit={}", most.min(PAGE));
        let mut document = self.get(&first).await?;
        while let Some(cursor) = document["next_cursor"].as_str().map(escape) {
            let have = crate::output::items(&document).len();
            if have >= most {
                break;
            }
            let mut next = self.get(&format!("{first}&cursor={cursor}")).await?;
            let items = next["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
            if items.is_empty() {
                break;
            }
            if let Some(all) = document["items"].as_array_mut() {
                all.extend(items);
            }
            document["next_cursor"] = next["next_cursor"].take();
        }
        Ok(document)
    }

    /// Begins an answer whose body is read in pieces with [`Client::piece`].
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn stream(&mut self, path: &str) -> Result<Response<Incoming>> {
        let bearer = self.bearer().await?;
        let request = self.request(&Method::GET, path, None, &bearer, &[])?;
        let mut http = self.connection().await?;
        let response = http.begin(request).await?;
        if !response.status().is_success() {
            let (head, mut body) = response.into_parts();
            let mut whole = Vec::new();
            while let Some(piece) = http.piece(&mut body).await? {
                whole.extend_from_slice(&piece);
            }
            return Err(refusal(&Answer { status: head.status, headers: head.headers, body: whole.into() }));
        }
        self.http = Some(http);
        Ok(response)
    }

    /// The next piece of a body begun by [`Client::stream`].
    ///
    /// # Errors
    /// [`Error::Network`] if the connection breaks.
    pub async fn piece(&mut self, body: &mut Incoming) -> Result<Option<Bytes>> {
        match &mut self.http {
            Some(http) => http.piece(body).await,
            None => Ok(None),
        }
    }

    /// Opens a WebSocket on the connection at hand; the next request opens another one.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn websocket(&mut self, path: &str) -> Result<(Stream, Bytes)> {
        let http = self.connection().await?;
        http.upgrade(path, None).await?.map_err(|answer| refusal(&answer))
    }

    /// As [`Client::websocket`], with the sign-in in the handshake.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn signed_websocket(&mut self, path: &str) -> Result<(Stream, Bytes)> {
        let bearer = self.bearer().await?;
        let opened = self.connection().await?.upgrade(path, Some(&bearer)).await?;
        let opened = match opened {
            Err(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                self.renew().await?;
                let http = Http::connect(&self.origin, self.login.ca.as_deref()).await?;
                http.upgrade(path, Some(&self.login.access_token)).await?
            }
            other => other,
        };
        opened.map_err(|answer| refusal(&answer))
    }

    /// Gives up the connection at hand, after a network change say.
    pub fn disconnect(&mut self) {
        self.http = None;
    }

    async fn connection(&mut self) -> Result<Http> {
        match self.http.take().filter(Http::is_open) {
            Some(http) => Ok(http),
            None => Http::connect(&self.origin, self.login.ca.as_deref()).await,
        }
    }

    async fn call(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let headers = if *method == Method::GET { Vec::new() } else { vec![fresh_key()] };
        self.once(method, path, body, &headers).await
    }

    /// `headers` make a repeat harmless: a fresh key, a version.
    async fn once(&mut self, method: &Method, path: &str, body: Option<&Value>, headers: &[Named]) -> Result<Value> {
        let bearer = self.bearer().await?;
        let mut answer = self.attempt(method, path, body, &bearer, headers).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.renew().await?;
            let bearer = self.login.access_token.clone();
            answer = self.attempt(method, path, body, &bearer, headers).await?;
        }
        document(&answer)
    }

    /// Sends once, and once more on a new connection if a kept one turned out to be dead.
    async fn attempt(
        &mut self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        bearer: &str,
        headers: &[Named],
    ) -> Result<Answer> {
        let kept = self.http.is_some();
        let mut http = self.connection().await?;
        let request = self.request(method, path, body, bearer, headers)?;
        let answer = match http.send(request).await {
            Err(Error::Network(_)) if kept => {
                http = Http::connect(&self.origin, self.login.ca.as_deref()).await?;
                http.send(self.request(method, path, body, bearer, headers)?).await?
            }
            other => other?,
        };
        self.http = Some(http);
        Ok(answer)
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        bearer: &str,
        headers: &[Named],
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::USER_AGENT, concat!("muster/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                serde_json::to_vec(body)?
            }
            None => Vec::new(),
        };
        request.body(Full::new(bytes.into())).map_err(Error::client)
    }

    /// Changes the refresh token for a new pair. Under the profile's lock: another process may have done it
    /// already, and then its pair is taken.
    async fn renew(&mut self) -> Result<()> {
        let profile = self.profile.clone();
        let locked = profile.lock()?;
        let mut logins = locked.load()?;
        let stored = logins.at(self.door).cloned().ok_or_else(|| not_signed_in(self.door))?;
        if stored.access_token != self.login.access_token {
            self.login = stored;
            return Ok(());
        }
        let body = json!({"refresh_token": stored.refresh_token});
        let answer = anonymous(&self.origin, stored.ca.as_deref(), "/api/v1/auth/token/refresh", &body).await;
        let answer = match answer {
            Err(Error::Api(problem)) if problem.status == 401 => {
                *logins.at_mut(self.door) = None;
                locked.save(&logins)?;
                return Err(Error::Auth(format!(
                    "the sign-in of {} at {} has ended; sign in again with `muster login`",
                    stored.username, stored.url
                )));
            }
            other => other?,
        };
        self.login = with_tokens(stored, &answer)?;
        *logins.at_mut(self.door) = Some(self.login.clone());
        locked.save(&logins)
    }
}

/// A sign-in with the tokens of an answer in it.
///
/// # Errors
/// If the answer is not one.
pub fn with_tokens(mut login: Login, answer: &Value) -> Result<Login> {
    let token = |name: &str| {
        answer[name].as_str().map(str::to_owned).ok_or_else(|| Error::Network(format!("the answer has no {name}")))
    };
    login.access_token = token("access_token")?;
    login.refresh_token = token("refresh_token")?;
    login.expires_at_ms = now_ms() + answer["expires_in"].as_i64().unwrap_or(0) * 1000;
    Ok(login)
}

/// Sends a document without a sign-in.
///
/// # Errors
/// What the API refused, or the network.
pub async fn anonymous(origin: &Origin, ca: Option<&Path>, path: &str, body: &Value) -> Result<Value> {
    let mut http = Http::connect(origin, ca).await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::USER_AGENT, concat!("muster/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(serde_json::to_vec(body)?.into()))
        .map_err(Error::client)?;
    document(&http.send(request).await?)
}

fn fresh_key() -> Named {
    ("idempotency-key", random_hex())
}

fn if_match(version: i64) -> Named {
    ("if-match", format!("\"{version}\""))
}

fn not_signed_in(door: Door) -> Error {
    Error::Auth(match door {
        Door::Console => "nobody is signed in; use `muster login --url URL --username NAME --password-stdin`".into(),
        Door::Operator => {
            "no operator is signed in; use `muster login --operator --url URL --username NAME --password-stdin`".into()
        }
    })
}

fn document(answer: &Answer) -> Result<Value> {
    if !answer.status.is_success() {
        return Err(refusal(answer));
    }
    if answer.body.is_empty() {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_slice(&answer.body)?)
}

fn refusal(answer: &Answer) -> Error {
    let mut problem: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
    problem.status = answer.status.as_u16();
    if problem.title.is_empty() && problem.detail.is_none() {
        problem.title = format!("the coordinator answered {}", answer.status);
    }
    if problem.correlation_id.is_none() {
        let header = answer.headers.get("x-correlation-id").and_then(|value| value.to_str().ok());
        problem.correlation_id = header.map(str::to_owned);
    }
    Error::Api(Box::new(problem))
}

/// 128 random bits.
#[must_use]
pub fn random_hex() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A value for a query.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        assert_eq!(escape("a b&c=d/ü"), "a%20b%26c%3Dd%2F%C3%BC");
    }

    #[test]
    fn tokens_of_an_answer() {
        let answer = json!({"access_token": "a", "refresh_token": "r", "expires_in": 900});
        let login = with_tokens(Login::default(), &answer).unwrap();
        assert_eq!((login.access_token.as_str(), login.refresh_token.as_str()), ("a", "r"));
        assert!(login.expires_at_ms > now_ms() + 890_000);
        assert!(with_tokens(Login::default(), &json!({})).is_err());
    }
}
