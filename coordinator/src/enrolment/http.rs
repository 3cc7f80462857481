//! Routes of enrolment, at the operator door.

use super::verbs::{self, CertificateItem, Minted, NewToken, TokenItem};
use crate::app::App;
use crate::base::http::{Caller, Json, Keyed, NoBody, Page, PageQuery, Path, Problem, Query, idempotent};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use muster_protocol::ids::{BootstrapTokenId, NodeId};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's routes.
pub fn operator_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
        .routes(routes!(certificates))
        .routes(routes!(revoke_node))
}

/// Bootstrap tokens, newest first, without their secrets.
#[utoipa::path(get, path = "/api/v1/admin/bootstrap-tokens", operation_id = "tokens.list", tag = "enrolment",
    params(PageQuery), responses((status = 200, body = Page<TokenItem>)))]
async fn list(
    State(app): State<App>,
    Caller(cx): Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<TokenItem>>, Problem> {
    verbs::list(&app, &cx, query).await.map(Json)
}

/// Mints a bootstrap token. The secret is shown in this answer alone; the same key again gives the token's id
/// without it, to be revoked and minted anew.
#[utoipa::path(post, path = "/api/v1/admin/bootstrap-tokens", operation_id = "tokens.create", tag = "enrolment",
    params(("Idempotency-Key" = String, Header)), request_body = NewToken,
    responses((status = 201, body = Minted)))]
async fn create(State(app): State<App>, Caller(cx): Caller, keyed: Keyed<NewToken>) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::mint(&act, &cx, keyed.body).await.map(|minted| (StatusCode::CREATED, minted))
    })
    .await
}

/// Takes a bootstrap token back.
#[utoipa::path(delete, path = "/api/v1/admin/bootstrap-tokens/{token_id}", operation_id = "tokens.revoke",
    tag = "enrolment", params(("token_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 204)))]
async fn revoke(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<BootstrapTokenId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::revoke_token(&act, &cx, id).await.map(|()| (StatusCode::NO_CONTENT, ()))
    })
    .await
}

/// The newest certificates of a node.
#[utoipa::path(get, path = "/api/v1/admin/nodes/{node_id}/certificates", operation_id = "nodes.certificates",
    tag = "enrolment", params(("node_id" = String, Path)), responses((status = 200, body = Page<CertificateItem>)))]
async fn certificates(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
) -> Result<Json<Page<CertificateItem>>, Problem> {
    verbs::certificates(&app, &cx, id).await.map(Json)
}

/// Makes a node's key and certificates worthless and closes its link.
#[utoipa::path(post, path = "/api/v1/admin/nodes/{node_id}/revoke", operation_id = "nodes.revoke",
    tag = "enrolment", params(("node_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200)))]
async fn revoke_node(
    State(app): State<App>,
    Caller(cx): Caller,
    Path(id): Path<NodeId>,
    keyed: Keyed<NoBody>,
) -> Result<Response, Problem> {
    let act = app.clone();
    idempotent(&app, &cx, keyed.request, move |cx| async move {
        verbs::revoke_node(&act, &cx, id).await.map(|()| (StatusCode::OK, serde_json::json!({})))
    })
    .await
}
