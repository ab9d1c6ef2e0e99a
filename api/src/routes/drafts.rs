//! `/api/v1/drafts/{dataset}/{record}`: what somebody has typed into a form and not yet sent.

use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::{Auth, ValidatedJson};
use crate::store::Draft;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The draft of a form; `record` is a record's id, or `new`
#[utoipa::path(get, path = "/api/v1/drafts/{dataset}/{record}", tag = "records", operation_id = "get_draft",
    params(("dataset" = String, Path), ("record" = String, Path)),
    responses((status = 200, body = Object, description = "`{fields, version, saved_at}`"), (status = 204, description = "There is none"), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, record)): Path<(String, String)>,
) -> Result<Response> {
    Ok(match app.store.records.draft(&auth.principal, &dataset, &record).await? {
        Some((draft, at)) => {
            Json(json!({"fields": draft.fields, "version": draft.version, "saved_at": at})).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Keep a draft: `{"fields": {name: text}, "version"}`; personal fields are left out of it
#[utoipa::path(put, path = "/api/v1/drafts/{dataset}/{record}", tag = "records", operation_id = "keep_draft",
    params(("dataset" = String, Path), ("record" = String, Path)), request_body = Object,
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn put(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, record)): Path<(String, String)>,
    ValidatedJson(draft): ValidatedJson<Draft>,
) -> Result<StatusCode> {
    app.store.records.keep_draft(&auth.principal, &dataset, &record, draft).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Throw a draft away
#[utoipa::path(delete, path = "/api/v1/drafts/{dataset}/{record}", tag = "records", operation_id = "drop_draft",
    params(("dataset" = String, Path), ("record" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, record)): Path<(String, String)>,
) -> Result<StatusCode> {
    app.store.records.drop_draft(&auth.principal, &dataset, &record).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An Excel workbook to fill a register in with, for the import page
#[utoipa::path(get, path = "/api/v1/records/{dataset}/template", tag = "records", operation_id = "get_template", params(("dataset" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn template(State(app): State<App>, auth: Auth, Path(dataset): Path<String>) -> Result<Response> {
    let dataset = crate::extract::readable(&app, &auth, &dataset)?;
    let catalogue = app.catalogue();
    if !catalogue.policy().may_import(&auth.principal, &dataset) {
        return Err(crate::error::Error::forbidden(
            "policy.import",
            format!("您的角色不能导入「{}」", dataset.label.zh),
        ));
    }
    let name = zonglan_dashboards::format::percent_encode(&format!("{}导入模板.xlsx", dataset.label.zh));
    let work = move || zonglan_dashboards::documents::template(&catalogue, &dataset);
    let content = tokio::task::spawn_blocking(work).await.map_err(crate::error::Error::internal)??;
    let headers = [
        ("content-type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet".to_string()),
        ("content-disposition", format!("attachment; filename*=UTF-8''{name}")),
    ];
    Ok((headers, content).into_response())
}
