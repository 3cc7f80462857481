//! What a launch costs: the price of its moment, kept to its end.

use super::World;
use crate::allocations::{evaluate, launch};
use crate::base::clock::rfc3339;
use crate::base::http::Problem;
use crate::base::http::{Door, IfMatch};
use crate::catalog::prices::{self, NewPrice, SkuPrice};
use crate::catalog::{self, Price};
use crate::cx::{Actor, Cx, Role};
use muster_protocol::money::Currency;

const HOUR: i64 = 3_600_000;

fn usd(minor_per_hour: i64) -> Option<Price> {
    Some(Price { currency: Currency::USD, minor_per_hour })
}

impl World {
    /// The price of the SKU h100, set by somebody who may.
    async fn price(&self, minor: i64, effective_ms: Option<i64>) -> Result<SkuPrice, Problem> {
        let mut staff = self.user.clone();
        if let Actor::Person(person) = &mut staff.actor {
            (person.door, person.roles) = (Door::Operator, vec![Role::OpOps]);
        }
        let named = self.app.store.read(|tx| catalog::named_in(tx, "h100")).await.expect("read").expect("a SKU");
        let new = NewPrice { price_minor_per_hour: minor, effective_at: effective_ms.map(rfc3339) };
        prices::set(&self.app, &staff, named.id, IfMatch(named.version), new).await
    }

    /// Launches one so much later, and gives what it costs.
    async fn costs(&self, later_ms: i64) -> (muster_protocol::ids::AllocationId, Option<Price>) {
        let cx = Cx { now_ms: self.user.now_ms + later_ms, ..self.user.clone() };
        let estimate = launch::precheck(&self.app, &cx, self.request("h100")).await.expect("a look").estimate;
        let launched = launch::launch(&self.app, &cx, self.request("h100"), None).await.expect("a launch");
        assert_eq!(launched.estimate, estimate);
        let id = launched.allocation_ids[0];
        let price = self.row(id).await.price;
        assert_eq!(estimate.map(|estimate| estimate.hourly_minor), price.map(|price| price.minor_per_hour));
        (id, price)
    }
}

#[tokio::test]
async fn an_allocation_keeps_the_price_of_its_launch() {
    let world = World::new().await;
    world.node(4).await;
    let now_ms = world.user.now_ms;
    let (free, price) = world.costs(0).await;
    assert_eq!(price, None);
    assert_eq!(world.price(249, None).await.expect("a price").state, "current");
    assert_eq!(world.price(999, Some(now_ms + HOUR)).await.expect("a price").state, "coming");
    assert_eq!(world.price(300, Some(now_ms + HOUR)).await.expect("a price").state, "coming");
    let (first, price) = world.costs(HOUR - 1).await;
    assert_eq!(price, usd(249));
    let (second, price) = world.costs(HOUR).await;
    assert_eq!(price, usd(300), "the last one that was set for a time counts");
    assert_eq!(world.price(1, None).await.expect("a price").state, "current");
    for (id, price) in [(free, None), (first, usd(249)), (second, usd(300))] {
        assert_eq!(world.row(id).await.price, price);
    }
}

#[tokio::test]
async fn a_price_counts_in_the_currency_it_was_set_in() {
    let world = World::new().await;
    world.price(249, None).await.expect("a price");
    for (code, price) in [("USD", usd(249)), ("EUR", None)] {
        let (cx, request) = (world.user.clone(), world.request("h100"));
        let currency: Currency = code.parse().expect("a currency");
        let found = world.app.store.read(move |tx| evaluate::evaluate_in(tx, &cx, currency, &request)).await;
        assert_eq!(found.expect("an evaluation").price, price);
    }
}

#[tokio::test]
async fn a_price_is_neither_of_the_past_nor_without_bound() {
    let world = World::new().await;
    let now_ms = world.user.now_ms;
    for (minor, at) in [(-1, None), (i64::MAX, None), (1, Some(now_ms - 1)), (1, Some(now_ms + 50_000 * HOUR))] {
        let refused = world.price(minor, at).await.expect_err("no price");
        assert_eq!(refused.code(), "validation_failed", "{minor} {at:?}");
    }
    for n in 1..=100 {
        world.price(n, Some(now_ms + n * HOUR)).await.expect("a price");
    }
    let refused = world.price(1, Some(now_ms + 101 * HOUR)).await.expect_err("too many");
    assert_eq!(refused.code(), "too_many");
    assert_eq!(world.price(7, Some(now_ms + HOUR)).await.expect("in place of another").state, "coming");
    assert_eq!(world.price(8, None).await.expect("for now").state, "current");
}
