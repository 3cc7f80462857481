//! The one error of the API: a typed problem that becomes `application/problem+json`.
//!
//! Rooms make problems by the constructors below; codes are snake_case words that scripts may rely on.
//! The correlation id is added by the frame, and what is internal goes to the log, never to the caller.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's path in the body, for example `labels.zone`.
    pub field: String,
    /// A word scripts may rely on.
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
}

/// Where a person can go to put it right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemAction {
    /// The words on the button.
    pub label: String,
    /// A page or route.
    pub href: String,
}

/// The document a caller sees.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A word scripts may rely on.
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
    /// Names this request in the logs and the audit trail.
    pub correlation_id: String,
    /// Problems of single fields.
    pub errors: Vec<FieldError>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Where a person can put it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<ProblemAction>,
}

/// Why a request was not done. Small, since it is boxed; cheap to pass up with `?`.
#[derive(Clone)]
pub struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retryable: bool,
    retry_after_s: Option<u64>,
    action: Option<ProblemAction>,
    cause: Option<String>,
}

impl Problem {
    /// Any problem. Prefer the constructors below.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retryable: false,
            retry_after_s: None,
            action: None,
            cause: None,
        }))
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401 `unauthenticated`: no valid credentials.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::unauthorized("unauthenticated", "Sign in first.")
    }

    /// 401 with another code.
    #[must_use]
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403: known, but not allowed.
    #[must_use]
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404 `not_found`: no such thing, or not one the caller may know of.
    #[must_use]
    pub fn not_found(noun: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {noun}."))
    }

    /// 409: the thing is not in a state that allows this.
    #[must_use]
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 410: it was there and is used up.
    #[must_use]
    pub fn gone(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, code, detail)
    }

    /// 412 `stale_version`: the thing changed since the caller read it.
    #[must_use]
    pub fn stale_version() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "stale_version", "It changed since you read it: read it again.")
    }

    /// 422 `validation_failed` about one field.
    #[must_use]
    pub fn invalid(field: &str, code: &str, detail: &str) -> Self {
        Self::invalid_fields(vec![FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        }])
    }

    /// 422 `validation_failed` about several fields.
    #[must_use]
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail =
            errors.first().map_or_else(|| "The request is not valid.".to_owned(), |first| first.detail.clone());
        Self::unprocessable("validation_failed", detail).with_errors(errors)
    }

    /// 422 with another code.
    #[must_use]
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429 `rate_limited`; `retry_after_s` is at least 1.
    #[must_use]
    pub fn rate_limited(retry_after_s: u64) -> Self {
        let wait = retry_after_s.max(1);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", format!("Too many tries: wait {wait} s."))
            .retry_after(wait)
    }

    /// 503: something this needs is away; the same request may succeed later.
    #[must_use]
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        problem.0.retryable = true;
        problem
    }

    /// 500 `internal`: a fault of the coordinator. `cause` goes to the log only.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong inside the coordinator.")
            .caused_by(cause)
    }

    /// Adds what goes to the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Adds problems of single fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds where a person can put it right.
    #[must_use]
    pub fn action(mut self, label: &str, href: impl Into<String>) -> Self {
        self.0.action = Some(ProblemAction { label: label.to_owned(), href: href.into() });
        self
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retryable = true;
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The word scripts rely on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The sentence for a person.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Everything, for a log line.
    #[must_use]
    pub fn log_text(&self) -> String {
        match &self.0.cause {
            Some(cause) => format!("{}: {} ({cause})", self.0.code, self.0.detail),
            None => format!("{}: {}", self.0.code, self.0.detail),
        }
    }

    /// The document for the caller of one request.
    #[must_use]
    pub fn body(&self, correlation_id: &str) -> ProblemBody {
        ProblemBody {
            kind: "about:blank".to_owned(),
            title: self.0.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.0.status.as_u16(),
            code: self.0.code.to_owned(),
            detail: self.0.detail.clone(),
            correlation_id: correlation_id.to_owned(),
            errors: self.0.errors.clone(),
            retryable: self.0.retryable,
            action: self.0.action.clone(),
        }
    }

    /// The full answer to one request.
    #[must_use]
    pub(super) fn respond(&self, correlation_id: &str) -> Response {
        let body = serde_json::to_vec(&self.body(correlation_id)).unwrap_or_default();
        let mut response = (self.0.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for Problem {
    /// Leaves the problem beside an empty body; the frame writes the document, where the correlation id is
    /// known.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({} {})", self.0.status.as_u16(), self.log_text())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl std::error::Error for Problem {}
