//! `/api/v1/query`: the logical query, many at once, what lies behind a number, and the plan.

use super::schemas;
use crate::app::App;
use crate::drills::{self, Drill, DrillKind};
use crate::error::{Error, Problem, REQUEST_ID, Result, request_id};
use crate::extract::{Auth, Language, ValidatedJson};
use crate::query::Answer;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;
use zonglan_catalog::traits::QueryEngine;
use zonglan_catalog::{BoundQuery, Principal, Query, Value};

/// Queries of one batch.
const MOST_QUERIES: usize = 64;

/// Run a logical query
#[utoipa::path(post, path = "/api/v1/query", tag = "query", operation_id = "run_query", request_body = schemas::Query,
    responses((status = 200, body = schemas::Table), (status = 400, body = Problem), (status = 403, body = Problem), (status = 429, body = Problem)))]
pub async fn run(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    ValidatedJson(query): ValidatedJson<Query>,
) -> Result<Response> {
    let bound = app.bind(&auth.principal, &query)?;
    let mut answer = app.answer(&bound, language.english()).await?;
    if let Some(table) = app.with_personal(&bound, &answer.table).await? {
        answer.table = Arc::new(table);
    }
    note_personal_read(&app, &auth.principal, &bound, answer.table.rows.len());
    let mut response = Json(&*answer.table).into_response();
    response.headers_mut().insert("server-timing", timing_of(&answer));
    Ok(response)
}

/// The same with the engine's phases, where it was asked.
pub fn timing_of(answer: &Answer) -> HeaderValue {
    let whole = timing(answer.hit, answer.took);
    if answer.hit {
        return whole;
    }
    let mut text = whole.to_str().unwrap_or_default().to_string();
    for (phase, milliseconds) in answer.table.meta.times.iter().filter(|(phase, _)| *phase != "total") {
        text.push_str(&format!(", {phase};dur={milliseconds:.1}"));
    }
    HeaderValue::from_str(&text).unwrap_or(whole)
}

/// The header that shows in a browser's tools where the time went.
pub fn timing(hit: bool, took: Duration) -> HeaderValue {
    let text = format!("cache;desc={}, query;dur={:.1}", if hit { "hit" } else { "miss" }, took.as_secs_f64() * 1000.0);
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("query"))
}

/// Rows with personal fields in clear are looks that the audit keeps.
pub fn note_personal_read(app: &App, principal: &Principal, bound: &BoundQuery, rows: usize) {
    use zonglan_catalog::dataset::Sensitivity;
    let dataset = bound.dataset();
    let clear = |name: &&String| {
        dataset.field(name).is_some_and(|f| f.sensitivity >= Sensitivity::Personal)
            && !bound.masks().contains_key(*name)
    };
    let fields: Vec<&String> = bound.query().rows.iter().filter(clear).collect();
    if fields.is_empty() || rows == 0 {
        return;
    }
    let event = crate::store::AuditEvent::new(&principal.user, "read")
        .dataset(&dataset.name)
        .purpose(principal.purpose.clone())
        .detail(serde_json::json!({"rows": rows, "fields": fields, "request": request_id()}));
    app.store.log.audit_later(event);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchIn {
    #[schema(value_type = Vec<schemas::Query>)]
    pub queries: Vec<Query>,
}

/// One line of a batch's answer.
#[derive(Serialize, ToSchema)]
pub struct BatchLine {
    /// Which query this answers.
    pub index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Table>)]
    pub result: Option<Arc<zonglan_catalog::Table>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Run many queries; one line of JSON for each, as they finish
#[utoipa::path(post, path = "/api/v1/query/batch", tag = "query", operation_id = "run_queries", request_body = BatchIn,
    responses((status = 200, body = BatchLine, content_type = "application/x-ndjson"), (status = 400, body = Problem)))]
