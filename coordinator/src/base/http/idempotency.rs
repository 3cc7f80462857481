//! Requests with an `Idempotency-Key`: done once, answered again from the first answer.
//!
//! The answer is kept by [`answer_in`] inside the transaction of the effect, so that there is never an
//! effect without its answer. Same key and body: the first answer with `Idempotent-Replayed: true`. Same key,
//! other request: 422 `idempotency_key_reused`. First one still running: 409 `idempotency_in_progress`.
//! Failures keep nothing: the same key may be tried again.

use super::{Problem, extract};
use crate::app::App;
use crate::base::limits;
use crate::base::store::Tx;
use crate::base::store::answers::{self, Kept};
use crate::cx::Cx;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

static KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The key of a request and the fingerprint of what it asks (method, path, body).
#[derive(Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    key: String,
    sha256: [u8; 32],
}

/// A JSON body with its required `Idempotency-Key`; 400 `idempotency_key_required` without one. An empty
/// body counts as `{}`, so `Keyed<NoBody>` serves routes without a body.
#[derive(Debug)]
pub struct Keyed<T> {
    /// Goes to [`idempotent`].
    pub request: Arc<KeyedRequest>,
    /// The body.
    pub body: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Keyed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let key = match request.headers().get(&KEY) {
            None => {
                return Err(Problem::bad_request(
                    "idempotency_key_required",
                    "Send an Idempotency-Key header: any new random text, the same again when you retry.",
                ));
            }
            Some(key) => key.to_str().unwrap_or_default().to_owned(),
        };
        if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY {
            return Err(Problem::bad_request(
                "idempotency_key_required",
                format!("An Idempotency-Key has 1 to {} visible characters.", limits::IDEMPOTENCY_KEY),
            ));
        }
        let (headers, line) = (request.headers().clone(), format!("{} {}", request.method(), request.uri().path()));
        let bytes = extract::bytes(request, state).await?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        if !bytes.is_empty() {
            extract::require_json(&headers)?;
        }
        let body = extract::decode(text)?;
        Ok(Self { request: Arc::new(KeyedRequest { key, sha256: fingerprint(&line, text) }), body })
    }
}

/// The same for the same request, whatever the order of its fields and its spaces.
fn fingerprint(line: &str, body: &[u8]) -> [u8; 32] {
    let canonical = serde_json::from_slice::<serde_json::Value>(body).map(|value| value.to_string());
    let mut hash = Sha256::new();
    hash.update(line);
    hash.update([0]);
    hash.update(canonical.unwrap_or_default());
    hash.finalize().into()
}

/// The keyed requests that are being carried out now.
#[derive(Debug, Clone, Default)]
pub struct IdempotencyState(Arc<Mutex<HashSet<(String, String)>>>);

struct Running {
    state: IdempotencyState,
    entry: (String, String),
}

impl IdempotencyState {
    fn begin(&self, owner: &str, key: &str) -> Result<Running, Problem> {
        let entry = (owner.to_owned(), key.to_owned());
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.clone()) {
            return Ok(Running { state: self.clone(), entry });
        }
        Err(in_progress())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry);
    }
}

fn in_progress() -> Problem {
    Problem::conflict("idempotency_in_progress", "The first request with this key is still running.").retry_after(1)
}

/// Carries out a keyed request once. `act` gets a [`Cx`] that knows the key; its write closure must call
/// [`answer_in`] with the same status and reply that `act` returns.
///
/// The work goes on when the caller hangs up: it is a task of its own, so a retry finds either the answer or
/// `idempotency_in_progress`, and never half an effect.
pub async fn idempotent<T, F, Fut>(app: &App, cx: &Cx, request: Arc<KeyedRequest>, act: F) -> Result<Response, Problem>
where
    T: Serialize + Send + 'static,
    F: FnOnce(Cx) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(StatusCode, T), Problem>> + Send,
{
    let owner = owner(cx);
    let running = app.idempotency.begin(&owner, &request.key)?;
    let key = request.key.clone();
    let kept = app.store.read(move |tx| answers::find(tx, &owner, &key)).await?;
    if let Some(kept) = kept {
        return replay(&request, kept);
    }
    let mut keyed = cx.clone();
    keyed.keyed = Some(request);
    let (done, answer) = tokio::sync::oneshot::channel();
    app.supervisor.graceful("keyed-request", async move {
        let result = act(keyed).await;
        drop(running);
        // Nobody listens when the caller has hung up; the answer is kept in the database.
        let _ = done.send(result);
    });
    let (status, reply) = answer.await.map_err(|_| Problem::internal("a keyed request ended without an answer"))??;
    answered(status, serde_json::to_string(&reply).map_err(Problem::internal)?)
}

/// The answer as JSON, with where to follow what it began.
fn answered(status: StatusCode, answer: String) -> Result<Response, Problem> {
    if status == StatusCode::NO_CONTENT {
        return Ok(status.into_response());
    }
    #[derive(Deserialize)]
    struct Began {
        operation_id: String,
    }
    let began = serde_json::from_str::<Began>(&answer).ok().filter(|_| status == StatusCode::ACCEPTED);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], answer).into_response();
    if let Some(began) = began {
        let place = format!("/api/v1/operations/{}", began.operation_id);
        response.headers_mut().insert(header::LOCATION, place.parse().map_err(Problem::internal)?);
    }
    Ok(response)
}

/// Keeps the answer of a keyed request in the transaction of its effect. Does nothing for other requests. It lies
/// in the database for a day: secrets are taken out of it before.
pub fn answer_in<T: Serialize>(tx: &mut Tx, cx: &Cx, status: StatusCode, reply: &T) -> Result<(), Problem> {
    let Some(keyed) = &cx.keyed else { return Ok(()) };
    let answer = serde_json::to_string(reply).map_err(Problem::internal)?;
    let kept = Kept { request_sha256: keyed.sha256, status: status.as_u16(), answer };
    if answers::keep(tx, &owner(cx), &keyed.key, &kept, cx.now_ms)? { Ok(()) } else { Err(in_progress()) }
}

/// Forgets answers that are older than they are kept.
pub fn forget_in(tx: &mut Tx, now_ms: i64) -> Result<u64, Problem> {
    let before = now_ms - i64::try_from(limits::IDEMPOTENCY_KEPT.as_millis()).unwrap_or(i64::MAX);
    answers::forget(tx, before)
}

fn owner(cx: &Cx) -> String {
    format!("{}:{}", cx.actor.kind(), cx.actor.id())
}

fn replay(request: &KeyedRequest, kept: Kept) -> Result<Response, Problem> {
    if kept.request_sha256 != request.sha256 {
        return Err(Problem::unprocessable(
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request: take a new one.",
        ));
    }
    let status = StatusCode::from_u16(kept.status).map_err(Problem::internal)?;
    let mut response = answered(status, kept.answer)?;
    response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    Ok(response)
}
