//! One stream: where it stands in the feed, and what it says next.

use super::figures::Figures;
use super::http::{ChangeEvent, MetricsEvent};
use super::topics::{Topic, may_hear};
use crate::app::App;
use crate::base::clock::rfc3339;
use crate::base::feed::Change;
use crate::base::http::Problem;
use crate::base::http::sse::{self, Event, Listener, Source};
use crate::base::limits;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A stream.
#[derive(Debug)]
pub(super) struct Follow {
    app: App,
    listener: Listener,
    topics: Vec<Topic>,
    figures: Vec<Figures>,
    /// What events with figures are called.
    figures_are: &'static str,
    heads: watch::Receiver<u64>,
    /// Number of the last change that was looked at.
    at: u64,
    look: Instant,
    waiting: VecDeque<Event>,
    over: bool,
}

/// Ids of events name the process and the number of a change in it.
fn id_of(app: &App, number: u64) -> String {
    format!("{}.{number}", tag(app))
}

/// Enough of the name of this start of the process to tell it from others.
fn tag(app: &App) -> &str {
    app.instance.get(..10).unwrap_or(&app.instance)
}

/// The number of an id that this process gave.
fn number_of(app: &App, id: &str) -> Option<u64> {
    let (process, number) = id.rsplit_once('.')?;
    (process == tag(app)).then(|| number.parse().ok())?
}

impl Follow {
    /// Opens a stream; `last` is the id of the last event that the client has seen.
    ///
    /// # Errors
    /// As topics and figures refuse, or 429 `too_many_streams`.
    pub(super) async fn open(
        app: &App,
        listener: Listener,
        topics: Vec<Topic>,
        last: Option<&str>,
    ) -> Result<Self, Problem> {
        let feed = app.store.feed();
        // Before anything is read: what changes meanwhile is told.
        let (heads, head) = (feed.follow(), feed.head());
        let mut figures = Vec::new();
        for topic in &topics {
            topic.require(listener.cx())?;
            figures.extend(Figures::open(app, listener.cx(), topic).await?);
        }
        let known = last.and_then(|id| number_of(app, id)).filter(|number| feed.after(*number, 1).is_some());
        let (word, at) = match (last, known) {
            (_, Some(number)) => ("ready", number),
            (None, None) => ("ready", head),
            (Some(_), None) => ("resync", head),
        };
        let hello = Event::default().event(word).id(id_of(app, at)).retry(limits::STREAM_RETRY).data("{}");
        let look = Instant::now();
        let app = app.clone();
        let figures_are = "metrics";
        Ok(Self { app, listener, topics, figures, figures_are, heads, at, look, waiting: [hello].into(), over: false })
    }

    /// Calls events with figures by another name.
    pub(super) fn figures_are(self, word: &'static str) -> Self {
        Self { figures_are: word, ..self }
    }

    fn tell(&mut self, number: u64, change: &Change) {
        if !may_hear(self.listener.person(), change) {
            return;
        }
        let topics: Vec<_> = self.topics.iter().filter(|topic| topic.takes(change)).map(Topic::word).collect();
        if topics.is_empty() {
            return;
        }
        let data = ChangeEvent {
            topic: change.topic,
            topics,
            id: change.id.clone(),
            kind: change.kind,
            at: rfc3339(change.at_ms),
        };
        let event = Event::default().event("change").id(id_of(&self.app, number));
        self.waiting.extend(event.json_data(data).ok());
    }

    async fn take(&mut self, batch: Vec<(u64, Arc<Change>)>) {
        let mut doubt = false;
        for (number, change) in &batch {
            self.at = *number;
            doubt |= self.listener.is_about(change.topic, &change.id);
            self.tell(*number, change);
            for index in 0..self.figures.len() {
                if change.topic == "allocations" && self.figures[index].id == change.id {
                    self.refresh(index).await;
                }
            }
        }
        if doubt {
            self.check().await;
        }
    }

    async fn refresh(&mut self, index: usize) {
        let (app, cx) = (self.app.clone(), self.listener.cx().clone());
        // Without an answer the old bounds hold until the next pulse.
        if let Some(figures) = self.figures.get_mut(index) {
            let _ = figures.refresh(&app, &cx).await;
        }
    }

    /// Ends the stream unless the person still may have all of it.
    async fn check(&mut self) {
        let alive = self.listener.check().await;
        if !alive || self.topics.iter().any(|topic| topic.require(self.listener.cx()).is_err()) {
            self.waiting.clear();
            self.waiting.push_back(sse::end(if alive { "forbidden_role" } else { "signed_out" }));
            self.over = true;
            return;
        }
        for index in 0..self.figures.len() {
            self.refresh(index).await;
        }
    }

    fn look(&mut self) {
        self.look = Instant::now() + limits::STREAM_LOOK;
        let at = rfc3339(self.app.clock.now_ms());
        for figures in &mut self.figures {
            let Some(view) = figures.next(&self.app) else { continue };
            let (topic, id) = (figures.topic.clone(), figures.id.clone());
            let data = MetricsEvent { topic, id, at: at.clone(), view };
            self.waiting.extend(Event::default().event(self.figures_are).json_data(data).ok());
        }
    }
}

impl Source for Follow {
    async fn next(&mut self) -> Option<Event> {
        let stop = self.app.supervisor.stopping();
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            let feed = self.app.store.feed();
            let Some(batch) = feed.after(self.at, limits::FEED_BATCH) else {
                self.at = feed.head();
                return Some(Event::default().event("resync").id(id_of(&self.app, self.at)).data("{}"));
            };
            if !batch.is_empty() {
                self.take(batch).await;
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                changed = self.heads.changed() => changed.ok()?,
                () = sleep_until(self.look), if !self.figures.is_empty() => self.look(),
                () = sleep_until(self.listener.pulse()) => {
                    self.check().await;
                    if !self.over {
                        return Some(Event::default().comment(""));
                    }
                }
            }
        }
    }
}
