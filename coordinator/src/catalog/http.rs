//! Routes of the catalog: SKUs for users and operators, and the OS images that run on them.

use super::model::{Kind, Sku, State as SkuState};
use super::prices::{Price, SkuPrice};
use super::verbs::{self, Edit};
use super::{image, prices, store};
use crate::app::App;
use crate::base::authz::{self, Scope, Verb};
use crate::base::clock::rfc3339;
use crate::base::http::{Caller, IfMatch, Json, Page, PageQuery, Path, Problem, ProblemBody, Query, with_etag};
use crate::cx::Cx;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::desired::Size;
use muster_protocol::ids::SkuId;
use muster_protocol::money::Currency;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// A SKU with how much of it is free.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SkuView {
    /// `ku_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// `draft`, `active`, `retired`.
    pub state: &'static str,
    /// `cpu`, `gpu`, `mig`, `node`.
    pub kind: &'static str,
    /// Part of the model's name that a GPU must have; null: any, or none.
    pub gpu_model: Option<String>,
    /// MIG profile.
    pub profile: Option<String>,
    /// GPUs or placements of one allocation.
    pub gpus: u32,
    /// Thousandths of a CPU.
    pub cpu_milli: u64,
    /// Memory of a cell.
    pub memory_bytes: u64,
    /// Size of its home.
    pub disk_bytes: u64,
    /// Processes and threads of a cell.
    pub pids: u64,
    /// Labels the node must carry.
    pub labels: BTreeMap<String, String>,
    /// How many allocations of it fit now.
    pub free: usize,
    /// How many would fit if nothing else ran.
    pub total: usize,
    /// `available` or `unavailable`.
    pub availability: &'static str,
    /// What an hour costs now, in whole minor units (cents); null: no price is set.
    pub price_minor_per_hour: Option<i64>,
    /// What prices are in, ISO 4217.
    pub currency: &'static str,
    /// Counts edits; for `If-Match`.
    pub version: i64,
    /// Since when.
    pub created_at: String,
}

/// A SKU as operators see it alone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SkuDetail {
    /// The SKU.
    #[serde(flatten)]
    pub sku: SkuView,
    /// Prices that will count, the next one first.
    pub coming_prices: Vec<SkuPrice>,
}

/// A SKU to make. Sizes left out are those of the demo: 1 CPU, 1 GiB, 2 GiB of disk, 512 processes.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewSku {
    /// Unique.
    pub name: String,
    /// `cpu`, `gpu`, `mig`, `node`.
    pub kind: String,
    /// Part of NVML's name, in any case.
    pub gpu_model: Option<String>,
    /// MIG profile, for kind `mig`.
    pub profile: Option<String>,
    /// GPUs or placements of one allocation; 1 for `gpu` and `mig` when left out.
    pub gpus: Option<u32>,
    /// Thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// Memory of a cell.
    pub memory_bytes: Option<u64>,
    /// Size of its home.
    pub disk_bytes: Option<u64>,
    /// Processes and threads of a cell.
    pub pids: Option<u64>,
    /// Labels the node must carry.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a SKU's rule finds on the fleet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Matches {
    /// How many allocations fit now.
    pub free: usize,
    /// How many would fit if nothing ran.
    pub total: usize,
    /// `no_matches` when nothing of the kind is approved anywhere.
    pub warnings: Vec<&'static str>,
}

/// An OS image.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImageView {
    /// `im_…`
    pub id: String,
    /// A word.
    pub name: &'static str,
    /// `host` or `rootfs`.
    pub kind: &'static str,
    /// For people.
    pub description: &'static str,
}

/// Which images.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ImageQuery {
    /// Id or name of a SKU: only images that run on it.
    pub sku: Option<String>,
}

impl NewSku {
    fn into_sku(self, cx: &Cx) -> Result<Sku, Problem> {
        let kind: Kind = self
            .kind
            .parse()
            .map_err(|()| Problem::invalid("kind", "invalid", "kind is one of cpu, gpu, mig, node."))?;
        let gpus = self.gpus.unwrap_or_else(|| u32::from(matches!(kind, Kind::Gpu | Kind::Mig)));
        Ok(Sku {
            id: cx.new_id(),
            name: self.name,
            state: SkuState::Draft,
            kind,
            gpu_model: self.gpu_model.map(|model| model.trim().to_owned()),
            profile: self.profile,
            gpus,
            size: Size {
                cpu_milli: self.cpu_milli.unwrap_or(1000),
                memory_bytes: self.memory_bytes.unwrap_or(1 << 30),
                disk_bytes: self.disk_bytes.unwrap_or(2 << 30),
                pids: self.pids.unwrap_or(512),
            },
            labels: self.labels,
            version: 1,
            created_ms: cx.now_ms,
        })
    }
}

