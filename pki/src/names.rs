//! Names in certificates: `muster://<fleet>/node/<nd>` and `muster://<fleet>/coordinator`.

use muster_protocol::ids::NodeId;
use x509_parser::extensions::GeneralName;

/// Server name every agent asks for, whatever address it dials.
pub const COORDINATOR_DNS: &str = "coordinator.muster";

/// URI of a node.
#[must_use]
pub fn node_uri(fleet: &str, node: NodeId) -> String {
    format!("muster://{fleet}/node/{node}")
}

/// URI of the coordinator.
#[must_use]
pub fn coordinator_uri(fleet: &str) -> String {
    format!("muster://{fleet}/coordinator")
}

/// Fleet and node of a node's URI.
#[must_use]
pub fn parse_node_uri(uri: &str) -> Option<(&str, NodeId)> {
    let (fleet, node) = uri.strip_prefix("muster://")?.split_once("/node/")?;
    if fleet.is_empty() || fleet.contains('/') {
        return None;
    }
    Some((fleet, node.parse().ok()?))
}

/// All URIs among a certificate's alternative names.
pub(crate) fn uris(der: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    Some(
        names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some((*uri).to_owned()),
                _ => None,
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_uri_round_trips_and_nothing_else_passes() {
        let node = NodeId::new(7, [9; 10]);
        let uri = node_uri("f1", node);
        assert_eq!(parse_node_uri(&uri), Some(("f1", node)));
        for bad in ["", "muster://", "muster:///node/x", "muster://f1/coordinator", "muster://a/b/node/x"] {
            assert_eq!(parse_node_uri(bad), None, "{bad}");
        }
        assert_eq!(parse_node_uri(&format!("{uri}/")), None);
        assert_eq!(parse_node_uri(&uri.replace("f1", "f1/x")), None);
    }
}
