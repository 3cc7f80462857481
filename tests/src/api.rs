//! HTTP to one door, as one principal.

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// One principal at one door.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    bearer: Option<String>,
    refresh: Option<String>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; null if it was no JSON.
    pub body: Value,
    /// Its body as text.
    pub text: String,
}

impl Answer {
    /// The problem's code, or an empty text.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The version that `ETag` names, as `If-Match` takes it.
    ///
    /// # Panics
    /// If it names none.
    #[must_use]
    pub fn etag(&self) -> String {
        self.headers["etag"].to_str().expect("a version").to_owned()
    }

    /// Whether it is a kept answer to a key that came again.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }

    /// The body of a success.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        self.body
    }

    /// Checks a refusal: status and code, and that it is a proper problem document.
    ///
    /// # Panics
    /// If anything of it differs.
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        assert!(self.body["correlation_id"].is_string(), "{}", self.text);
        assert_eq!(self.headers["x-correlation-id"], self.body["correlation_id"].as_str().unwrap_or_default());
    }
}

/// What only whoever mends Muster should read: traces, source files, words of the stores and of libraries.
const INTERNAL: &[&str] = &[
    "panicked",
    "stack backtrace",
    ".rs:",
    "/src/",
    "sqlite",
    "postgres",
    "constraint failed",
    "sqlstate",
    "os error",
    "serde",
    "tokio",
];

fn shows_nothing_internal(path: &str, refusal: &str) {
    let lower = refusal.to_lowercase();
    let found = INTERNAL.iter().find(|word| lower.contains(*word));
    assert!(found.is_none(), "{path} shows what is internal ({found:?}): {refusal}");
}

/// A key nobody used before.
#[must_use]
pub fn fresh_key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("key-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Api {
    /// Nobody, at a door.
    ///
    /// # Panics
    /// If no client can be built.
    #[must_use]
    pub fn anonymous(base: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, base: base.trim_end_matches('/').to_owned(), bearer: None, refresh: None }
    }

    /// A person with a password, with a bearer session.
    ///
    /// # Panics
    /// If the door refuses.
    pub async fn login(base: &str, username: &str, password: &str) -> Self {
        let mut api = Self::anonymous(base);
        let body = json!({"username": username, "password": password, "session": "bearer"});
        let session = api.post("/api/v1/auth/personal/login", body).await.ok();
        api.bearer = Some(session["access_token"].as_str().expect("a token").to_owned());
        api.refresh = session["refresh_token"].as_str().map(str::to_owned);
        api
    }

    /// Signs a new person up and in.
    ///
    /// # Panics
    /// If the door refuses.
    pub async fn sign_up(base: &str, username: &str) -> Self {
        let password = format!("{username}-correct-horse-battery");
        let body = json!({"username": username, "email": format!("{username}@example.test"), "password": password});
        let _ = Self::anonymous(base).post("/api/v1/auth/personal/signup", body).await.ok();
        Self::login(base, username, &password).await
    }

    /// The bearer in use.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn bearer(&self) -> &str {
        self.bearer.as_deref().expect("signed in")
    }

    /// The refresh token of the sign-in.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn refresh_token(&self) -> &str {
        self.refresh.as_deref().expect("signed in")
    }

    /// The door's address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same door with another bearer.
    #[must_use]
    pub fn with_bearer(&self, bearer: &str) -> Self {
        Self { bearer: Some(bearer.to_owned()), ..self.clone() }
    }

    /// Any request; `headers` win over the usual ones.
    ///
    /// # Panics
    /// If there is no answer at all.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// As [`Api::send`], for a door that may be down.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let mut all: HashMap<&str, &str> = HashMap::new();
        if body.is_some() {
            all.insert("content-type", "application/json");
        }
        let bearer = self.bearer.as_ref().map(|token| format!("Bearer {token}"));
        if let Some(bearer) = &bearer {
            all.insert("authorization", bearer);
        }
        all.extend(headers.iter().copied());
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in all {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await?;
        if status.is_client_error() || status.is_server_error() {
            shows_nothing_internal(path, &text);
        }
        Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text })
    }

    /// GET of an answer that does not end by itself.
    ///
    /// # Panics
    /// If there is no answer at all.
    pub async fn stream(&self, path: &str, last_event_id: Option<&str>) -> reqwest::Response {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    /// POST with a fresh idempotency key.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with_key(path, body, &fresh_key()).await
    }

    /// POST with a key of one's own.
    pub async fn post_with_key(&self, path: &str, body: Value, key: &str) -> Answer {
        self.send(Method::POST, path, &[("idempotency-key", key)], Some(body.to_string())).await
    }

    /// PATCH of what was read at a version.
    pub async fn patch(&self, path: &str, version: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, &[("if-match", version)], Some(body.to_string())).await
    }

    /// DELETE with a fresh idempotency key.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[("idempotency-key", &fresh_key())], None).await
    }
}
