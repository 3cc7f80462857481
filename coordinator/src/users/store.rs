//! All SQL about people and their sign-ins.

use super::{NewUser, User, model::username_key};
use crate::base::http::{Door, PageQuery, Problem};
use crate::base::store::{Row, Tx};
use crate::cx::{Cx, Person, Role};
use crate::values;
use muster_protocol::ids::{LoginId, TenantId, UserId};

fn door(word: &str) -> Door {
    if word == Door::Operator.as_str() { Door::Operator } else { Door::Console }
}

fn kind(bearer: bool) -> &'static str {
    if bearer { "bearer" } else { "cookie" }
}

/// The person a token belongs to, when the sign-in is alive and the person may sign in.
pub fn person_of_token(tx: &mut Tx, sha256: [u8; 32], bearer: bool, now_ms: i64) -> Result<Option<Person>, Problem> {
    let found = tx.opt(
        "SELECT u.id, u.username, l.id, l.door, u.tenant_id, t.workspace_id, l.stepped_up_until_ms, l.kind \
         FROM logins l JOIN users u ON u.id = l.user_id LEFT JOIN tenants t ON t.id = u.tenant_id \
         WHERE l.access_sha256 = $1 AND l.kind = $2 AND l.ended_ms IS NULL AND l.access_expires_ms > $3 \
         AND u.state = 'active'",
        &values![sha256, kind(bearer), now_ms],
        person,
    )?;
    found.map(|person| with_own_roles(tx, person)).transpose()
}

/// The person of a sign-in that is still alive, whatever its token is by now.
pub fn person_of_login(tx: &mut Tx, login: LoginId, now_ms: i64) -> Result<Option<Person>, Problem> {
    let found = tx.opt(
        "SELECT u.id, u.username, l.id, l.door, u.tenant_id, t.workspace_id, l.stepped_up_until_ms, l.kind \
         FROM logins l JOIN users u ON u.id = l.user_id LEFT JOIN tenants t ON t.id = u.tenant_id \
         WHERE l.id = $1 AND l.ended_ms IS NULL AND l.access_expires_ms > $2 AND u.state = 'active'",
        &values![login, now_ms],
        person,
    )?;
    found.map(|person| with_own_roles(tx, person)).transpose()
}

/// The person of a sign-in that nobody has ended, whether its access token is still good or waits to be refreshed.
pub fn person_of_open_login(tx: &mut Tx, login: LoginId) -> Result<Option<Person>, Problem> {
    let found = tx.opt(
        "SELECT u.id, u.username, l.id, l.door, u.tenant_id, t.workspace_id, l.stepped_up_until_ms, l.kind \
         FROM logins l JOIN users u ON u.id = l.user_id LEFT JOIN tenants t ON t.id = u.tenant_id \
         WHERE l.id = $1 AND l.ended_ms IS NULL AND u.state = 'active'",
        &values![login],
        person,
    )?;
    found.map(|person| with_own_roles(tx, person)).transpose()
}

fn person(row: &Row) -> Result<Person, Problem> {
    Ok(Person {
        id: row.get(0)?,
        username: row.get(1)?,
        login_id: row.get(2)?,
        door: door(&row.get::<String>(3)?),
        tenant_id: row.get(4)?,
        workspace_id: row.get(5)?,
        roles: Vec::new(),
        stepped_up_until_ms: row.get(6)?,
        bearer: row.get::<String>(7)? == kind(true),
        csrf_token: None,
    })
}

/// The person with the roles that count at the door of the sign-in.
fn with_own_roles(tx: &mut Tx, mut person: Person) -> Result<Person, Problem> {
    person.roles = roles(tx, person.id)?.into_iter().filter(|role| role.door() == person.door).collect();
    Ok(person)
}

/// Every role of a person, of both doors.
fn roles(tx: &mut Tx, user: UserId) -> Result<Vec<Role>, Problem> {
    tx.all("SELECT role FROM user_roles WHERE user_id = $1 ORDER BY role", &values![user], |row| row.parse(0))
}

fn read(row: &Row) -> Result<User, Problem> {
    Ok(User {
        id: row.get(0)?,
        username: row.get(1)?,
        email: row.get(2)?,
        tenant_id: row.get(3)?,
        roles: Vec::new(),
        active: row.get::<String>(4)? == "active",
        created_ms: row.get(5)?,
    })
}

fn with_roles(tx: &mut Tx, mut user: User) -> Result<User, Problem> {
    user.roles = roles(tx, user.id)?;
    Ok(user)
}

