//! All SQL of the prices of SKUs.

use super::{COMING, Price, Set};
use crate::base::http::{PageQuery, Problem};
use crate::base::store::{Row, Tx};
use crate::values;
use muster_protocol::ids::SkuId;
use muster_protocol::money::Currency;

/// Those that were set for the same time after it.
macro_rules! later {
    () => {
        "FROM sku_prices l WHERE l.sku_id = p.sku_id AND l.currency = p.currency \
         AND l.effective_ms = p.effective_ms AND l.version > p.version"
    };
}

/// `SELECT` of all columns with a tail, as one static text.
macro_rules! select {
    ($($tail:expr),*) => {
        concat!(
            "SELECT sku_id, version, effective_ms, created_by, created_ms, (SELECT COUNT(*) ", later!(), "), \
             currency, minor_per_hour FROM sku_prices p ",
            $($tail),*
        )
    };
}

/// What an hour costs from two columns, currency and minor units, that are NULL together.
pub fn price_at(row: &Row, at: usize) -> Result<Option<Price>, Problem> {
    let currency: Option<String> = row.get(at)?;
    let read = |text: String| text.parse::<Currency>().map_err(Problem::internal);
    let minor: Option<i64> = row.get(at + 1)?;
    Ok(currency.map(read).transpose()?.zip(minor).map(|(currency, minor_per_hour)| Price { currency, minor_per_hour }))
}

fn read(row: &Row) -> Result<Set, Problem> {
    Ok(Set {
        sku_id: row.get(0)?,
        version: row.get(1)?,
        effective_ms: row.get(2)?,
        created_by: row.get(3)?,
        created_ms: row.get(4)?,
        replaced: row.get(5)?,
        price: price_at(row, 6)?.ok_or_else(|| Problem::internal("a price without an amount"))?,
    })
}

/// Adds a price; a version of its SKU on.
pub(super) fn insert(tx: &mut Tx, set: &Set) -> Result<(), Problem> {
    tx.exec(
        "INSERT INTO sku_prices(sku_id, version, currency, minor_per_hour, effective_ms, created_by, created_ms) \
         VALUES($1, $2, $3, $4, $5, $6, $7)",
        &values![
            set.sku_id,
            set.version,
            set.price.currency.code(),
            set.price.minor_per_hour,
            set.effective_ms,
            set.created_by,
            set.created_ms,
        ],
    )?;
    tx.exec(
        "UPDATE skus SET version = $2, updated_ms = $3 WHERE id = $1",
        &values![set.sku_id, set.version, set.created_ms],
    )?;
    Ok(())
}

/// The one that counts at a time.
pub(super) fn current(tx: &mut Tx, id: SkuId, currency: Currency, now_ms: i64) -> Result<Option<Set>, Problem> {
    tx.opt(
        select!(
            "WHERE sku_id = $1 AND currency = $2 AND effective_ms <= $3 ORDER BY effective_ms DESC, version DESC LIMIT 1"
        ),
        &values![id, currency.code(), now_ms],
        read,
    )
}

/// Those that will count after a time, the next one first.
pub(super) fn coming(tx: &mut Tx, id: SkuId, currency: Currency, now_ms: i64) -> Result<Vec<Set>, Problem> {
    tx.all(
        select!(
            "WHERE sku_id = $1 AND currency = $2 AND effective_ms > $3 AND NOT EXISTS (SELECT 1 ",
            later!(),
            ") ORDER BY effective_ms, version LIMIT $4"
        ),
        &values![id, currency.code(), now_ms, COMING],
        read,
    )
}

/// A page of all that were set, the last one first, with one row more than asked for.
pub(super) fn page(tx: &mut Tx, id: SkuId, paging: &PageQuery) -> Result<Vec<Set>, Problem> {
    let (before, _, limit) = paging.newest_first()?;
    tx.all(
        select!("WHERE sku_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3"),
        &values![id, before, limit],
        read,
    )
}
