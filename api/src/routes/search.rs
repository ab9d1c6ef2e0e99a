//! `/api/v1/search`: full-text search.

use super::schemas;
use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::time::Instant;
use zonglan_catalog::SearchRequest;

/// Search the full texts of a dataset
#[utoipa::path(post, path = "/api/v1/search", tag = "search", operation_id = "search", request_body = schemas::SearchRequest,
    responses((status = 200, body = schemas::SearchPage), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn run(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(request): ValidatedJson<SearchRequest>,
) -> Result<Response> {
    let start = Instant::now();
    let bound = app.bind_search(&auth.principal, &request)?;
    let page = app.search(&bound).await?;
    let mut response = Json(page).into_response();
    response.headers_mut().insert("server-timing", super::query::timing(false, start.elapsed()));
    Ok(response)
}
