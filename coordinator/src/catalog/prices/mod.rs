//! What an hour of a SKU costs: a price from a time on, in the currency of this coordinator.
//!
//! Invariants: a price is added and never changed; one for the same time replaces an earlier one; none is set for a
//! time that has passed. What was launched keeps the price of its launch. After a change of the currency the prices
//! of the other one count no longer.

pub mod http;
pub(super) mod store;

use super::store::find_in;
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::{parse_rfc3339, rfc3339};
use crate::base::http::{IfMatch, Page, PageQuery, Problem, StatusCode, answer_in};
use crate::base::store::Tx;
use crate::base::words::words;
use crate::cx::Cx;
use crate::users;
use muster_protocol::ids::{SkuId, UserId};
use muster_protocol::money::Currency;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most minor units an hour: what is more is a slip of the finger, and sums of them fit 64 bits.
const MOST: i64 = 100_000_000_000;
/// How far ahead a price may be set: five years.
const AHEAD_MS: i64 = 5 * 366 * 24 * 3600 * 1000;
/// Most prices to come of one SKU.
const COMING: usize = 100;

/// What an hour costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Price {
    /// ISO 4217.
    #[schema(value_type = String)]
    pub currency: Currency,
    /// Whole minor units (cents) an hour.
    pub minor_per_hour: i64,
}

words! {
    /// Where a price stands in time.
    Standing {
        /// It will count.
        Coming = "coming",
        /// It counts.
        Current = "current",
        /// It counted, or was in another currency.
        Past = "past",
        /// Another one was set for the same time.
        Replaced = "replaced",
    }
}

/// A price that was set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set {
    pub sku_id: SkuId,
    /// The version of the SKU that it made.
    pub version: i64,
    pub price: Price,
    pub effective_ms: i64,
    pub created_by: UserId,
    pub created_ms: i64,
    /// Another one was set for the same time.
    pub replaced: bool,
}

/// A price of a SKU.
#[derive(Debug, Serialize, ToSchema)]
pub struct SkuPrice {
    /// Of what.
    pub sku_id: String,
    /// Whole minor units (cents) an hour.
    pub price_minor_per_hour: i64,
    /// ISO 4217.
    pub currency: &'static str,
    /// From when on.
    pub effective_at: String,
    /// `coming`, `current`, `past`, `replaced` (by another for the same time).
    pub state: &'static str,
    /// When it was set.
    pub created_at: String,
    /// Who set it.
    pub created_by: String,
    /// Their sign-in name.
    pub created_by_name: Option<String>,
    /// The version of the SKU that it made; for the next `If-Match`.
    pub version: i64,
}

/// A price to set.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrice {
    /// Whole minor units (cents) an hour, in the coordinator's currency; 0: free of charge.
    pub price_minor_per_hour: i64,
    /// From when on (RFC 3339); now when left out.
    pub effective_at: Option<String>,
}

impl NewPrice {
    /// From when on, ms since 1970. 422 for what cannot be.
    fn check(&self, now_ms: i64) -> Result<i64, Problem> {
        if !(0..=MOST).contains(&self.price_minor_per_hour) {
            let detail = format!("A price is 0 to {MOST} minor units (cents) an hour.");
            return Err(Problem::invalid("price_minor_per_hour", "out_of_range", &detail));
        }
        let Some(text) = &self.effective_at else { return Ok(now_ms) };
        let wrong = |code, detail: &str| Problem::invalid("effective_at", code, detail);
        let at =
            parse_rfc3339(text).ok_or_else(|| wrong("invalid", "effective_at is a time like 2027-01-01T00:00:00Z."))?;
        if at < now_ms {
            let detail =
                "A price cannot begin in the past: what ran keeps what it cost. Leave effective_at out for now.";
            return Err(wrong("in_the_past", detail));
        }
        if at > now_ms + AHEAD_MS {
            return Err(wrong("out_of_range", "A price begins within the next five years."));
        }
        Ok(at)
    }
}

