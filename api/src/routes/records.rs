//! `/api/v1/records/{dataset}`: registers kept by hand. Policy, masks, history and the change log
//! are the records store's; here are only paths and bodies.

use crate::app::App;
use crate::error::{Error, Problem, Result, status_of};
use crate::extract::{Auth, ValidatedJson};
use crate::store::{
    ActionInput, HistoryEntry, ListRequest, Offered, Record, RecordPage, StateFilter, Total, conflict_version,
};
use axum::Json;
use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use zonglan_catalog::Value;
use zonglan_catalog::filter::Filter;

/// A record as clients see it.
#[derive(Serialize, ToSchema)]
pub struct RecordOut {
    pub id: String,
    pub version: u64,
    /// `open` or `closed`.
    pub state: String,
    #[schema(value_type = Object)]
    pub fields: BTreeMap<String, Value>,
    /// Fields that are shown masked.
    pub masked: Vec<String>,
    /// Instants with zone.
    pub created_at: String,
    pub updated_at: String,
    pub created_by: String,
    pub updated_by: String,
    /// What the asker may do with it now; in answers about one record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub actions: Vec<Offered>,
    /// Whether its stage lets fields be changed.
    pub editable: bool,
}

impl From<Record> for RecordOut {
    fn from(record: Record) -> Self {
        let state =
            serde_json::to_value(record.state).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default();
        let at = zonglan_catalog::value::instant_text;
        Self {
            id: record.id,
            version: record.version,
            state,
            fields: record.fields,
            masked: record.masked,
            created_at: at(record.created_at),
            updated_at: at(record.updated_at),
            created_by: record.created_by,
            updated_by: record.updated_by,
            actions: record.actions,
            editable: record.editable,
        }
    }
}

/// A record with its version as ETag.
fn with_etag(status: StatusCode, record: Record) -> Response {
    let etag = HeaderValue::from_str(&format!("\"{}\"", record.version)).unwrap_or(HeaderValue::from_static("\"\""));
    (status, [(header::ETAG, etag)], Json(RecordOut::from(record))).into_response()
}

/// The version that `If-Match` names.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim().trim_start_matches("W/").trim_matches('"');
    text.parse()
        .map(Some)
        .map_err(|_| Error::user("records.if_match", "If-Match 须为记录的版本号，如 \"3\" (the record's version)"))
}

