//! Saying that an item of the action queue was seen, and taking that back.

use super::{Ack, store};
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use serde::Deserialize;
use utoipa::ToSchema;

/// Longest note, characters.
const NOTE_MAX: usize = 500;

/// What whoever has seen an item says about it.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// For the others, up to 500 characters.
    #[serde(default)]
    pub note: String,
}

/// Notes that the actor has seen an item that is in the queue now.
///
/// # Errors
/// What [`authz::require`] says, and 422 for a note that is too long.
pub fn ack_in(tx: &mut Tx, cx: &Cx, item: &str, seen: &Seen) -> Result<Ack, Problem> {
    authz::require(cx, Verb::AttentionAck, Scope::Platform)?;
    let note = seen.note.trim().to_owned();
    if note.chars().count() > NOTE_MAX {
        return Err(Problem::invalid("note", "too_long", "A note has at most 500 characters."));
    }
    let person = cx.person()?;
    let ack = Ack { user_id: person.id.to_string(), user_name: person.username.clone(), note, at_ms: cx.now_ms };
    store::save(tx, item, &ack)?;
    let event = Event::new(Verb::AttentionAck.as_str(), item);
    audit::note(tx, cx, if ack.note.is_empty() { event } else { event.reason(ack.note.clone()) })?;
    Ok(ack)
}

/// Takes it back: the item counts as unseen again. Doing it twice changes nothing.
///
/// # Errors
/// What [`authz::require`] says.
pub fn unack_in(tx: &mut Tx, cx: &Cx, item: &str) -> Result<(), Problem> {
    authz::require(cx, Verb::AttentionUnack, Scope::Platform)?;
    if store::delete(tx, item)? {
        audit::note(tx, cx, Event::new(Verb::AttentionUnack.as_str(), item))?;
    }
    Ok(())
}