/// Keeps a new person and their roles. `None` when the name is taken.
pub(super) fn insert(tx: &mut Tx, cx: &Cx, new: &NewUser, tenant: Option<TenantId>) -> Result<Option<User>, Problem> {
    let id: UserId = cx.new_id();
    let made = tx.exec(
        "INSERT INTO users(id, username, username_key, email, password_hash, tenant_id, state, created_ms) \
         VALUES($1, $2, $3, $4, $5, $6, 'active', $7) ON CONFLICT DO NOTHING",
        &values![
            id,
            &new.username,
            username_key(&new.username),
            new.email.clone(),
            &new.password_hash,
            tenant,
            cx.now_ms
        ],
    )?;
    if made == 0 {
        return Ok(None);
    }
    for role in &new.roles {
        tx.exec(
            "INSERT INTO user_roles(user_id, role) VALUES($1, $2) ON CONFLICT DO NOTHING",
            &values![id, role.as_str()],
        )?;
    }
    find_in(tx, id).map(Some)
}

/// A person by id; 404 when there is none.
pub fn find_in(tx: &mut Tx, id: UserId) -> Result<User, Problem> {
    let found = tx.opt(
        "SELECT id, username, email, tenant_id, state, created_ms FROM users WHERE id = $1",
        &values![id],
        read,
    )?;
    with_roles(tx, found.ok_or_else(|| Problem::not_found("user"))?)
}

/// A person by sign-in name, with the hash of the password.
pub(super) fn by_name(tx: &mut Tx, username: &str) -> Result<Option<(User, String)>, Problem> {
    let found = tx.opt(
        "SELECT id, username, email, tenant_id, state, created_ms, password_hash FROM users WHERE username_key = $1",
        &values![username_key(username)],
        |row| Ok((read(row)?, row.get::<String>(6)?)),
    )?;
    found.map(|(user, hash)| Ok((with_roles(tx, user)?, hash))).transpose()
}

/// The hash of a person's password.
pub(super) fn password_hash(tx: &mut Tx, id: UserId) -> Result<String, Problem> {
    tx.one("SELECT password_hash FROM users WHERE id = $1", &values![id], |row| row.get(0))
}

/// Changes the hash of a person's password.
pub(super) fn set_password_hash(tx: &mut Tx, id: UserId, hash: &str) -> Result<(), Problem> {
    tx.exec("UPDATE users SET password_hash = $2 WHERE id = $1", &values![id, hash])?;
    Ok(())
}

/// Whether a person may sign in.
pub(super) fn set_active(tx: &mut Tx, id: UserId, active: bool) -> Result<(), Problem> {
    let state = if active { "active" } else { "disabled" };
    tx.exec("UPDATE users SET state = $2 WHERE id = $1", &values![id, state])?;
    Ok(())
}

/// What a person may be from now on.
pub(super) fn set_roles(tx: &mut Tx, id: UserId, roles: &[Role]) -> Result<(), Problem> {
    tx.exec("DELETE FROM user_roles WHERE user_id = $1", &values![id])?;
    for role in roles {
        tx.exec(
            "INSERT INTO user_roles(user_id, role) VALUES($1, $2) ON CONFLICT DO NOTHING",
            &values![id, role.as_str()],
        )?;
    }
    Ok(())
}

/// Platform administrators who may sign in, beside one person.
pub(super) fn other_admins(tx: &mut Tx, id: UserId) -> Result<i64, Problem> {
    tx.one(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM users u JOIN user_roles r ON r.user_id = u.id \
         WHERE r.role = $2 AND u.state = 'active' AND u.id <> $1",
        &values![id, Role::PlatformAdmin.as_str()],
        |row| row.get(0),
    )
}

/// The sign-in name of a person; none if there is no such person.
pub fn name_in(tx: &mut Tx, id: UserId) -> Result<Option<String>, Problem> {
    tx.opt("SELECT username FROM users WHERE id = $1", &values![id], |row| row.get(0))
}

/// A page of all people, newest first, with one row more than asked for; `part` is one of the name.
pub(super) fn page(tx: &mut Tx, page: &PageQuery, part: Option<&str>) -> Result<Vec<User>, Problem> {
    let (at, id, limit) = page.newest_first()?;
    let users = tx.all(
        "SELECT id, username, email, tenant_id, state, created_ms FROM users \
         WHERE (created_ms, id) < ($1, $2) \
         AND (CAST($4 AS TEXT) IS NULL OR REPLACE(username_key, CAST($4 AS TEXT), '') <> username_key OR id = $4) \
         ORDER BY created_ms DESC, id DESC LIMIT $3",
        &values![at, id, limit, part.map(username_key).filter(|part| !part.is_empty())],
        read,
    )?;
    users.into_iter().map(|user| with_roles(tx, user)).collect()
}

