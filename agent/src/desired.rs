//! When an offered document is taken. Pure: what is held and what is offered go in, a verdict comes out.

use crate::journal::Held;
use muster_protocol::{
    control::Desired,
    desired::Document,
    limits::{CELLS_PER_NODE, SLOTS_PER_NODE},
};
use sha2::{Digest, Sha256};
use std::{cmp::Ordering, collections::BTreeSet};

/// What becomes of an offered document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Journal these bytes and reconcile towards them.
    Take(Document),
    /// It is the one we hold.
    Same,
    /// Keep what we hold.
    Refuse(Refusal),
}

/// Why a document is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its generation is older than ours.
    Older,
    /// Two documents under one generation: someone's memory is wrong, and it may be ours.
    SameGenerationOtherBytes,
    /// It does not decode, or contradicts itself.
    Malformed(String),
}

impl Refusal {
    /// The word in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Older => "older",
            Self::SameGenerationOtherBytes => "same_generation_other_bytes",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// Judges an offer.
#[must_use]
pub fn judge(held: Option<&Held>, offered: &Desired) -> Verdict {
    if let Some(held) = held {
        match offered.generation.cmp(&held.generation) {
            Ordering::Less => return Verdict::Refuse(Refusal::Older),
            Ordering::Equal if offered.document == held.document => return Verdict::Same,
            Ordering::Equal if !cfg!(feature = "plant-generation") => {
                return Verdict::Refuse(Refusal::SameGenerationOtherBytes);
            }
            Ordering::Equal | Ordering::Greater => {}
        }
    }
    if offered.sha256 != Sha256::digest(&offered.document).as_slice() {
        return Verdict::Refuse(Refusal::Malformed("its bytes are not those of its hash".into()));
    }
    match parse(&offered.document) {
        Ok(document) => Verdict::Take(document),
        Err(why) => Verdict::Refuse(Refusal::Malformed(why)),
    }
}

/// Decodes a document and checks what its types cannot say.
///
/// # Errors
/// In words.
pub fn parse(bytes: &[u8]) -> Result<Document, String> {
    // serde takes a list for a struct, too.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err("it is no object".into());
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if document.cells.len() + document.tombstones.len() > CELLS_PER_NODE {
        return Err(format!("more than {CELLS_PER_NODE} cells"));
    }
    let mut named = BTreeSet::new();
    let mut slots = BTreeSet::new();
    for cell in &document.cells {
        if !named.insert(cell.allocation) {
            return Err(format!("{} stands in it twice", cell.allocation));
        }
        if cell.slots.is_empty() || cell.slots.len() > SLOTS_PER_NODE {
            return Err(format!("{} has no slots or too many", cell.allocation));
        }
        if let Some(slot) = cell.slots.iter().find(|slot| !slots.insert(slot.id)) {
            return Err(format!("{} is leased twice", slot.id));
        }
    }
    let mut buried = BTreeSet::new();
    match document.tombstones.iter().find(|tombstone| !buried.insert(tombstone.allocation)) {
        Some(twice) => Err(format!("{} has two tombstones", twice.allocation)),
        None => Ok(document),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::control::Generation;
    use proptest::prelude::*;

    fn offer(fleet_epoch: u64, n: u64, bytes: &[u8]) -> Desired {
        Desired {
            generation: Generation { fleet_epoch, n },
            document: bytes.to_vec().into(),
            sha256: Sha256::digest(bytes).to_vec(),
        }
    }

    fn held(offer: &Desired) -> Held {
        Held { generation: offer.generation, document: offer.document.to_vec(), sha256: offer.sha256.clone() }
    }

    proptest! {
        #[test]
        fn what_is_held_never_gets_older_and_its_bytes_never_change(
            offers in proptest::collection::vec((0u64..3, 0u64..4, 0usize..3), 1..30)
        ) {
            let bytes: [&[u8]; 3] = [b"{}", b"{ }", b"{\"cells\":[]}"];
            let mut kept: Option<Held> = None;
            for (epoch, n, which) in offers {
                let offer = offer(epoch, n, bytes[which]);
                let before = kept.clone();
                match judge(kept.as_ref(), &offer) {
                    Verdict::Take(_) => {
                        prop_assert!(before.is_none_or(|before| before.generation < offer.generation));
                        kept = Some(held(&offer));
                    }
                    Verdict::Same => prop_assert_eq!(kept.as_ref(), Some(&held(&offer))),
                    Verdict::Refuse(Refusal::Older) => {
                        prop_assert!(before.is_some_and(|before| before.generation > offer.generation));
                    }
                    Verdict::Refuse(Refusal::SameGenerationOtherBytes) => {
                        let before = before.unwrap();
                        prop_assert!(before.generation == offer.generation && before.document != offer.document);
                    }
                    Verdict::Refuse(Refusal::Malformed(why)) => prop_assert!(false, "{}", why),
                }
            }
        }
    }

    #[test]
    fn nonsense_is_refused_and_named() {
        let mut wrong_hash = offer(1, 1, b"{}");
        wrong_hash.sha256[0] ^= 1;
        for bad in [wrong_hash, offer(1, 1, b""), offer(1, 1, b"[]"), offer(1, 1, b"{\"cells\":{}}")] {
            assert!(matches!(judge(None, &bad), Verdict::Refuse(Refusal::Malformed(_))));
        }
        let cell = r#"{"allocation":"al_01h00000000000000000000000","name":"a","lease_epoch":1,
            "slots":[{"id":"sl_01h00000000000000000000000","kind":"cpu"}],
            "size":{"cpu_milli":1,"memory_bytes":1,"disk_bytes":1,"pids":1},"image":{"kind":"host"}}"#;
        assert!(parse(format!(r#"{{"cells":[{cell}]}}"#).as_bytes()).is_ok());
        assert!(parse(format!(r#"{{"cells":[{cell},{cell}]}}"#).as_bytes()).unwrap_err().contains("twice"));
        assert!(parse(format!(r#"{{"cells":[{cell}],"later":{{"x":1}}}}"#).as_bytes()).is_ok(), "newer fields pass");
    }
}
