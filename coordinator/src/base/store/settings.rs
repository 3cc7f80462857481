//! Facts about this installation, by name.

use super::Tx;
use crate::base::http::Problem;
use crate::values;

/// A setting, if it was ever set.
pub fn get_in(tx: &mut Tx, name: &str) -> Result<Option<String>, Problem> {
    tx.opt("SELECT value FROM settings WHERE name = $1", &values![name], |row| row.get(0))
}

/// Sets a setting.
pub fn set_in(tx: &mut Tx, name: &str, value: &str) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO settings(name, value) VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
        &values![name, value],
    )?;
    Ok(())
}
