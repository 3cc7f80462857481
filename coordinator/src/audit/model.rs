//! An event as it is read back, and how the chain is computed. Pure.

use sha2::{Digest, Sha256};

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `ev_…`
    pub id: String,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// `person`, `node`, `system` or `anonymous`.
    pub actor_kind: String,
    /// The id of the person or node, or the reconciler's name.
    pub actor_id: String,
    /// The person's name at that time.
    pub actor_name: String,
    /// What was done.
    pub action: String,
    /// The id of what it was done to.
    pub target: String,
    /// The tenant it concerns.
    pub tenant_id: Option<String>,
    /// The project it concerns.
    pub project_id: Option<String>,
    /// `success`, `refused` or `failed`.
    pub outcome: String,
    /// Why.
    pub reason: Option<String>,
    /// Ties it to a request.
    pub correlation_id: String,
    /// Where the request came from.
    pub source_ip: Option<String>,
    /// JSON text.
    pub before_json: Option<String>,
    /// JSON text.
    pub after_json: Option<String>,
    /// Its place in the chain, once sealed.
    pub seq: Option<i64>,
    /// Its hash, once sealed.
    pub hash: Option<[u8; 32]>,
}

/// The hash before the first event.
pub(super) const GENESIS: [u8; 32] = [0; 32];

impl Entry {
    /// The hash of this event at a place in the chain. Every field goes in with its length, so that no two
    /// different events give the same bytes.
    #[must_use]
    pub fn link(&self, seq: i64, prev: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"muster audit 1\0");
        hash.update(prev);
        hash.update(seq.to_be_bytes());
        hash.update(self.at_ms.to_be_bytes());
        let must = [
            &self.id,
            &self.actor_kind,
            &self.actor_id,
            &self.actor_name,
            &self.action,
            &self.target,
            &self.outcome,
            &self.correlation_id,
        ];
        let may =
            [&self.tenant_id, &self.project_id, &self.reason, &self.source_ip, &self.before_json, &self.after_json];
        for field in must.into_iter().map(Some).chain(may.into_iter().map(Option::as_ref)) {
            match field {
                Some(text) => {
                    hash.update([1]);
                    hash.update((text.len() as u64).to_be_bytes());
                    hash.update(text);
                }
                None => hash.update([0]),
            }
        }
        hash.finalize().into()
    }
}

/// The state of the chain after a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Events checked.
    pub checked: u64,
    /// The last hash; of the whole chain when nothing is broken.
    pub head: [u8; 32],
    /// The first event whose hash does not hold, or before which some are missing.
    pub broken_at: Option<String>,
    /// Events that wait for their place.
    pub unsealed: i64,
}

impl Chain {
    /// The beginning.
    #[must_use]
    pub fn start(unsealed: i64) -> Self {
        Self { checked: 0, head: GENESIS, broken_at: None, unsealed }
    }

    /// Checks the next event, in order of seq. False when the chain breaks here.
    pub fn take(&mut self, entry: &Entry) -> bool {
        let seq = i64::try_from(self.checked + 1).unwrap_or(i64::MAX);
        let holds = entry.seq == Some(seq) && entry.hash == Some(entry.link(seq, &self.head));
        if !holds {
            self.broken_at = Some(entry.id.clone());
            return false;
        }
        self.checked += 1;
        self.head = entry.hash.unwrap_or(self.head);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: i64) -> Entry {
        Entry {
            id: format!("ev_{n}"),
            at_ms: n,
            actor_kind: "person".into(),
            actor_id: "us_1".into(),
            actor_name: "ada".into(),
            action: "nodes.cordon".into(),
            target: "nd_1".into(),
            tenant_id: None,
            project_id: None,
            outcome: "success".into(),
            reason: None,
            correlation_id: "co_1".into(),
            source_ip: None,
            before_json: None,
            after_json: Some("{}".into()),
            seq: None,
            hash: None,
        }
    }

    fn sealed(count: i64) -> Vec<Entry> {
        let mut prev = GENESIS;
        (1..=count)
            .map(|seq| {
                let mut entry = entry(seq);
                prev = entry.link(seq, &prev);
                (entry.seq, entry.hash) = (Some(seq), Some(prev));
                entry
            })
            .collect()
    }

    #[test]
    fn a_whole_chain_holds_and_each_change_breaks_it_there() {
        let mut chain = Chain::start(0);
        assert!(sealed(5).iter().all(|entry| chain.take(entry)));
        assert_eq!((chain.checked, chain.broken_at.clone()), (5, None));
        type Change = fn(&mut Vec<Entry>);
        let changes: [Change; 4] = [
            |all| all[2].target = "nd_2".into(),
            |all| all[2].after_json = None,
            |all| drop(all.remove(2)),
            |all| all.swap(2, 3),
        ];
        for change in changes {
            let mut all = sealed(5);
            change(&mut all);
            let mut chain = Chain::start(0);
            let _ = all.iter().all(|entry| chain.take(entry));
            assert_eq!(chain.broken_at, Some(all[2].id.clone()));
            assert_eq!(chain.checked, 2);
        }
    }
}
