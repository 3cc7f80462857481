//! Attention: which items of the action queue an operator has seen, so that the others need not look at them, too.
//!
//! Invariants: to have seen something ends nothing and hides nothing: the item goes when its cause does. An
//! acknowledgement is of one cause: when the same comes again, it is unseen again. Calls audit.

mod store;
pub mod verbs;

pub use store::Ack;

use crate::base::http::Problem;
use crate::base::store::Tx;
use std::collections::HashMap;

/// For how long an item without a known begin counts as seen, ms.
const LAPSE_MS: i64 = 24 * 3_600_000;

/// Every acknowledgement by the id of its item, those of causes that are over too.
///
/// # Errors
/// Only what the store says.
pub fn acks_in(tx: &mut Tx) -> Result<HashMap<String, Ack>, Problem> {
    store::all(tx)
}

impl Ack {
    /// Whether it is of the cause that lasts since then. What began after it is another one.
    #[must_use]
    pub fn is_of(&self, since_ms: Option<i64>, now_ms: i64) -> bool {
        match since_ms {
            Some(since_ms) => since_ms <= self.at_ms,
            None => now_ms - self.at_ms < LAPSE_MS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_of_one_cause() {
        let ack = Ack { user_id: "us_1".into(), user_name: "ada".into(), note: String::new(), at_ms: 1_000 };
        assert!(ack.is_of(Some(900), 2_000) && ack.is_of(Some(1_000), i64::MAX));
        assert!(!ack.is_of(Some(1_001), 2_000), "it came again");
        assert!(ack.is_of(None, 1_000 + LAPSE_MS - 1) && !ack.is_of(None, 1_000 + LAPSE_MS));
    }
}
