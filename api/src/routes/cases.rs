//! `/api/v1/cases/{id}`: one whole document of a searchable dataset.

use super::query::note_personal_read;
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, Language, readable};
use axum::Json;
use axum::extract::{Path, Query as Params, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use zonglan_catalog::dataset::{FieldType, SearchMode};
use zonglan_catalog::{Dataset, Filter, Query, SearchRequest, Value};
use zonglan_dashboards::format::field_text;
use zonglan_dashboards::pages::{Lang, TimelineEntry};

/// Stages or other events shown under a document.
const MOST_EVENTS: usize = 500;

#[derive(Deserialize, IntoParams)]
pub struct CaseParams {
    /// The searchable dataset; `judgment` unless given.
    pub dataset: Option<String>,
    /// Words to mark.
    pub q: Option<String>,
    pub lang: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct CaseOut {
    pub id: String,
    pub dataset: String,
    /// Values by field name, masked as the role says.
    #[schema(value_type = Object)]
    pub fields: BTreeMap<String, Value>,
    /// `[start, end)` of the words in each text, in Unicode scalar values.
    #[schema(value_type = Object)]
    pub marks: BTreeMap<String, Vec<(usize, usize)>>,
    pub events: Vec<EventOut>,
}

#[derive(Serialize, ToSchema)]
pub struct EventOut {
    pub time: String,
    pub label: String,
    pub note: String,
}

/// A document with its dataset.
pub struct Found {
    pub dataset: Arc<Dataset>,
    pub id: String,
    pub fields: BTreeMap<String, Value>,
    pub marks: BTreeMap<String, Vec<(usize, usize)>>,
}

/// The document with this id, if the asker may see it. Who may not is told that there is none.
pub async fn document(app: &App, auth: &Auth, dataset: &str, id: &str) -> Result<Found> {
    marked(app, auth, dataset, id, "").await
}

async fn marked(app: &App, auth: &Auth, dataset: &str, id: &str, words: &str) -> Result<Found> {
    let dataset = readable(app, auth, dataset)?;
    let request =
        SearchRequest { dataset: dataset.name.clone(), query: words.to_string(), limit: 1, ..SearchRequest::default() };
    let bound = app.bind_search(&auth.principal, &request)?;
    let (index, wanted) = (app.index.clone(), id.to_string());
    let document = tokio::task::spawn_blocking(move || index.get(&bound, &wanted)).await.map_err(Error::internal)??;
    let document = document.ok_or_else(|| {
        Error::not_found("case.unknown", format!("没有编号为 '{id}' 的文档，或您不能查看它 (no such document)"))
    })?;
    let mut fields = document.fields;
    // The index keeps what is searched; the other fields of the row are the columnar store's.
    let missing: Vec<String> = dataset
        .field
        .iter()
        .filter(|f| !f.person_key && !fields.contains_key(&f.name))
        .map(|f| f.name.clone())
        .collect();
    if let ([key], false) = (dataset.key.as_slice(), missing.is_empty()) {
        let query = Query {
            dataset: dataset.name.clone(),
            rows: missing,
            filter: Filter::eq(key, &document.id),
            limit: Some(1),
            ..Query::default()
        };
        let bound = app.bind(&auth.principal, &query)?;
        let answer = app.answer(&bound, false).await?;
        note_personal_read(app, &auth.principal, &bound, answer.table.rows.len());
        if let Some(row) = answer.table.rows.first() {
            fields.extend(
                answer
                    .table
                    .columns
                    .iter()
                    .zip(row)
                    .filter(|(_, v)| !v.is_null())
                    .map(|(c, v)| (c.name.clone(), v.clone())),
            );
        }
    }
    Ok(Found { dataset, id: document.id, fields, marks: document.marks })
}

/// The events of a document: rows of a child dataset with an event time, oldest first.
pub async fn timeline(app: &App, auth: &Auth, document: &Found, lang: Lang) -> Result<Vec<TimelineEntry>> {
    let catalogue = app.catalogue();
    let policy = catalogue.policy();
    let mut entries = Vec::new();
    for child in catalogue.children(&document.dataset.name).filter(|d| policy.may_list_rows(&auth.principal, d)) {
        let (Some(time), Some(parent)) = (&child.time, &child.parent) else { continue };
        let rows: Vec<String> = child
            .field
            .iter()
            .filter(|f| !f.person_key && f.search != SearchMode::Zh)
            .map(|f| f.name.clone())
            .collect();
        let query = Query {
            dataset: child.name.clone(),
            rows,
            filter: Filter::eq(&parent.field, &document.id),
            order: vec![time.clone()],
            limit: Some(MOST_EVENTS),
            ..Query::default()
        };
        let bound = app.bind(&auth.principal, &query)?;
        let answer = app.answer(&bound, lang == Lang::En).await?;
        note_personal_read(app, &auth.principal, &bound, answer.table.rows.len());
        let text = |row: &[Value], name: &str| {
            let at = answer.table.column(name)?;
            let text = field_text(&catalogue, child.field(name)?, row.get(at)?, lang);
            (!text.is_empty() && text != "–").then_some(text)
        };
        // The first code of an event says what it is; the rest of its fields are details.
        let what = child.field.iter().find(|f| f.kind == FieldType::Code).map(|f| f.name.as_str());
        for row in &answer.table.rows {
            let hidden = |name: &str| {
                name == time
                    || Some(name) == what
                    || name == parent.field
                    || child.key.iter().any(|k| k == name)
                    || Some(name) == child.region.as_deref()
            };
            let details = child
                .field
                .iter()
                .filter(|f| !hidden(&f.name))
                .filter_map(|f| Some(format!("{} {}", lang.pick(&f.label), text(row, &f.name)?)));
            entries.push(TimelineEntry {
                time: text(row, time).unwrap_or_default(),
                label: what.and_then(|name| text(row, name)).unwrap_or_else(|| lang.pick(&child.label).to_string()),
                note: details.collect::<Vec<_>>().join("，"),
            });
        }
    }
    Ok(entries)
}

/// Get a document with its texts, marks and events
#[utoipa::path(get, path = "/api/v1/cases/{id}", tag = "search", operation_id = "get_case", params(("id" = String, Path), CaseParams),
    responses((status = 200, body = CaseOut), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    Path(id): Path<String>,
    Params(params): Params<CaseParams>,
) -> Result<Json<CaseOut>> {
    let dataset = params.dataset.as_deref().unwrap_or("judgment");
    let found = marked(&app, &auth, dataset, &id, params.q.as_deref().unwrap_or_default()).await?;
    let events = timeline(&app, &auth, &found, language.0).await?;
    super::case_file::note_open(&app, &auth, dataset, &found.id);
    Ok(Json(CaseOut {
        id: found.id,
        dataset: found.dataset.name.clone(),
        fields: found.fields,
        marks: found.marks,
        events: events.into_iter().map(|e| EventOut { time: e.time, label: e.label, note: e.note }).collect(),
    }))
}