fn view(sku: Sku, price: Option<Price>, currency: Currency, (free, total): (usize, usize)) -> SkuView {
    SkuView {
        id: sku.id.to_string(),
        name: sku.name,
        state: sku.state.word(),
        kind: sku.kind.word(),
        gpu_model: sku.gpu_model,
        profile: sku.profile,
        gpus: sku.gpus,
        cpu_milli: sku.size.cpu_milli,
        memory_bytes: sku.size.memory_bytes,
        disk_bytes: sku.size.disk_bytes,
        pids: sku.size.pids,
        labels: sku.labels,
        free,
        total,
        availability: if free > 0 { "available" } else { "unavailable" },
        price_minor_per_hour: price.map(|price| price.minor_per_hour),
        currency: currency.code(),
        version: sku.version,
        created_at: rfc3339(sku.created_ms),
    }
}

async fn views(app: &App, cx: &Cx, skus: Vec<Sku>) -> Result<Vec<SkuView>, Problem> {
    let found = app.scheduler.capacity(app, &skus).await?;
    let (currency, now_ms) = (app.config.currency, cx.now_ms);
    let priced = app.store.read(move |tx| {
        let priced = |sku: &Sku| Ok((sku.clone(), prices::price_in(tx, sku.id, currency, now_ms)?));
        skus.iter().map(priced).collect::<Result<Vec<_>, Problem>>()
    });
    let priced = priced.await?;
    Ok(priced.into_iter().zip(found).map(|((sku, price), found)| view(sku, price, currency, found)).collect())
}

async fn one(app: &App, cx: &Cx, sku: Sku) -> Result<Json<SkuView>, Problem> {
    views(app, cx, vec![sku]).await?.pop().map(Json).ok_or_else(|| Problem::internal("a SKU without a view"))
}

async fn page(app: &App, cx: &Cx, paging: PageQuery, all: bool) -> Result<Json<Page<SkuView>>, Problem> {
    let bound = paging.oldest_first()?;
    let rows = app.store.read(move |tx| store::list(tx, all, bound.clone())).await?;
    let page = Page::cut(rows, &paging, |sku| (sku.created_ms, sku.id.to_string()))?;
    let items = views(app, cx, page.items).await?;
    Ok(Json(Page { items, next_cursor: page.next_cursor, total: page.total }))
}

/// What is sold, with what is free.
#[utoipa::path(get, path = "/api/v1/skus", operation_id = "skus.list", tag = "catalog",
    params(PageQuery), responses((status = 200, body = Page<SkuView>)))]
async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(paging): Query<PageQuery>,
) -> Result<Json<Page<SkuView>>, Problem> {
    authz::require(&cx, Verb::SkusList, Scope::Platform)?;
    page(&app, &cx, paging, false).await
}

/// One SKU that is sold.
#[utoipa::path(get, path = "/api/v1/skus/{id}", operation_id = "skus.show", tag = "catalog",
    params(("id" = String, Path)), responses((status = 200, body = SkuView)))]
async fn show(State(app): State<App>, Caller(cx): Caller, Path(id): Path<SkuId>) -> Result<Json<SkuView>, Problem> {
    authz::require(&cx, Verb::SkusShow, Scope::Platform)?;
    let sku = app.store.read(move |tx| store::find_in(tx, id)).await?;
    if sku.state == SkuState::Draft {
        return Err(Problem::not_found("SKU"));
    }
    one(&app, &cx, sku).await
}

/// Every SKU, drafts and retired ones too.
#[utoipa::path(get, path = "/api/v1/admin/skus", operation_id = "skus.list", tag = "catalog",
    params(PageQuery), responses((status = 200, body = Page<SkuView>)))]
async fn admin_list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(paging): Query<PageQuery>,
) -> Result<Json<Page<SkuView>>, Problem> {
    authz::require(&cx, Verb::SkusList, Scope::Platform)?;
    page(&app, &cx, paging, true).await
}

/// One SKU in any state.
#[utoipa::path(get, path = "/api/v1/admin/skus/{id}", operation_id = "skus.show", tag = "catalog",
    params(("id" = String, Path)), responses((status = 200, body = SkuDetail)))]
async fn admin_show(State(app): State<App>, Caller(cx): Caller, Path(id): Path<SkuId>) -> Result<Response, Problem> {
    authz::require(&cx, Verb::SkusShow, Scope::Platform)?;
    let (currency, now_ms) = (app.config.currency, cx.now_ms);
    let found = app.store.read(move |tx| Ok((store::find_in(tx, id)?, prices::coming_in(tx, id, currency, now_ms)?)));
    let (sku, coming_prices) = found.await?;
    let (version, Json(sku)) = (sku.version, one(&app, &cx, sku).await?);
    Ok(with_etag(version, Json(SkuDetail { sku, coming_prices })))
}