pub async fn batch(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    ValidatedJson(body): ValidatedJson<BatchIn>,
) -> Result<Response> {
    if body.queries.len() > MOST_QUERIES {
        return Err(Error::user("query.batch", format!("一批最多 {MOST_QUERIES} 个查询 (queries in one batch)")));
    }
    let id = request_id();
    let running: FuturesUnordered<_> = body
        .queries
        .into_iter()
        .enumerate()
        .map(|(index, query)| {
            let (app, principal) = (app.clone(), auth.principal.clone());
            REQUEST_ID.scope(id.clone(), async move {
                let answer = async {
                    let bound = app.bind(&principal, &query)?;
                    let mut answer = app.answer(&bound, language.english()).await?;
                    if let Some(table) = app.with_personal(&bound, &answer.table).await? {
                        answer.table = Arc::new(table);
                    }
                    note_personal_read(&app, &principal, &bound, answer.table.rows.len());
                    Ok::<_, Error>(answer)
                };
                match answer.await {
                    Ok(answer) => BatchLine { index, result: Some(answer.table), problem: None },
                    Err(error) => BatchLine { index, result: None, problem: Some(error.problem()) },
                }
            })
        })
        .collect();
    Ok(ndjson(running))
}

/// Streams values as lines of JSON.
pub fn ndjson<T: Serialize>(lines: impl futures_util::Stream<Item = T> + Send + 'static) -> Response {
    let chunks = lines.map(|line| Ok::<_, std::convert::Infallible>(json_line(&line)));
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], Body::from_stream(chunks))
        .into_response()
}

pub fn json_line(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
    text.push(b'\n');
    Bytes::from(text)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillsIn {
    #[schema(value_type = schemas::Query)]
    pub query: Query,
    /// Values of the dimension columns of the number, by column name; empty: the whole answer.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub cell: BTreeMap<String, Value>,
}

#[derive(Serialize, ToSchema)]
pub struct DrillsOut {
    pub drills: Vec<Drill>,
    /// Columns of the cell that are no condition on rows: the row of "others".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_narrowed: Vec<String>,
}

/// The permitted next queries of a number
#[utoipa::path(post, path = "/api/v1/query/drills", tag = "query", operation_id = "list_drills", request_body = DrillsIn,
    responses((status = 200, body = DrillsOut), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn drills(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    ValidatedJson(body): ValidatedJson<DrillsIn>,
) -> Result<Json<DrillsOut>> {
    // The query itself must be permitted: its drills tell of its dimensions.
    let bound = app.bind(&auth.principal, &body.query)?;
    let catalogue = app.catalogue();
    let (_, not_narrowed) = drills::narrow(bound.dataset(), &body.query, &body.cell)?;
    let mut found = drills::candidates(&catalogue, &body.query, &body.cell, language.english())?;
    found.retain(|drill| drill.kind == DrillKind::Definition || app.bind(&auth.principal, &drill.query).is_ok());
    Ok(Json(DrillsOut { drills: found, not_narrowed }))
}

/// How a query would be answered; nothing is run
#[utoipa::path(post, path = "/api/v1/query/explain", tag = "query", operation_id = "explain_query", request_body = schemas::Query,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn explain(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(query): ValidatedJson<Query>,
) -> Result<Json<serde_json::Value>> {
    let bound = app.bind(&auth.principal, &query)?;
    let catalogue = app.catalogue();
    let mut explanation = serde_json::json!({
        "dataset": bound.dataset().name,
        "span": bound.span(),
        "masked": bound.masks().keys().collect::<Vec<_>>(),
        "suppressed": bound.suppress(),
        "data_time": zonglan_catalog::value::instant_text(app.data_time(&query.dataset)),
    });
    // A plan counts rows and segments of everybody.
    if catalogue.policy().full_view(&auth.principal) {
        explanation["fingerprint"] = bound.fingerprint().hex().into();
        explanation["plan"] = app.columns.explain(&bound).await?;
    }
    Ok(Json(explanation))
}
