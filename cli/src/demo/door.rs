//! A door of the coordinator as the demo's operator or user.

use super::layout::{Layout, Login};
use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Signed in at one door.
#[derive(Debug)]
pub(super) struct Door {
    http: reqwest::Client,
    url: String,
    login: Login,
}

impl Door {
    /// Waits until the door answers and signs in.
    pub(super) async fn open(layout: &Layout, url: &str, login: &Login) -> Result<Self> {
        let door = Self { http: client(layout).await?, url: url.to_owned(), login: login.clone() };
        let began = Instant::now();
        loop {
            match door.http.get(format!("{url}/readyz")).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(door),
                _ if began.elapsed() > READY_WITHIN => bail!("the coordinator does not get ready at {url}"),
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// A fresh session per call would be slow and a kept one expires: signs in anew for a batch of calls.
    pub(super) async fn sign_in(&self) -> Result<Session<'_>> {
        let body = json!({"username": self.login.username, "password": self.login.password, "session": "bearer"});
        let url = format!("{}/api/v1/auth/personal/login", self.url);
        let answer = self.http.post(url).json(&body).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        let Some(token) = body["access_token"].as_str() else { bail!("sign-in as {}: {status} {body}", self.login.username) };
        Ok(Session { door: self, token: token.to_owned() })
    }

    /// A call without a session.
    pub(super) async fn anonymous(&self, path: &str, body: Value) -> Result<(u16, Value)> {
        let answer = self.http.post(format!("{}{path}", self.url)).json(&body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await.unwrap_or_default()))
    }
}

/// A signed-in door.
#[derive(Debug)]
pub(super) struct Session<'a> {
    door: &'a Door,
    token: String,
}

impl Session<'_> {
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let key = format!("demo-{:x}", rand::random::<u128>());
        let mut request = self.door.http.request(method, format!("{}{path}", self.door.url));
        request = request.bearer_auth(&self.token).header("idempotency-key", key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.with_context(|| path.to_owned())?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if !status.is_success() {
            bail!("{path}: {status} {body}");
        }
        Ok(body)
    }
}

async fn client(layout: &Layout) -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
    if layout.tls {
        let began = Instant::now();
        while !layout.ca_file().exists() && began.elapsed() < READY_WITHIN {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let pem = std::fs::read(layout.ca_file()).context("the coordinator's CA")?;
        builder = builder.tls_certs_only([reqwest::Certificate::from_pem(&pem)?]);
    }
    Ok(builder.build()?)
}
