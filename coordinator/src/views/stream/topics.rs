//! What a stream may be about, and which changes that takes in. Pure but for the question who may.

use crate::base::authz::{self, Gate, Scope, Verb};
use crate::base::feed::Change;
use crate::base::http::{Door, Problem};
use crate::base::limits;
use crate::cx::{Cx, Person};
use muster_protocol::ids::{AllocationId, NodeId};

/// The nouns one may listen to, with the verb that lists them.
const NOUNS: [(&str, Verb); 7] = [
    ("operations", Verb::OperationsList),
    ("allocations", Verb::AllocationsList),
    ("projects", Verb::ProjectsList),
    ("nodes", Verb::NodesList),
    ("slots", Verb::SlotsList),
    ("tokens", Verb::TokensList),
    ("skus", Verb::SkusCreate),
];

/// What needs somebody's attention changes with these.
const ATTENTION: [&str; 5] = ["nodes", "slots", "tokens", "allocations", "operations"];

/// What one asks a stream for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topic {
    /// Everything of a noun, or one thing.
    Noun(&'static str, Verb, Option<String>),
    /// What may need attention.
    Attention,
    /// Figures of an allocation.
    Workload(AllocationId),
    /// Figures of a node.
    Node(NodeId),
}

fn unknown(word: &str, door: Door) -> Problem {
    let known = NOUNS.iter().filter(|(_, verb)| verb.gate(door) != Gate::Closed).map(|(noun, _)| *noun);
    let known = known.collect::<Vec<_>>().join(", ");
    let detail = format!("There is no topic {word}. Topics are {known}, each also as noun:id, attention, metrics:id.");
    Problem::invalid("topics", "unknown_topic", &detail)
}

impl Topic {
    fn parse(word: &str, door: Door) -> Result<Self, Problem> {
        let (noun, id) = word.split_once(':').map_or((word, None), |(noun, id)| (noun, Some(id)));
        let found = NOUNS.into_iter().find(|(known, verb)| *known == noun && verb.gate(door) != Gate::Closed);
        match (noun, id, found) {
            ("attention", None, _) => Ok(Self::Attention),
            ("metrics", Some(id), _) => match (id.parse(), id.parse()) {
                (Ok(allocation), _) => Ok(Self::Workload(allocation)),
                (_, Ok(node)) if door == Door::Operator => Ok(Self::Node(node)),
                _ => Err(Problem::not_found("workload")),
            },
            (_, None, Some((noun, verb))) => Ok(Self::Noun(noun, verb, None)),
            (_, Some(id), Some((noun, verb))) if !id.is_empty() => Ok(Self::Noun(noun, verb, Some(id.to_owned()))),
            _ => Err(unknown(word, door)),
        }
    }

    /// The topics of a query: words between commas.
    ///
    /// # Errors
    /// 422 for none, too many, and words that are no topic of this door; 404 for figures of what is no id.
    pub(super) fn parse_all(text: &str, door: Door) -> Result<Vec<Self>, Problem> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let mut topics = Vec::new();
        for word in words {
            let topic = Self::parse(word, door)?;
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        let figures = topics.iter().filter(|topic| matches!(topic, Self::Workload(_) | Self::Node(_))).count();
        if topics.is_empty() || topics.len() > limits::STREAM_TOPICS || figures > limits::STREAM_METRICS {
            let detail = format!(
                "Name 1 to {} topics, at most {} of them metrics.",
                limits::STREAM_TOPICS,
                limits::STREAM_METRICS
            );
            return Err(Problem::invalid("topics", "out_of_range", &detail));
        }
        Ok(topics)
    }

