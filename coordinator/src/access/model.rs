//! SSH public keys: parsing, strength, fingerprint. Pure.

use crate::base::limits;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use muster_protocol::ids::{SshKeyId, UserId};
use sha2::{Digest, Sha256};

/// A person's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshKey {
    /// Its id.
    pub id: SshKeyId,
    /// Whose it is.
    pub user_id: UserId,
    /// For people.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// Since when, ms since 1970.
    pub created_ms: i64,
}

/// The algorithms that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `ssh-ed25519`
    Ed25519,
    /// `ssh-rsa`, 2048 bits and more.
    Rsa,
    /// `ecdsa-sha2-nistp256`
    Ecdsa256,
    /// `ecdsa-sha2-nistp384`
    Ecdsa384,
    /// `ecdsa-sha2-nistp521`
    Ecdsa521,
    /// A hardware key: `sk-ssh-ed25519@openssh.com`
    SkEd25519,
    /// A hardware key: `sk-ecdsa-sha2-nistp256@openssh.com`
    SkEcdsa256,
}

impl KeyKind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Ed25519, "ssh-ed25519"),
        (Self::Rsa, "ssh-rsa"),
        (Self::Ecdsa256, "ecdsa-sha2-nistp256"),
        (Self::Ecdsa384, "ecdsa-sha2-nistp384"),
        (Self::Ecdsa521, "ecdsa-sha2-nistp521"),
        (Self::SkEd25519, "sk-ssh-ed25519@openssh.com"),
        (Self::SkEcdsa256, "sk-ecdsa-sha2-nistp256@openssh.com"),
    ];

    /// Its name in an authorized_keys line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

impl std::str::FromStr for KeyKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind).ok_or(())
    }
}

/// Why a text is not taken as a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// No key line, or one whose bytes do not hold together.
    #[error("This is not an SSH public key: paste the one line of your .pub file.")]
    NotAKey,
    /// An algorithm that is not taken.
    #[error("This kind of key is not taken: use ed25519, ecdsa, or RSA with at least 2048 bits.")]
    UnsupportedKind,
    /// RSA below 2048 bits.
    #[error("RSA keys need at least 2048 bits; better make an ed25519 key.")]
    WeakRsa,
    /// A private key was pasted.
    #[error("This is a private key: never give it away. Paste the .pub file, and make a new pair.")]
    PrivateKeyPasted,
    /// More bytes than any key has.
    #[error("This is too long for an SSH public key.")]
    TooLong,
}

impl BadKey {
    /// The word scripts rely on.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAKey => "not_a_key",
            Self::UnsupportedKind => "unsupported_kind",
            Self::WeakRsa => "weak_rsa",
            Self::PrivateKeyPasted => "private_key_pasted",
            Self::TooLong => "too_long",
        }
    }
}

/// A checked public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The algorithm.
    pub kind: KeyKind,
    /// Its strength in bits.
    pub bits: u32,
    /// The key's bytes in base64, without options and comment.
    pub base64: String,
    /// What stood behind it in the line.
    pub comment: String,
    /// `SHA256:…`, as `ssh-keygen -lf` shows it.
    pub fingerprint: String,
}

impl PublicKey {
    /// `type base64`, the line for authorized_keys.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.base64)
    }

    /// Checks one line of a `.pub` file. Options before the key (as in authorized_keys) are refused, since
    /// they would be run on nodes.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        if text.contains("PRIVATE KEY") || text.contains("PuTTY-User-Key-File") {
            return Err(BadKey::PrivateKeyPasted);
        }
        if text.len() > limits::SSH_KEY_BYTES {
            return Err(BadKey::TooLong);
        }
        let line = text.trim();
        if line.is_empty() || line.contains(['\n', '\r', '\0']) {
            return Err(BadKey::NotAKey);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else { return Err(BadKey::NotAKey) };
        let comment: String =
            words.collect::<Vec<_>>().join(" ").chars().filter(|char| !char.is_control()).take(256).collect();
        let looks_like_one = name.starts_with("ssh-") || name.starts_with("ecdsa-") || name.starts_with("sk-");
        let unknown = if looks_like_one { BadKey::UnsupportedKind } else { BadKey::NotAKey };
        let kind: KeyKind = name.parse().map_err(|()| unknown)?;
        let blob = STANDARD.decode(base64).map_err(|_| BadKey::NotAKey)?;
        let bits = check(kind, &blob)?;
        let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob)));
        Ok(Self { kind, bits, base64: base64.to_owned(), comment, fingerprint })
    }
}

/// Takes one length-prefixed field off the front.
fn field<'b>(blob: &mut &'b [u8]) -> Result<&'b [u8], BadKey> {
    let (length, rest) = blob.split_first_chunk::<4>().ok_or(BadKey::NotAKey)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (value, rest) = rest.split_at_checked(length).ok_or(BadKey::NotAKey)?;
    *blob = rest;
    Ok(value)
}