/// 409 with the version in force, so that the page can show both.
fn conflict(error: zonglan_catalog::Error) -> Response {
    let version = conflict_version(&error);
    let problem = Error::from(error);
    let status = problem.status();
    let mut response = problem.into_response();
    if let (Some(version), true) = (version, status == status_of(zonglan_catalog::ErrorClass::Conflict))
        && let Ok(value) = HeaderValue::from_str(&format!("\"{version}\""))
    {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// The filter tree of the logical query, as JSON.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// Field names separated by commas, `-` before descending ones.
    pub sort: Option<String>,
    pub offset: Option<u64>,
    /// At most 500; 50 unless given.
    pub limit: Option<u64>,
    /// `cursor` of the page before.
    pub cursor: Option<String>,
    /// `open` (default), `closed` or `all`.
    pub state: Option<String>,
    /// Words in the title or key.
    pub q: Option<String>,
    pub lang: Option<String>,
}

impl ListParams {
    fn request(self) -> Result<ListRequest> {
        let bad = |what: &str, error: &dyn std::fmt::Display| {
            Error::user("records.list", format!("参数 {what} 有误: {error}"))
        };
        let filter = match self.filter.as_deref().filter(|t| !t.trim().is_empty()) {
            Some(text) => serde_json::from_str::<Filter>(text).map_err(|e| bad("where", &e))?,
            None => Filter::True,
        };
        let state = match self.state.as_deref().filter(|t| !t.is_empty()) {
            Some(text) => {
                serde_json::from_value(serde_json::Value::String(text.into())).map_err(|e| bad("state", &e))?
            }
            None => StateFilter::default(),
        };
        Ok(ListRequest {
            filter,
            sort: self
                .sort
                .iter()
                .flat_map(|s| s.split(','))
                .map(str::trim)
                .filter(|s| !s.is_empty())
                .map(str::to_string)
                .collect(),
            offset: self.offset.unwrap_or(0),
            limit: self.limit.map(|limit| limit.clamp(1, 500)),
            cursor: self.cursor,
            state,
            q: self.q.filter(|q| !q.trim().is_empty()),
        })
    }
}

#[derive(Serialize, ToSchema)]
pub struct RecordList {
    pub records: Vec<RecordOut>,
    pub total: TotalOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A count, exact up to 10,000.
#[derive(Serialize, ToSchema)]
pub struct TotalOut {
    pub value: u64,
    /// False: there are at least this many.
    pub exact: bool,
}

impl From<RecordPage> for RecordList {
    fn from(page: RecordPage) -> Self {
        let total = match page.total {
            Total::Exact(value) => TotalOut { value, exact: true },
            Total::AtLeast(value) => TotalOut { value, exact: false },
        };
        Self { records: page.records.into_iter().map(RecordOut::from).collect(), total, cursor: page.cursor }
    }
}

/// List records
#[utoipa::path(get, path = "/api/v1/records/{dataset}", tag = "records", operation_id = "list_records", params(("dataset" = String, Path), ListParams),
    responses((status = 200, body = RecordList), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    auth: Auth,
    Path(dataset): Path<String>,
    Params(params): Params<ListParams>,
) -> Result<Json<RecordList>> {
    let page = app.store.records.list(&auth.principal, &dataset, &params.request()?).await?;
    Ok(Json(page.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordIn {
    /// Values by field name.
    #[schema(value_type = Object)]
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Why the record is made or changed; kept in its history.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Create a record
#[utoipa::path(post, path = "/api/v1/records/{dataset}", tag = "records", operation_id = "create_record", params(("dataset" = String, Path)), request_body = RecordIn,
    responses((status = 201, body = RecordOut), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    auth: Auth,
    Path(dataset): Path<String>,
    ValidatedJson(body): ValidatedJson<RecordIn>,
) -> Result<Response> {
    created(&dataset, app.store.records.create(&auth.principal, &dataset, &body.fields, body.reason.as_deref()).await?)
}

/// 201 with the place of the new record.
fn created(dataset: &str, record: Record) -> Result<Response> {
    let place = format!("/api/v1/records/{dataset}/{}", record.id);
    let mut response = with_etag(StatusCode::CREATED, record);
    if let Ok(value) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

/// Get a record
#[utoipa::path(get, path = "/api/v1/records/{dataset}/{id}", tag = "records", operation_id = "get_record", params(("dataset" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = RecordOut), (status = 404, body = Problem)))]
pub async fn get(State(app): State<App>, auth: Auth, Path((dataset, id)): Path<(String, String)>) -> Result<Response> {
    Ok(with_etag(StatusCode::OK, app.store.records.get(&auth.principal, &dataset, &id).await?))
}

/// Change fields of a record; If-Match holds the version that the change starts from
#[utoipa::path(patch, path = "/api/v1/records/{dataset}/{id}", tag = "records", operation_id = "patch_record",
    params(("dataset" = String, Path), ("id" = String, Path), ("If-Match" = String, Header)), request_body = RecordIn,
    responses((status = 200, body = RecordOut), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem, description = "Somebody else changed it; the ETag names the version in force"), (status = 428, body = Problem)))]
pub async fn patch(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id)): Path<(String, String)>,
    headers: HeaderMap,
    ValidatedJson(body): ValidatedJson<RecordIn>,
) -> Result<Response> {
    let Some(expected) = if_match(&headers)? else {
        let mut response = Error::user("records.if_match", "修改须带 If-Match: 版本号 (send the version)")
            .hint("先 GET 记录，用它的 ETag")
            .into_response();
        *response.status_mut() = StatusCode::PRECONDITION_REQUIRED;
        return Ok(response);
    };
    match app.store.records.patch(&auth.principal, &dataset, &id, expected, &body.fields, body.reason.as_deref()).await
    {
        Ok(record) => Ok(with_etag(StatusCode::OK, record)),
        Err(error) => Ok(conflict(error)),
    }
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActionIn {
    pub reason: Option<String>,
    /// Values of the fields that the action asks for.
    #[schema(value_type = Object)]
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Remarks by field name, of actions that name fields to correct.
    #[schema(value_type = Object)]
    pub remarks: serde_json::Map<String, serde_json::Value>,
}

/// Do an action of the record's lifecycle (`close`, `restore`) or of its stages
#[utoipa::path(post, path = "/api/v1/records/{dataset}/{id}/actions/{action}", tag = "records", operation_id = "act_on_record",
    params(("dataset" = String, Path), ("id" = String, Path), ("action" = String, Path)), request_body = ActionIn,
    responses((status = 200, body = RecordOut), (status = 400, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub async fn act(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id, action)): Path<(String, String, String)>,
    headers: HeaderMap,
    ValidatedJson(body): ValidatedJson<ActionIn>,
) -> Result<Response> {
    let input = ActionInput { fields: body.fields, remarks: body.remarks, reason: body.reason };
    match app.store.records.act(&auth.principal, &dataset, &id, if_match(&headers)?, &action, input).await {
        Ok(record) => {
            app.store.tasks.touched();
            Ok(with_etag(StatusCode::OK, record))
        }
        Err(error) => Ok(conflict(error)),
    }
}

#[derive(Serialize, ToSchema)]
pub struct HistoryOut {
    #[schema(value_type = Vec<Object>)]
    pub history: Vec<HistoryEntry>,
}

/// The history of a record, newest first
#[utoipa::path(get, path = "/api/v1/records/{dataset}/{id}/history", tag = "records", operation_id = "get_record_history",
    params(("dataset" = String, Path), ("id" = String, Path)), responses((status = 200, body = HistoryOut), (status = 404, body = Problem)))]
pub async fn history(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id)): Path<(String, String)>,
) -> Result<Json<HistoryOut>> {
    Ok(Json(HistoryOut { history: app.store.records.history(&auth.principal, &dataset, &id).await? }))
}

