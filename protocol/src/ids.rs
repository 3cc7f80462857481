//! Typed, prefixed, time-ordered identifiers: one registry of all prefixes.
//!
//! An id is a UUIDv7 written as 26 characters of lower-case Crockford base32 behind a two-letter prefix,
//! `^[a-z]{2}_[0-9a-hjkmnp-tv-z]{26}$`. Text order is creation order.

use std::{fmt, str::FromStr};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ followed by 26 characters")]
pub struct BadId {
    /// The prefix that was wanted.
    pub prefix: &'static str,
}

/// A UUIDv7 from milliseconds since 1970 and 80 random bits.
fn uuid_v7(unix_ms: u64, random: [u8; 10]) -> u128 {
    let mut low = [0u8; 16];
    low[6..].copy_from_slice(&random);
    let mut value = u128::from_be_bytes(low);
    value |= u128::from(unix_ms & 0xffff_ffff_ffff) << 80;
    value = (value & !(0xf << 76)) | (0x7 << 76);
    (value & !(0x3 << 62)) | (0x2 << 62)
}

fn write_base32(value: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0u8; DIGITS];
    let mut rest = value;
    for digit in text.iter_mut().rev() {
        *digit = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

fn parse_base32(text: &str) -> Option<u128> {
    // 26 digits carry 130 bits: the first may only use its low three.
    if text.len() != DIGITS || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = ALPHABET.iter().position(|known| *known == byte)?;
        Some((value << 5) | digit as u128)
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(u128);

            impl $name {
                /// The two letters before the underscore.
                pub const PREFIX: &'static str = $prefix;

                /// A new id from the caller's clock (ms since 1970) and 80 random bits.
                #[must_use]
                pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
                    Self(uuid_v7(unix_ms, random))
                }

                /// The 16 bytes behind the text, big-endian: a certificate's serial, say.
                #[must_use]
                pub fn to_bytes(&self) -> [u8; 16] {
                    self.0.to_be_bytes()
                }

                /// The id of 16 bytes made by `to_bytes`.
                #[must_use]
                pub fn from_bytes(bytes: [u8; 16]) -> Self {
                    Self(u128::from_be_bytes(bytes))
                }

                /// Eight characters that tell ids of one host apart, for names of cgroups and interfaces.
                /// Taken from the random end, since the front of a time-ordered id hardly changes.
                #[must_use]
                pub fn short(&self) -> String {
                    let text = self.to_string();
                    text[text.len() - 8..].to_owned()
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(concat!($prefix, "_"))?;
                    write_base32(self.0, f)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }

            impl FromStr for $name {
                type Err = BadId;
                fn from_str(text: &str) -> Result<Self, BadId> {
                    text.strip_prefix(concat!($prefix, "_"))
                        .and_then(parse_base32)
                        .map(Self)
                        .ok_or(BadId { prefix: $prefix })
                }
            }

            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                }
            }
        )*

        /// Every prefix in use, with the noun it stands for.
        pub const PREFIXES: &[(&str, &str)] = &[$(($prefix, stringify!($name))),*];
    };
}

ids! {
    /// A machine with our agent; fixed for life.
    NodeId = "nd";
    /// A schedulable part of a node.
    SlotId = "sl";
    /// A lease of slots of one node by a project.
    AllocationId = "al";
    /// The record of anything that takes time.
    OperationId = "op";
    /// One typed command to one agent.
    NodeTaskId = "nt";
    /// An open terminal, a running command, a tunnel or an SSH entry in a cell.
    SessionId = "se";
    /// A platform, partner or tenant boundary.
    WorkspaceId = "ws";
    /// A customer organisation.
    TenantId = "tn";
    /// A unit of a tenant that owns allocations.
    ProjectId = "pj";
    /// A person.
    UserId = "us";
    /// A sign-in of a person.
    LoginId = "lo";
    /// A public SSH key of a person.
    SshKeyId = "sk";
    /// A product.
    SkuId = "ku";
    /// An OS image.
    ImageId = "im";
    /// A bootstrap token.
    BootstrapTokenId = "bt";
    /// A node certificate.
    CertificateId = "ce";
    /// One audit row.
    EventId = "ev";
    /// What ties a request, its log lines and its rows together.
    CorrelationId = "co";
    /// One reading or decision kept as evidence of a node task or operation step.
    EvidenceId = "ed";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_unique() {
        let mut seen: Vec<_> = PREFIXES.iter().map(|(prefix, _)| *prefix).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), PREFIXES.len());
    }

    #[test]
    fn text_order_is_time_order_and_round_trips() {
        let early = NodeId::new(1_000, [0xff; 10]);
        let late = NodeId::new(1_001, [0; 10]);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(early.to_string().len(), 29);
    }

    #[test]
    fn foreign_prefix_and_garbage_are_refused() {
        let node = NodeId::new(5, [3; 10]).to_string();
        assert!(node.parse::<SlotId>().is_err());
        for bad in ["", "nd_", "nd_z0000000000000000000000000", "nd_0000000000000000000000000i", &node[1..]] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }
}