/// A sign-in as its person sees it.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) id: LoginId,
    pub(super) door: Door,
    pub(super) bearer: bool,
    pub(super) user_agent: Option<String>,
    pub(super) source_ip: Option<String>,
    pub(super) created_ms: i64,
    pub(super) refreshed_ms: i64,
}

/// A sign-in to be kept.
#[derive(Debug, Clone)]
pub(super) struct NewLogin {
    pub(super) id: LoginId,
    pub(super) user: UserId,
    pub(super) door: Door,
    pub(super) bearer: bool,
    pub(super) access_sha256: [u8; 32],
    pub(super) access_expires_ms: i64,
    pub(super) refresh: Option<([u8; 32], i64)>,
    pub(super) user_agent: Option<String>,
    /// Set for an API key.
    pub(super) key_name: Option<String>,
}

/// Keeps a sign-in.
pub(super) fn insert_login(tx: &mut Tx, cx: &Cx, new: &NewLogin) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO logins(id, user_id, door, kind, access_sha256, access_expires_ms, user_agent, key_name, \
         source_ip, created_ms, refreshed_ms) VALUES($1, $2, $3, $4, $5, $6, $7, $10, $8, $9, $9)",
        &values![
            new.id,
            new.user,
            new.door.as_str(),
            kind(new.bearer),
            new.access_sha256,
            new.access_expires_ms,
            new.user_agent.clone(),
            cx.source_ip.map(|ip| ip.to_string()),
            cx.now_ms,
            new.key_name.clone(),
        ],
    )?;
    if let Some((sha256, expires_ms)) = new.refresh {
        insert_refresh(tx, new.id, sha256, expires_ms)?;
    }
    Ok(())
}

fn insert_refresh(tx: &mut Tx, login: LoginId, sha256: [u8; 32], expires_ms: i64) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO refresh_tokens(sha256, login_id, expires_ms) VALUES($1, $2, $3)",
        &values![sha256, login, expires_ms],
    )?;
    Ok(())
}

/// What is known of a refresh token.
#[derive(Debug, Clone)]
pub(super) struct Refresh {
    pub(super) login: LoginId,
    pub(super) user: UserId,
    pub(super) door: Door,
    pub(super) expires_ms: i64,
    pub(super) used: bool,
    pub(super) ended: bool,
}

/// A refresh token by its hash.
pub(super) fn refresh(tx: &mut Tx, sha256: [u8; 32]) -> Result<Option<Refresh>, Problem> {
    tx.opt(
        "SELECT r.login_id, l.user_id, l.door, r.expires_ms, r.used_ms, l.ended_ms FROM refresh_tokens r \
         JOIN logins l ON l.id = r.login_id WHERE r.sha256 = $1",
        &values![sha256],
        |row| {
            Ok(Refresh {
                login: row.get(0)?,
                user: row.get(1)?,
                door: door(&row.get::<String>(2)?),
                expires_ms: row.get(3)?,
                used: row.get::<Option<i64>>(4)?.is_some(),
                ended: row.get::<Option<i64>>(5)?.is_some(),
            })
        },
    )
}

/// Marks a refresh token as used and gives its sign-in new tokens.
pub(super) fn rotate(
    tx: &mut Tx,
    now_ms: i64,
    old: [u8; 32],
    login: LoginId,
    access: ([u8; 32], i64),
    refresh: ([u8; 32], i64),
) -> Result<(), Problem> {
    tx.exec("UPDATE refresh_tokens SET used_ms = $2 WHERE sha256 = $1", &values![old, now_ms])?;
    tx.exec(
        "UPDATE logins SET access_sha256 = $2, access_expires_ms = $3, refreshed_ms = $4 WHERE id = $1",
        &values![login, access.0, access.1, now_ms],
    )?;
    insert_refresh(tx, login, refresh.0, refresh.1)
}

/// Ends a sign-in. False when it had ended before.
pub(super) fn end_login(tx: &mut Tx, now_ms: i64, login: LoginId, reason: &str) -> Result<bool, Problem> {
    let ended = tx.exec(
        "UPDATE logins SET ended_ms = $2, end_reason = $3 WHERE id = $1 AND ended_ms IS NULL",
        &values![login, now_ms, reason],
    )?;
    Ok(ended == 1)
}

