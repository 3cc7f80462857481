//! Ids or names: what people type is looked up where it is no id.

use crate::{
    api::Client,
    error::{Error, Result},
    output::{items, text},
};
use serde_json::Value;

/// Items looked through for a name.
const LOOKED_AT: usize = 5_000;

/// Whether a text has the form of an id of this prefix.
#[must_use]
pub fn is_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).is_some_and(|digits| {
        digits.len() == 26 && digits.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    })
}

/// The id of an allocation. Among several of one name the one that is not over is meant.
///
/// # Errors
/// [`Error::NotFound`] if there is none, [`Error::Client`] if several could be meant.
pub async fn allocation(client: &mut Client, wanted: &str) -> Result<String> {
    allocation_of(client, "/api/v1/allocations", wanted).await
}

/// The same among the allocations of all users, for operators.
///
/// # Errors
/// As [`allocation`].
pub async fn any_allocation(client: &mut Client, wanted: &str) -> Result<String> {
    allocation_of(client, "/api/v1/admin/allocations", wanted).await
}

async fn allocation_of(client: &mut Client, path: &str, wanted: &str) -> Result<String> {
    if is_id("al", wanted) {
        return Ok(wanted.to_owned());
    }
    let list = client.list(path, LOOKED_AT).await?;
    let over = |item: &Value| matches!(item["state"].as_str(), Some("released" | "failed"));
    pick("allocation", wanted, items(&list), over)
}

/// The id of a node.
///
/// # Errors
/// As [`allocation`].
pub async fn node(client: &mut Client, wanted: &str) -> Result<String> {
    if is_id("nd", wanted) {
        return Ok(wanted.to_owned());
    }
    let list = client.list("/api/v1/admin/nodes", LOOKED_AT).await?;
    let over =
        |item: &Value| matches!(item["state"].as_str(), Some("removed" | "deleted" | "decommissioned" | "rejected"));
    pick("node", wanted, items(&list), over)
}

/// The id of a thing of a list that has no notion of being over.
///
/// # Errors
/// As [`allocation`].
pub async fn named(client: &mut Client, noun: &str, prefix: &str, path: &str, wanted: &str) -> Result<String> {
    if is_id(prefix, wanted) {
        return Ok(wanted.to_owned());
    }
    let list = client.list(path, LOOKED_AT).await?;
    pick(noun, wanted, items(&list), |_| false)
}

fn pick(noun: &str, wanted: &str, items: &[Value], over: impl Fn(&Value) -> bool) -> Result<String> {
    let named: Vec<_> = items.iter().filter(|item| item["name"].as_str() == Some(wanted)).collect();
    let live: Vec<_> = named.iter().copied().filter(|item| !over(item)).collect();
    match (live.as_slice(), named.as_slice()) {
        ([one], _) | ([], [one, ..]) => Ok(text(one, "id")),
        ([], []) => Err(Error::NotFound(format!("no {noun} is called {wanted}"))),
        (several, _) => {
            let ids: Vec<_> = several.iter().map(|item| text(item, "id")).collect();
            Err(Error::client(format!("several {noun}s are called {wanted}: {}", ids.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_mean_what_lives() {
        let items = [
            json!({"id": "3", "name": "a", "state": "released"}),
            json!({"id": "2", "name": "a", "state": "active"}),
            json!({"id": "1", "name": "b", "state": "released"}),
            json!({"id": "0", "name": "b", "state": "released"}),
        ];
        let over = |item: &Value| item["state"] == "released";
        assert_eq!(pick("allocation", "a", &items, over).unwrap(), "2");
        // Lists begin with the newest.
        assert_eq!(pick("allocation", "b", &items, over).unwrap(), "1");
        assert_eq!(pick("allocation", "c", &items, over).unwrap_err().exit_code(), 4);
        assert_eq!(pick("allocation", "b", &items, |_| false).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn ids_have_a_form() {
        assert!(is_id("al", "al_01jd8v6y7qfx9m3k2n4p5r6s7t"));
        assert!(!is_id("al", "al_short"));
        assert!(!is_id("al", "nd_01jd8v6y7qfx9m3k2n4p5r6s7t"));
    }
}