/// Checks that the bytes are a whole key of the kind, and returns its bits.
fn check(kind: KeyKind, mut blob: &[u8]) -> Result<u32, BadKey> {
    if field(&mut blob)? != kind.as_str().as_bytes() {
        return Err(BadKey::NotAKey);
    }
    let bits = match kind {
        KeyKind::Ed25519 => point(&mut blob, 32, 256)?,
        KeyKind::SkEd25519 => {
            let bits = point(&mut blob, 32, 256)?;
            application(&mut blob)?;
            bits
        }
        KeyKind::Ecdsa256 => curve(&mut blob, "nistp256", 65, 256)?,
        KeyKind::Ecdsa384 => curve(&mut blob, "nistp384", 97, 384)?,
        KeyKind::Ecdsa521 => curve(&mut blob, "nistp521", 133, 521)?,
        KeyKind::SkEcdsa256 => {
            let bits = curve(&mut blob, "nistp256", 65, 256)?;
            application(&mut blob)?;
            bits
        }
        KeyKind::Rsa => rsa(&mut blob)?,
    };
    if blob.is_empty() { Ok(bits) } else { Err(BadKey::NotAKey) }
}

fn point(blob: &mut &[u8], length: usize, bits: u32) -> Result<u32, BadKey> {
    if field(blob)?.len() == length { Ok(bits) } else { Err(BadKey::NotAKey) }
}

fn application(blob: &mut &[u8]) -> Result<(), BadKey> {
    if field(blob)?.is_empty() { Err(BadKey::NotAKey) } else { Ok(()) }
}

fn curve(blob: &mut &[u8], name: &str, length: usize, bits: u32) -> Result<u32, BadKey> {
    if field(blob)? != name.as_bytes() {
        return Err(BadKey::NotAKey);
    }
    let point = field(blob)?;
    // Uncompressed points only, as OpenSSH takes them.
    if point.len() == length && point[0] == 4 { Ok(bits) } else { Err(BadKey::NotAKey) }
}

fn rsa(blob: &mut &[u8]) -> Result<u32, BadKey> {
    let exponent = field(blob)?;
    let modulus = field(blob)?;
    // An mpint is positive: a leading zero byte stands where the first bit is set.
    let digits = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let negative = |number: &[u8]| number.first().is_none_or(|byte| byte & 0x80 != 0);
    if exponent.is_empty() || negative(exponent) || negative(modulus) || digits.is_empty() {
        return Err(BadKey::NotAKey);
    }
    let bits = u32::try_from(digits.len() * 8).map_err(|_| BadKey::NotAKey)? - digits[0].leading_zeros();
    match bits {
        0..2048 => Err(BadKey::WeakRsa),
        2048..=16384 => Ok(bits),
        _ => Err(BadKey::NotAKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a comment";

    fn packed(fields: &[&[u8]]) -> String {
        let mut blob = Vec::new();
        for field in fields {
            blob.extend((field.len() as u32).to_be_bytes());
            blob.extend(*field);
        }
        STANDARD.encode(blob)
    }

    fn rsa_line(bytes: usize) -> String {
        let mut modulus = vec![0u8];
        modulus.extend(vec![0x80; bytes]);
        format!("ssh-rsa {}", packed(&[b"ssh-rsa", &[1, 0, 1], &modulus]))
    }

    #[test]
    fn good_keys_are_taken() {
        let key = PublicKey::parse(ED25519).unwrap();
        assert_eq!((key.kind, key.bits, key.comment.as_str()), (KeyKind::Ed25519, 256, "a comment"));
        assert_eq!(key.fingerprint, "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
        assert_eq!(PublicKey::parse(&rsa_line(256)).unwrap().bits, 2048);
        let mut point = vec![4u8];
        point.extend([7; 64]);
        let ecdsa = format!("ecdsa-sha2-nistp256 {}", packed(&[b"ecdsa-sha2-nistp256", b"nistp256", &point]));
        assert_eq!(PublicKey::parse(&ecdsa).unwrap().bits, 256);
        let sk = packed(&[b"sk-ssh-ed25519@openssh.com", &[1; 32], b"ssh:"]);
        assert_eq!(PublicKey::parse(&format!("sk-ssh-ed25519@openssh.com {sk}")).unwrap().kind, KeyKind::SkEd25519);
    }

    #[test]
    fn bad_keys_say_why() {
        let cases = [
            ("", BadKey::NotAKey),
            ("hello there", BadKey::NotAKey),
            ("ssh-ed25519 AAAA", BadKey::NotAKey),
            ("ssh-dss AAAAB3NzaC1kc3M=", BadKey::UnsupportedKind),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc", BadKey::PrivateKeyPasted),
            ("command=\"id\" ssh-ed25519 AAAA", BadKey::NotAKey),
        ];
        for (text, wanted) in cases {
            assert_eq!(PublicKey::parse(text), Err(wanted), "{text}");
        }
        assert_eq!(PublicKey::parse(&rsa_line(128)), Err(BadKey::WeakRsa));
        assert_eq!(PublicKey::parse(&format!("{ED25519}\n{ED25519}")), Err(BadKey::NotAKey));
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_a_reason(text in "\\PC{0,200}") {
            let _ = PublicKey::parse(&text);
        }

        #[test]
        fn any_bytes_are_a_key_or_a_reason(kind in 0usize..7, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let name = KeyKind::ALL[kind].1;
            let mut blob = (name.len() as u32).to_be_bytes().to_vec();
            blob.extend(name.as_bytes());
            blob.extend(bytes);
            let _ = PublicKey::parse(&format!("{name} {}", STANDARD.encode(blob)));
        }
    }
}
