//! `/api/v1/search/saved` and `/history`: searches that people keep, and their own of the past.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::searching;
use crate::store::{AuditEvent, Look, SavedSearch};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use zonglan_catalog::SearchRequest;

/// List one's kept searches, newest first
#[utoipa::path(get, path = "/api/v1/search/saved", tag = "search", operation_id = "list_saved_searches", responses((status = 200, body = Vec<Object>)))]
pub async fn list(State(app): State<App>, auth: Auth) -> Result<Json<Vec<SavedSearch>>> {
    Ok(Json(app.store.searches.saved(Some(&auth.principal.user)).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveIn {
    pub name: String,
    #[schema(value_type = super::schemas::SearchRequest)]
    pub request: SearchRequest,
    /// Tell of new hits.
    #[serde(default)]
    pub alert: bool,
}

/// Keep a search; one for a person is refused unless its cases are assigned to the asker
#[utoipa::path(post, path = "/api/v1/search/saved", tag = "search", operation_id = "save_search", request_body = SaveIn,
    responses((status = 201, body = Object), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn save(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<SaveIn>,
) -> Result<(StatusCode, Json<SavedSearch>)> {
    let name: String = body.name.trim().chars().take(60).collect();
    if name.is_empty() {
        return Err(Error::user("search.saved_name", "请给保存的检索起个名字 (give it a name)"));
    }
    let mut request = body.request;
    (request.offset, request.explain) = (0, false);
    let run = searching::run(&app, &auth.principal, &request).await?;
    let expires_at = searching::permit(&app, &auth.principal, &request, &run)?;
    let event = AuditEvent::new(&auth.principal.user, "search_saved")
        .dataset(&request.dataset)
        .purpose(auth.principal.purpose.clone())
        .detail(serde_json::json!({"name": name, "query": request.query, "filters": request.filters.to_json(), "alert": body.alert}));
    app.store.log.audit(event).await?;
    let mut saved = SavedSearch {
        id: 0,
        user: auth.principal.user.clone(),
        name,
        request,
        alert: body.alert,
        known: run.ids,
        total: run.total,
        note: None,
        expires_at,
        created_at: app.clock.now(),
        run_at: app.clock.now(),
    };
    saved.id = app.store.searches.save(saved.clone()).await?;
    Ok((StatusCode::CREATED, Json(saved)))
}

/// Forget a kept search
#[utoipa::path(delete, path = "/api/v1/search/saved/{id}", tag = "search", operation_id = "forget_search", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn forget(State(app): State<App>, auth: Auth, Path(id): Path<i64>) -> Result<StatusCode> {
    app.store.searches.forget(&auth.principal.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List one's own searches of the past, newest first
#[utoipa::path(get, path = "/api/v1/search/history", tag = "search", operation_id = "list_searches", responses((status = 200, body = Vec<Object>)))]
pub async fn history(State(app): State<App>, auth: Auth) -> Result<Json<Vec<Look>>> {
    app.store.log.flush_audit().await;
    Ok(Json(app.store.searches.own(&auth.principal.user, "search", 100).await?))
}
