//! `/api/v1/records/{dataset}/{id}/files`: what is attached to a record.

use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::Auth;
use crate::store::{FileInfo, NewFile};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zonglan_dashboards::format::percent_encode;

#[derive(Serialize, ToSchema)]
pub struct FileList {
    #[schema(value_type = Vec<Object>)]
    pub files: Vec<FileInfo>,
    pub may_add: bool,
}

/// List the files of a record
#[utoipa::path(get, path = "/api/v1/records/{dataset}/{id}/files", tag = "records", operation_id = "list_files",
    params(("dataset" = String, Path), ("id" = String, Path)), responses((status = 200, body = FileList), (status = 404, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id)): Path<(String, String)>,
) -> Result<Json<FileList>> {
    let (files, may_add) = app.store.records.files(&auth.principal, &dataset, &id).await?;
    Ok(Json(FileList { files, may_add }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct FileParams {
    /// The file's name; its end must fit the content.
    pub name: String,
    /// One of the kinds that the register declares.
    pub kind: Option<String>,
    pub note: Option<String>,
    pub lang: Option<String>,
}

/// Attach a file (the body) to a record: PDF, DOCX, XLSX, OFD or an image, by its content
#[utoipa::path(post, path = "/api/v1/records/{dataset}/{id}/files", tag = "records", operation_id = "add_file",
    params(("dataset" = String, Path), ("id" = String, Path), FileParams), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Object), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem)))]
pub async fn add(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id)): Path<(String, String)>,
    Params(params): Params<FileParams>,
    body: Bytes,
) -> Result<(StatusCode, Json<FileInfo>)> {
    let kind = params.kind.filter(|k| !k.is_empty());
    let file = NewFile { name: params.name, kind, note: params.note, content: body.to_vec() };
    Ok((StatusCode::CREATED, Json(app.store.records.add_file(&auth.principal, &dataset, &id, file).await?)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OpenParams {
    /// `1`: for showing in the browser, where it can.
    pub inline: Option<String>,
    pub lang: Option<String>,
}

/// Get a file of a record
#[utoipa::path(get, path = "/api/v1/records/{dataset}/{id}/files/{file}", tag = "records", operation_id = "get_file",
    params(("dataset" = String, Path), ("id" = String, Path), ("file" = i64, Path), OpenParams),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id, file)): Path<(String, String, i64)>,
    Params(params): Params<OpenParams>,
) -> Result<Response> {
    let (info, content) = app.store.records.open_file(&auth.principal, &dataset, &id, file).await?;
    let inline = info.preview && params.inline.as_deref() == Some("1");
    let how = if inline { "inline" } else { "attachment" };
    let disposition = format!("{how}; filename*=UTF-8''{}", percent_encode(&info.name));
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, value(&info.media)),
        (header::CONTENT_DISPOSITION, value(&disposition)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, content).into_response())
}

/// Take a file off a record
#[utoipa::path(delete, path = "/api/v1/records/{dataset}/{id}/files/{file}", tag = "records", operation_id = "remove_file",
    params(("dataset" = String, Path), ("id" = String, Path), ("file" = i64, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id, file)): Path<(String, String, i64)>,
) -> Result<StatusCode> {
    app.store.records.remove_file(&auth.principal, &dataset, &id, file).await?;
    Ok(StatusCode::NO_CONTENT)
}
