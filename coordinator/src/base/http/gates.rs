//! Which verb a route is, so that nobody passes a route whose verb is closed to them: asked before the body is
//! read, whatever the handler asks afterwards.

use super::{Door, Problem, openapi};
use crate::base::authz::{self, Scope, Verb};
use crate::cx::Cx;
use axum::extract::MatchedPath;
use axum::http::request::Parts;
use std::collections::HashMap;
use utoipa::openapi::OpenApi;

/// The verbs of all routes of both doors.
#[derive(Debug, Default)]
pub struct Gates(HashMap<(Door, String), Verb>);

fn name(method: &str, path: &str) -> String {
    format!("{} {path}", method.to_lowercase())
}

impl Gates {
    /// Reads the verbs of a door's routes from its document.
    #[must_use]
    pub fn with(mut self, door: Door, document: &OpenApi) -> Self {
        for (path, item) in &document.paths.paths {
            for (method, operation) in openapi::operations(item) {
                let verb = operation.operation_id.as_deref().and_then(Verb::parse);
                self.0.extend(verb.map(|verb| ((door, name(method, path)), verb)));
            }
        }
        self
    }

    /// 403 `forbidden_role` where the roles of the caller do not open the route's verb.
    pub(super) fn require(&self, door: Door, parts: &Parts, cx: &Cx) -> Result<(), Problem> {
        let Some(path) = parts.extensions.get::<MatchedPath>() else { return Ok(()) };
        match self.0.get(&(door, name(parts.method.as_str(), path.as_str()))) {
            Some(verb) => authz::require(cx, *verb, Scope::Platform),
            None => Ok(()),
        }
    }
}
