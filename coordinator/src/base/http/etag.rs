//! Versions of things in `ETag` and `If-Match`.

use super::Problem;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

/// The version the caller has read, from `If-Match: "7"`. 428 `if_match_required` when it is missing, 400
/// `if_match_invalid` when it is no version.
#[derive(Debug, Clone, Copy)]
pub struct IfMatch(pub i64);

impl IfMatch {
    /// 412 `stale_version` unless the thing is still at that version.
    pub fn check(self, version: i64) -> Result<(), Problem> {
        if self.0 == version { Ok(()) } else { Err(Problem::stale_version()) }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(text) = parts.headers.get(IF_MATCH) else {
            return Err(Problem::new(
                axum::http::StatusCode::PRECONDITION_REQUIRED,
                "if_match_required",
                "Send the version you read in If-Match.",
            ));
        };
        let version = text.to_str().ok().and_then(|text| text.trim_start_matches("W/").trim_matches('"').parse().ok());
        version.map(Self).ok_or_else(|| {
            Problem::bad_request("if_match_invalid", "If-Match takes the version you read, as ETag gave it: \"7\".")
        })
    }
}

/// The answer with its version in `ETag`.
pub fn with_etag(version: i64, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Ok(value) = format!("\"{version}\"").parse() {
        response.headers_mut().insert(ETAG, value);
    }
    response
}