/// Sets a price, also of a draft and of a retired SKU, which may be offered (again).
///
/// # Errors
/// 404, 409 `too_many`, 412 `stale_version`, 422 for a time that has passed and for what is no price.
pub async fn set(app: &App, cx: &Cx, id: SkuId, version: IfMatch, new: NewPrice) -> Result<SkuPrice, Problem> {
    authz::require(cx, Verb::SkusSetPrice, Scope::Platform)?;
    let (cx, currency) = (cx.clone(), app.config.currency);
    let written = app.store.write(move |tx| {
        let sku = find_in(tx, id)?;
        version.check(sku.version)?;
        let effective_ms = new.check(cx.now_ms)?;
        let coming = store::coming(tx, id, currency, cx.now_ms)?;
        let replaces = coming.iter().any(|set| set.effective_ms == effective_ms);
        if effective_ms > cx.now_ms && !replaces && coming.len() >= COMING {
            let detail = format!("There are {COMING} prices of {} to come already.", sku.name);
            return Err(Problem::conflict("too_many", detail));
        }
        let before = price_in(tx, id, currency, cx.now_ms)?;
        let price = Price { currency, minor_per_hour: new.price_minor_per_hour };
        let set = Set {
            sku_id: id,
            version: sku.version + 1,
            price,
            effective_ms,
            created_by: cx.user_id()?,
            created_ms: cx.now_ms,
            replaced: false,
        };
        store::insert(tx, &set)?;
        let shown = shown_in(tx, set, currency, cx.now_ms)?;
        answer_in(tx, &cx, StatusCode::CREATED, &shown)?;
        let after = serde_json::json!({
            "currency": currency, "minor_per_hour": price.minor_per_hour, "effective_at": shown.effective_at
        });
        let event = Event::new(Verb::SkusSetPrice.as_str(), id).before(&before).after(&after);
        audit::record(tx, &cx, event, shown)
    });
    written.await
}

fn shown_in(tx: &mut Tx, set: Set, currency: Currency, now_ms: i64) -> Result<SkuPrice, Problem> {
    let current = store::current(tx, set.sku_id, currency, now_ms)?;
    let standing = match set {
        set if set.replaced => Standing::Replaced,
        set if set.price.currency != currency => Standing::Past,
        set if set.effective_ms > now_ms => Standing::Coming,
        set if current.is_some_and(|current| current.version == set.version) => Standing::Current,
        _ => Standing::Past,
    };
    Ok(SkuPrice {
        sku_id: set.sku_id.to_string(),
        price_minor_per_hour: set.price.minor_per_hour,
        currency: set.price.currency.code(),
        effective_at: rfc3339(set.effective_ms),
        state: standing.word(),
        created_at: rfc3339(set.created_ms),
        created_by: set.created_by.to_string(),
        created_by_name: users::name_in(tx, set.created_by)?,
        version: set.version,
    })
}

/// What an hour of a SKU costs now; none: it has no price.
///
/// # Errors
/// Only what the store says.
pub fn price_in(tx: &mut Tx, id: SkuId, currency: Currency, now_ms: i64) -> Result<Option<Price>, Problem> {
    Ok(store::current(tx, id, currency, now_ms)?.map(|set| set.price))
}

/// Prices that will count, the next one first.
pub(super) fn coming_in(tx: &mut Tx, id: SkuId, currency: Currency, now_ms: i64) -> Result<Vec<SkuPrice>, Problem> {
    let sets = store::coming(tx, id, currency, now_ms)?;
    sets.into_iter().map(|set| shown_in(tx, set, currency, now_ms)).collect()
}

/// Every price that was set, the last one first.
async fn history(app: &App, cx: &Cx, id: SkuId, paging: PageQuery) -> Result<Page<SkuPrice>, Problem> {
    authz::require(cx, Verb::SkusPrices, Scope::Platform)?;
    let (currency, now_ms) = (app.config.currency, cx.now_ms);
    let found = app.store.read(move |tx| {
        let _ = find_in(tx, id)?;
        let page = Page::cut(store::page(tx, id, &paging)?, &paging, |set| (set.version, String::new()))?;
        let items = page.items.into_iter().map(|set| shown_in(tx, set, currency, now_ms)).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
    });
    found.await
}