/// Ends all live sign-ins of a person but one, with their API keys if wanted. Returns how many.
pub(super) fn end_logins(
    tx: &mut Tx,
    now_ms: i64,
    user: UserId,
    reason: &str,
    except: Option<LoginId>,
    keys: bool,
) -> Result<usize, Problem> {
    let except = except.map(|id| id.to_string()).unwrap_or_default();
    let ended = tx.exec(
        "UPDATE logins SET ended_ms = $2, end_reason = $3 \
         WHERE user_id = $1 AND ended_ms IS NULL AND id <> $4 AND (key_name IS NULL OR CAST($5 AS BIGINT) = 1) \
         AND (access_expires_ms > $2 OR EXISTS(SELECT 1 FROM refresh_tokens r \
           WHERE r.login_id = logins.id AND r.used_ms IS NULL AND r.expires_ms > $2))",
        &values![user, now_ms, reason, except, i64::from(keys)],
    )?;
    Ok(usize::try_from(ended).unwrap_or(usize::MAX))
}

/// Opens sensitive verbs for a sign-in until a time.
pub(super) fn step_up(tx: &mut Tx, login: LoginId, until_ms: i64) -> Result<(), Problem> {
    tx.exec("UPDATE logins SET stepped_up_until_ms = $2 WHERE id = $1", &values![login, until_ms])?;
    Ok(())
}

/// The live sign-ins of a person, newest first. One that may still be refreshed is alive.
pub(super) fn logins(tx: &mut Tx, user: UserId, now_ms: i64) -> Result<Vec<Login>, Problem> {
    tx.all(
        "SELECT id, door, kind, user_agent, source_ip, created_ms, refreshed_ms FROM logins l \
         WHERE user_id = $1 AND key_name IS NULL AND ended_ms IS NULL AND (access_expires_ms > $2 OR EXISTS( \
           SELECT 1 FROM refresh_tokens r WHERE r.login_id = l.id AND r.used_ms IS NULL AND r.expires_ms > $2)) \
         ORDER BY created_ms DESC, id DESC LIMIT 200",
        &values![user, now_ms],
        |row| {
            Ok(Login {
                id: row.get(0)?,
                door: door(&row.get::<String>(1)?),
                bearer: row.get::<String>(2)? == "bearer",
                user_agent: row.get(3)?,
                source_ip: row.get(4)?,
                created_ms: row.get(5)?,
                refreshed_ms: row.get(6)?,
            })
        },
    )
}

/// An API key as its person sees it.
#[derive(Debug, Clone)]
pub(super) struct ApiKey {
    pub(super) id: LoginId,
    pub(super) name: String,
    pub(super) created_ms: i64,
    pub(super) expires_ms: i64,
}

/// The API keys of a person at a door that are still good, newest first.
pub(super) fn api_keys(tx: &mut Tx, user: UserId, door: Door, now_ms: i64) -> Result<Vec<ApiKey>, Problem> {
    tx.all(
        "SELECT id, key_name, created_ms, access_expires_ms FROM logins \
         WHERE user_id = $1 AND door = $2 AND key_name IS NOT NULL AND ended_ms IS NULL AND access_expires_ms > $3 \
         ORDER BY created_ms DESC, id DESC LIMIT 200",
        &values![user, door.as_str(), now_ms],
        |row| Ok(ApiKey { id: row.get(0)?, name: row.get(1)?, created_ms: row.get(2)?, expires_ms: row.get(3)? }),
    )
}

/// Forgets refresh tokens and sign-ins that have been over for `kept_ms`.
pub(super) fn forget_old(tx: &mut Tx, before_ms: i64) -> Result<u64, Problem> {
    tx.exec("DELETE FROM refresh_tokens WHERE expires_ms < $1", &values![before_ms])?;
    tx.exec(
        "DELETE FROM logins WHERE access_expires_ms < $1 \
         AND NOT EXISTS(SELECT 1 FROM refresh_tokens r WHERE r.login_id = logins.id)",
        &values![before_ms],
    )
}

/// Ends every sign-in; for a restore.
pub fn end_all_in(tx: &mut Tx, now_ms: i64, reason: &str) -> Result<u64, Problem> {
    tx.exec("UPDATE logins SET ended_ms = $1, end_reason = $2 WHERE ended_ms IS NULL", &values![now_ms, reason])
}
