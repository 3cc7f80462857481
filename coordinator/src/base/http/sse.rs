//! Server-sent events: a source of events as an answer, who may listen for how long, and how many may.
//!
//! Nothing is queued for a listener: the connection asks its source for the next event when it has taken the
//! last one, so a slow reader costs what its socket holds.

use super::Problem;
use crate::app::App;
use crate::base::limits;
use crate::cx::{Actor, Cx, Person};
pub use axum::response::sse::Event;
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use muster_protocol::ids::UserId;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Where the events of one answer come from.
pub trait Source: Send + 'static {
    /// The next event; none ends the answer.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// Answers with the events of a source until it ends or the client goes.
pub fn answer(source: impl Source) -> Response {
    let events = futures_util::stream::unfold(source, |mut source| async move {
        let event = source.next().await?;
        Some((Ok::<_, Infallible>(event), source))
    });
    // Proxies that gather answers would hold events back.
    ([("x-accel-buffering", "no")], Sse::new(events)).into_response()
}

/// The streams that are open, by person. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<UserId, usize>>>);

#[derive(Debug)]
struct Place {
    streams: Streams,
    user: UserId,
}

impl Streams {
    fn enter(&self, user: UserId) -> Result<Place, Problem> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.entry(user).or_default();
        if *own >= limits::STREAMS_OF_USER || all >= limits::STREAMS {
            let detail = "Too many event streams are open: close a tab, or ask again later.";
            return Err(Problem::new(super::StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail).retry_after(5));
        }
        *own += 1;
        Ok(Place { streams: self.clone(), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.user);
            }
        }
    }
}

/// The person at the other end of a stream.
#[derive(Debug)]
pub struct Listener {
    app: App,
    cx: Cx,
    person: Person,
    pulse: Instant,
    _place: Place,
}

impl Listener {
    /// Takes a place for a signed-in person. 429 `too_many_streams` when there is none.
    pub fn enter(app: &App, cx: &Cx) -> Result<Self, Problem> {
        let person = cx.person()?.clone();
        let place = app.streams.enter(person.id)?;
        let pulse = Instant::now() + limits::STREAM_PULSE;
        Ok(Self { app: app.clone(), cx: cx.clone(), person, pulse, _place: place })
    }

    /// Who acts, as of the last check.
    #[must_use]
    pub fn cx(&self) -> &Cx {
        &self.cx
    }

    /// The person, as of the last check.
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// When the stream should say that it lives, and check again.
    #[must_use]
    pub fn pulse(&self) -> Instant {
        self.pulse
    }

    /// Whether a change is one of this person or sign-in: then [`Listener::check`] is due at once.
    #[must_use]
    pub fn is_about(&self, topic: &str, id: &str) -> bool {
        match topic {
            "logins" => self.person.login_id.to_string() == id,
            "users" => self.person.id.to_string() == id,
            _ => false,
        }
    }

    /// Looks whether the sign-in is still alive, and what the person may do now. An error of the store is no
    /// end: the next pulse looks again.
    pub async fn check(&mut self) -> bool {
        self.pulse = Instant::now() + limits::STREAM_PULSE;
        let now_ms = self.app.clock.now_ms();
        match self.app.person_of_login(self.person.login_id, now_ms).await {
            Ok(Some(person)) => {
                self.person = person.clone();
                self.cx.actor = Actor::Person(Box::new(person));
                self.cx.now_ms = now_ms;
                true
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }
}

/// The event that says why a stream ends; a client that comes back is told the same by a status.
pub fn end(reason: &str) -> Event {
    Event::default().event("end").data(format!("{{\"reason\":\"{reason}\"}}"))
}
