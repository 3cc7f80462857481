//! Passwords: strength, hashing, checking. Slow on purpose: call from `base::cpu`, never on the edge.

use crate::base::http::{FieldError, Problem};
use crate::base::limits;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::collections::HashSet;

/// Memory in KiB and passes of argon2id: the second recommendation of OWASP, about 30 ms in a release build.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// What an unknown name is checked against, with the same parameters. No password opens it: its name has none.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$iAGwSDsKWiopO/iGTCg7vg$P+CA0BYdoS/YXGnHaIguiBX3ThahunuP+66WmMOcc5k";

/// Passwords that are tried first by everyone.
const COMMON: &[&str] = &[
    "password",
    "password1",
    "passw0rd",
    "12345678",
    "123456789",
    "1234567890",
    "qwertyuiop",
    "qwerty123",
    "iloveyou",
    "11111111",
    "abcdefgh",
    "abcd1234",
    "letmein1",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "trustno1",
];

/// 422 `weak_password` unless it is at least 8 characters long, has four different ones, is not the user's
/// name and not one that everyone tries first.
pub fn check_password(username: &str, password: &str) -> Result<(), Problem> {
    let weak = |detail: &str| {
        let error =
            FieldError { field: "password".to_owned(), code: "weak_password".to_owned(), detail: detail.to_owned() };
        Err(Problem::unprocessable("weak_password", detail).with_errors(vec![error]))
    };
    let lower = password.to_lowercase();
    if password.chars().count() < limits::PASSWORD_CHARS {
        return weak("A password has at least 8 characters.");
    }
    if password.len() > limits::PASSWORD_BYTES {
        return weak("A password has at most 1024 bytes.");
    }
    if password.chars().collect::<HashSet<_>>().len() < 4 {
        return weak("A password has at least four different characters.");
    }
    if lower == username.to_lowercase() || COMMON.contains(&lower.as_str()) {
        return weak("This password is too easy to guess.");
    }
    Ok(())
}

fn argon2() -> Result<Argon2<'static>, Problem> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(Problem::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The PHC text of a password, with a fresh salt of the operating system.
pub fn hash_password(password: &str) -> Result<String, Problem> {
    let hash: PasswordHash = argon2()?.hash_password(password.as_bytes()).map_err(Problem::internal)?;
    Ok(hash.to_string())
}

/// Whether a password is the one of a hash. Without a hash (an unknown name) it takes the same time and
/// says no.
#[must_use]
pub(super) fn verify_password(password: &str, hash: Option<&str>) -> bool {
    let known = hash.is_some();
    let hash = hash.unwrap_or(NOBODY);
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    let equal = password.len() <= limits::PASSWORD_BYTES
        && argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), &parsed).is_ok());
    equal && known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_verify_and_nobody_never_does() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password("correct horse", Some(&hash)));
        assert!(!verify_password("wrong horse", Some(&hash)));
        assert!(!verify_password("operator pass 1", None));
        let costs = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(costs(&hash), costs(NOBODY), "an unknown name must cost the same");
    }

    #[test]
    fn weak_passwords_say_so() {
        for weak in ["short", "aaaaaaaaaaaa", "Password1", "grace-hopper"] {
            assert_eq!(check_password("Grace-Hopper", weak).unwrap_err().code(), "weak_password", "{weak}");
        }
        assert!(check_password("grace", "correct horse").is_ok());
    }
}
