//! Server-sent events of one answer, as a browser reads them.

use crate::Api;
use serde_json::Value;

/// An event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// `change`, `metrics`, the kind of a line.
    pub name: String,
    /// What to come back with.
    pub id: String,
    /// Its data; null if it has none.
    pub data: Value,
}

/// An open stream.
#[derive(Debug)]
pub struct Events {
    answer: reqwest::Response,
    text: String,
}

impl Events {
    /// Opens a stream, after the event with the id `last`.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn open(api: &Api, path: &str, last: Option<&str>) -> Self {
        let answer = api.stream(path, last).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "text/event-stream", "{path}");
        Self { answer, text: String::new() }
    }

    /// The next event that is no comment; none when the stream ends or breaks off.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((part, rest)) = self.text.split_once("\n\n") {
                let event = parse(part);
                self.text = rest.to_owned();
                if !event.name.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let bytes = self.answer.chunk().await.ok()??;
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

fn parse(part: &str) -> Event {
    let mut event = Event::default();
    for (field, value) in part.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim_start();
        match field {
            "event" => event.name = value.to_owned(),
            "id" => event.id = value.to_owned(),
            "data" => event.data = serde_json::from_str(value).unwrap_or(Value::Null),
            _ => {}
        }
    }
    event
}