    /// As it was asked for.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Noun(noun, _, None) => (*noun).to_owned(),
            Self::Noun(noun, _, Some(id)) => format!("{noun}:{id}"),
            Self::Attention => "attention".to_owned(),
            Self::Workload(id) => format!("metrics:{id}"),
            Self::Node(id) => format!("metrics:{id}"),
        }
    }

    /// 403 `forbidden_role` if the person may not list these things.
    pub(super) fn require(&self, cx: &Cx) -> Result<(), Problem> {
        let person = cx.person()?;
        let scope = match (person.door, person.tenant_id) {
            (Door::Console, Some(tenant)) => Scope::Tenant(tenant),
            _ => Scope::Platform,
        };
        let verb = match self {
            Self::Noun(_, verb, _) => *verb,
            Self::Attention => Verb::OperationsList,
            Self::Workload(_) => Verb::AllocationsMetrics,
            Self::Node(_) => Verb::NodesMetrics,
        };
        authz::require(cx, verb, scope)
    }

    /// Whether a change is one of this topic.
    pub(super) fn takes(&self, change: &Change) -> bool {
        match self {
            Self::Noun(noun, _, id) => change.topic == *noun && id.as_ref().is_none_or(|id| *id == change.id),
            // Steps and notes of an operation need nobody; its begin and end may.
            Self::Attention if change.topic == "operations" => {
                !matches!(change.kind, "operations.step" | "operations.note")
            }
            Self::Attention => ATTENTION.contains(&change.topic),
            Self::Workload(_) | Self::Node(_) => false,
        }
    }
}

/// Whether a person may hear of a change at all: users of those of their own tenant, staff of all.
pub(super) fn may_hear(person: &Person, change: &Change) -> bool {
    match person.door {
        Door::Operator => true,
        Door::Console => change.tenant.is_some() && change.tenant == person.tenant_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, door: Door) -> Result<Vec<String>, String> {
        let all = Topic::parse_all(text, door).map_err(|problem| problem.code().to_owned())?;
        Ok(all.iter().map(Topic::word).collect())
    }

    #[test]
    fn words_are_topics_of_a_door() {
        let id = format!("al_{}", "0".repeat(26));
        let node = format!("nd_{}", "0".repeat(26));
        let all = format!("operations, allocations:{id},operations,attention,metrics:{id}");
        let words = ["operations", &format!("allocations:{id}"), "attention", &format!("metrics:{id}")];
        assert_eq!(of(&all, Door::Console).unwrap(), words);
        assert_eq!(of("nodes,slots,tokens,skus", Door::Operator).unwrap().len(), 4);
        assert!(of(&format!("metrics:{node}"), Door::Operator).is_ok());
        for (bad, code) in [
            ("", "validation_failed"),
            (",,", "validation_failed"),
            ("nodes", "validation_failed"),
            ("users", "validation_failed"),
            ("logins:lo_1", "validation_failed"),
            ("operations:", "validation_failed"),
            ("attention:x", "validation_failed"),
            ("metrics", "validation_failed"),
            (&format!("metrics:{node}"), "not_found"),
            ("metrics:nonsense", "not_found"),
        ] {
            assert_eq!(of(bad, Door::Console), Err(code.to_owned()), "{bad}");
        }
        let many = (0..=limits::STREAM_TOPICS).map(|n| format!("operations:{n},")).collect::<String>();
        assert!(of(&many, Door::Console).is_err());
    }

    #[test]
    fn a_topic_takes_its_own_changes() {
        let change = |topic, id: &str, kind| Change { topic, id: id.to_owned(), kind, tenant: None, at_ms: 0 };
        let topics = Topic::parse_all("operations:op_1,nodes,attention", Door::Operator).unwrap();
        let taken = |change: Change| topics.iter().map(|topic| topic.takes(&change)).collect::<Vec<_>>();
        assert_eq!(taken(change("operations", "op_1", "operations.step")), [true, false, false]);
        assert_eq!(taken(change("operations", "op_2", "operations.ended")), [false, false, true]);
        assert_eq!(taken(change("nodes", "nd_1", "nodes.presence")), [false, true, true]);
        assert_eq!(taken(change("users", "us_1", "auth.login")), [false, false, false]);
    }
}