/// List the children of a record
#[utoipa::path(get, path = "/api/v1/records/{dataset}/{id}/{child}", tag = "records", operation_id = "list_child_records",
    params(("dataset" = String, Path), ("id" = String, Path), ("child" = String, Path), ListParams),
    responses((status = 200, body = RecordList), (status = 404, body = Problem)))]
pub async fn children(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id, child)): Path<(String, String, String)>,
    Params(params): Params<ListParams>,
) -> Result<Json<RecordList>> {
    let page = app.store.records.children(&auth.principal, &dataset, &id, &child, &params.request()?).await?;
    Ok(Json(page.into()))
}

/// Create a child of a record; its parent field is filled in
#[utoipa::path(post, path = "/api/v1/records/{dataset}/{id}/{child}", tag = "records", operation_id = "create_child_record",
    params(("dataset" = String, Path), ("id" = String, Path), ("child" = String, Path)), request_body = RecordIn,
    responses((status = 201, body = RecordOut), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn create_child(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id, child)): Path<(String, String, String)>,
    ValidatedJson(mut body): ValidatedJson<RecordIn>,
) -> Result<Response> {
    // The parent must be there and visible; its id goes into the child, whatever the body says.
    let parent = app.store.records.get(&auth.principal, &dataset, &id).await?;
    let catalogue = app.catalogue();
    let field = catalogue
        .dataset(&child)
        .and_then(|d| d.parent.as_ref())
        .filter(|p| p.dataset == dataset)
        .map(|p| p.field.clone());
    let field = field.ok_or_else(|| {
        Error::not_found("records.unknown_child", format!("'{dataset}' 没有子登记 '{child}' (no such child records)"))
    })?;
    body.fields.insert(field, parent.id.into());
    created(&child, app.store.records.create(&auth.principal, &child, &body.fields, body.reason.as_deref()).await?)
}
