//! All SQL about people and their sign-ins.

use crate::base::http::{Door, Problem};
use crate::base::store::Tx;
use crate::cx::{Person, Role};
use crate::values;
use muster_protocol::ids::UserId;

fn door(word: &str) -> Door {
    if word == Door::Operator.as_str() { Door::Operator } else { Door::Console }
}

/// The person a token belongs to, when the sign-in is alive and the person may sign in.
pub fn person_of_token(tx: &mut Tx, sha256: [u8; 32], bearer: bool, now_ms: i64) -> Result<Option<Person>, Problem> {
    let found = tx.opt(
        "SELECT u.id, u.username, l.id, l.door, u.tenant_id, t.workspace_id, l.stepped_up_until_ms \
         FROM logins l JOIN users u ON u.id = l.user_id LEFT JOIN tenants t ON t.id = u.tenant_id \
         WHERE l.access_sha256 = $1 AND l.kind = $2 AND l.ended_ms IS NULL AND l.access_expires_ms > $3 \
         AND u.state = 'active'",
        &values![sha256, if bearer { "bearer" } else { "cookie" }, now_ms],
        |row| {
            Ok(Person {
                id: row.get(0)?,
                username: row.get(1)?,
                login_id: row.get(2)?,
                door: door(&row.get::<String>(3)?),
                tenant_id: row.get(4)?,
                workspace_id: row.get(5)?,
                roles: Vec::new(),
                stepped_up_until_ms: row.get(6)?,
                bearer,
                csrf_token: None,
            })
        },
    )?;
    let Some(mut person) = found else { return Ok(None) };
    person.roles = roles(tx, person.id)?.into_iter().filter(|role| role.door() == person.door).collect();
    Ok(Some(person))
}

/// Every role of a person, of both doors.
pub(super) fn roles(tx: &mut Tx, user: UserId) -> Result<Vec<Role>, Problem> {
    tx.all("SELECT role FROM user_roles WHERE user_id = $1 ORDER BY role", &values![user], |row| row.parse(0))
}
