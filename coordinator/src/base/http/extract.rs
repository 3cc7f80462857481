//! Extractors whose refusals are problems: JSON bodies, typed paths, queries.

use super::Problem;
use crate::base::limits;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// A JSON body in, a JSON document out. Malformed JSON is 400, wrong types 422, another content type 415,
/// a body over the limit 413.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

/// A JSON document that was written where its rows were read, so that a long list costs the edge nothing.
#[derive(Debug, Clone)]
pub struct JsonText(Vec<u8>);

impl JsonText {
    /// Writes a document; call it on a store thread or on the cpu pool.
    ///
    /// # Errors
    /// 500 if the value cannot be written.
    pub fn of(value: &impl Serialize) -> Result<Self, Problem> {
        serde_json::to_vec(value).map(Self).map_err(Problem::internal)
    }
}

impl IntoResponse for JsonText {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

/// The body of a request that needs none; anything sent is ignored.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
#[serde(default)]
pub struct NoBody {}

/// Path parameters. What does not parse (a foreign or broken id) is 404: no such thing can exist.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

/// Query parameters; 422 when they do not parse.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The bytes of the body within the limit.
pub(super) async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is larger than 1 MiB.");
    // What says beforehand that it is too large is not waited for.
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > limits::BODY_BYTES as u64) {
        return Err(large());
    }
    let read = tokio::time::timeout(limits::BODY_WAIT, Bytes::from_request(request, state)).await;
    let slow = || Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body took too long to arrive.");
    read.map_err(|_| slow())?.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            large()
        } else {
            Problem::bad_request("unreadable_body", "The body could not be read.").caused_by(rejection)
        }
    })
}

/// 415 unless the body says it is JSON.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send JSON with Content-Type: application/json.",
    ))
}

/// Decodes a body: 400 `malformed_json` when it is no JSON, 422 when it has another shape.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        // Asked apart: the parser calls an array in the place of an enum malformed, which it is not, and may
        // stumble over a wrong field before it sees that the rest is.
        let json = std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        if !json {
            return Problem::bad_request("malformed_json", format!("The body is not JSON: {text}."));
        }
        let detail = text.split(" at line ").next().unwrap_or_default();
        let field = detail.split('`').nth(1).filter(|_| detail.contains("field")).unwrap_or("body");
        Problem::invalid(field, "invalid", detail)
    })
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        decode(&bytes(request, state).await?).map(Self)
    }
}

/// A JSON body that may be left out altogether.
#[derive(Debug, Clone, Copy, Default)]
pub struct MaybeJson<T>(pub Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let body = bytes(request, state).await?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        require_json(&headers)?;
        decode(&body).map(|body| Self(Some(body)))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

/// What people call the thing behind an id type, so that a malformed id answers as an unknown one does.
fn noun<T>() -> String {
    let name = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
    match name.strip_suffix("Id") {
        Some("Sku") => "SKU".to_owned(),
        Some("SshKey") => "SSH key".to_owned(),
        // `BootstrapToken` is a bootstrap token.
        Some(noun) => {
            let gap = |at: usize, letter: char| if at > 0 && letter.is_uppercase() { " " } else { "" };
            noun.char_indices().map(|(at, letter)| format!("{}{}", gap(at, letter), letter.to_lowercase())).collect()
        }
        None => "thing".to_owned(),
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found.map(|path| Self(path.0)).map_err(|_| Problem::not_found(&noun::<T>()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found.map(|query| Self(query.0)).map_err(|error| Problem::invalid("query", "invalid", &error.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::noun;
    use muster_protocol::ids::{BootstrapTokenId, NodeId, SkuId};

    #[test]
    fn ids_are_called_as_people_call_the_thing() {
        let nouns = [noun::<NodeId>(), noun::<BootstrapTokenId>(), noun::<SkuId>(), noun::<u8>()];
        assert_eq!(nouns, ["node", "bootstrap token", "SKU", "thing"]);
    }
}