/// Makes a SKU, as a draft.
#[utoipa::path(post, path = "/api/v1/admin/skus", operation_id = "skus.create", tag = "catalog",
    request_body = NewSku, responses((status = 201, body = SkuView), (status = 409, body = ProblemBody)))]
async fn create(
    State(app): State<App>,
    Caller(cx): Caller,
    Json(new): Json<NewSku>,
) -> Result<(StatusCode, Json<SkuView>), Problem> {
    let sku = verbs::create(&app, &cx, new.into_sku(&cx)?).await?;
    Ok((StatusCode::CREATED, one(&app, &cx, sku).await?))
}

/// Changes a draft. Send the version you read in `If-Match`.
#[utoipa::path(patch, path = "/api/v1/admin/skus/{id}", operation_id = "skus.update", tag = "catalog",
    params(("id" = String, Path)), request_body = Edit,
    responses((status = 200, body = SkuView), (status = 409, body = ProblemBody), (status = 412, body = ProblemBody)))]
async fn update(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<SkuId>,
    version: IfMatch,
    Json(edit): Json<Edit>,
) -> Result<Response, Problem> {
    let sku = verbs::update(&app, &cx, id, version, edit).await?;
    Ok(with_etag(sku.version, one(&app, &cx, sku).await?))
}

/// Offers a SKU, also one that was retired.
#[utoipa::path(post, path = "/api/v1/admin/skus/{id}/activate", operation_id = "skus.activate", tag = "catalog",
    params(("id" = String, Path)), responses((status = 200, body = SkuView)))]
async fn activate(State(app): State<App>, Caller(cx): Caller, Path(id): Path<SkuId>) -> Result<Json<SkuView>, Problem> {
    let sku = verbs::set_state(&app, &cx, id, SkuState::Active).await?;
    one(&app, &cx, sku).await
}

/// Takes a SKU off sale. What runs on it runs on.
#[utoipa::path(post, path = "/api/v1/admin/skus/{id}/retire", operation_id = "skus.retire", tag = "catalog",
    params(("id" = String, Path)), responses((status = 200, body = SkuView)))]
async fn retire(State(app): State<App>, Caller(cx): Caller, Path(id): Path<SkuId>) -> Result<Json<SkuView>, Problem> {
    let sku = verbs::set_state(&app, &cx, id, SkuState::Retired).await?;
    one(&app, &cx, sku).await
}

/// What the rule of a SKU finds on the fleet now.
#[utoipa::path(get, path = "/api/v1/admin/skus/{id}/matches", operation_id = "skus.matches", tag = "catalog",
    params(("id" = String, Path)), responses((status = 200, body = Matches)))]
async fn matches(State(app): State<App>, Caller(cx): Caller, Path(id): Path<SkuId>) -> Result<Json<Matches>, Problem> {
    authz::require(&cx, Verb::SkusMatches, Scope::Platform)?;
    let sku = app.store.read(move |tx| store::find_in(tx, id)).await?;
    let found = app.scheduler.capacity(&app, &[sku]).await?;
    let (free, total) = found.first().copied().unwrap_or_default();
    let warnings = if total == 0 { vec!["no_matches"] } else { Vec::new() };
    Ok(Json(Matches { free, total, warnings }))
}

/// OS images, or those that run on one SKU.
#[utoipa::path(get, path = "/api/v1/os-images", operation_id = "images.list", tag = "catalog",
    params(ImageQuery), responses((status = 200, body = Page<ImageView>)))]
async fn images(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<ImageQuery>,
) -> Result<Json<Page<ImageView>>, Problem> {
    authz::require(&cx, Verb::ImagesList, Scope::Platform)?;
    if let Some(text) = query.sku {
        let sku = app.store.read(move |tx| store::named_in(tx, &text)).await?;
        if sku.is_none_or(|sku| sku.state == SkuState::Draft) {
            return Err(Problem::not_found("SKU"));
        }
    }
    let host = ImageView {
        id: image::HOST_ID.to_string(),
        name: "host",
        kind: "host",
        description: "The node's own system, read-only, with its private parts hidden.",
    };
    Ok(Json(Page::whole(vec![host])))
}

/// Routes of the console door.
#[must_use]
pub fn console_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(images))
}

/// Routes of the operator door.
#[must_use]
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(admin_list, create))
        .routes(routes!(admin_show, update))
        .routes(routes!(activate))
        .routes(routes!(retire))
        .routes(routes!(matches))
}
