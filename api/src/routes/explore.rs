//! What the explore page asks beside the query itself: an answer with its chart, and the state of a feed.

use super::query::{note_personal_read, timing_of};
use super::schemas;
use crate::app::App;
use crate::error::{Problem, Result};
use crate::extract::{Auth, Language, ValidatedJson, readable};
use crate::imports;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zonglan_catalog::board::ElementKind;
use zonglan_catalog::query::Dim;
use zonglan_catalog::time::{Grain, Range};
use zonglan_catalog::traits::QueryEngine;
use zonglan_catalog::value::instant_text;
use zonglan_catalog::{Query, Table, Value};
use zonglan_dashboards::explore;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartIn {
    #[schema(value_type = schemas::Query)]
    pub query: Query,
    /// `line`, `bar`, `pie`, `choropleth`, `grid` or `scatter`; without, as fits the query.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub kind: Option<ElementKind>,
    /// The measure on the axis; without, the first.
    #[serde(default)]
    pub measure: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ChartOut {
    #[schema(value_type = schemas::Table)]
    pub table: Arc<Table>,
    /// None for rows, without dimensions, and where there is nothing to draw.
    pub chart: Option<ChartView>,
}

#[derive(Serialize, ToSchema)]
pub struct ChartView {
    #[schema(value_type = String)]
    pub kind: ElementKind,
    /// All kinds that fit.
    #[schema(value_type = Vec<String>)]
    pub kinds: Vec<ElementKind>,
    pub measure: String,
    /// An ECharts option; `$name` stands for a colour and `@name` for a formatter of the page.
    #[schema(value_type = Object)]
    pub option: serde_json::Value,
}

/// Groups that a chart is drawn from, where the table is a pivot.
const CHART_GROUPS: usize = 2_000;

/// Run a query and draw its answer
#[utoipa::path(post, path = "/api/v1/query/chart", tag = "query", operation_id = "chart_query", request_body = ChartIn,
    responses((status = 200, body = ChartOut), (status = 400, body = Problem), (status = 403, body = Problem), (status = 429, body = Problem)))]
pub async fn chart(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    ValidatedJson(body): ValidatedJson<ChartIn>,
) -> Result<Response> {
    let query = body.query;
    let bound = app.bind(&auth.principal, &query)?;
    let mut answer = app.answer(&bound, language.english()).await?;
    if let Some(table) = app.with_personal(&bound, &answer.table).await? {
        answer.table = Arc::new(table);
    }
    note_personal_read(&app, &auth.principal, &bound, answer.table.rows.len());
    let mut chart = None;
    if query.rows.is_empty() && !query.by.is_empty() {
        // A pivot is a form of the table; the chart is drawn from its groups.
        let (flat, groups) = if query.pivot.is_some() {
            let flat = Query { pivot: None, order: Vec::new(), limit: Some(CHART_GROUPS), ..query.clone() };
            let groups = app.ask(&auth.principal, &flat, language.english()).await?.table;
            (flat, groups)
        } else {
            (query, answer.table.clone())
        };
        let drawn = explore::draw(&app.catalogue(), &flat, &groups, body.kind, body.measure.as_deref(), language.0)?;
        chart = drawn.map(|d| ChartView { kind: d.kind, kinds: d.kinds, measure: d.measure, option: d.option });
    }
    let timing = timing_of(&answer);
    let mut response = Json(ChartOut { table: answer.table, chart }).into_response();
    response.headers_mut().insert("server-timing", timing);
    Ok(response)
}

/// How fresh and complete a dataset is.
#[derive(Serialize, ToSchema)]
pub struct FeedOut {
    pub dataset: String,
    pub version: u64,
    /// The latest event, the last commit and now: instants with zone.
    pub watermark: Option<String>,
    pub loaded_at: Option<String>,
    pub now: String,
    /// Seconds from the latest event to now.
    pub age_seconds: Option<i64>,
    /// Rows on each of the last 30 days of data that the asker may see; empty where the dataset has
    /// no time, or is about people.
    pub days: Vec<DayOut>,
    /// Days among them without rows.
    pub days_missing: usize,
    /// The last imports; only for those who see the whole city.
    pub imports: Vec<ImportOut>,
}

#[derive(Serialize, ToSchema)]
pub struct DayOut {
    pub day: String,
    pub rows: u64,
}

#[derive(Serialize, ToSchema)]
pub struct ImportOut {
    pub file: String,
    pub at: String,
    pub state: String,
    pub read: u64,
    pub loaded: u64,
    pub duplicates: u64,
    pub quarantined: u64,
}

/// Days of rows that are shown.
const FEED_DAYS: u32 = 30;
const FEED_IMPORTS: usize = 5;

/// How fresh and complete a dataset is
#[utoipa::path(get, path = "/api/v1/datasets/{name}/feed", tag = "datasets", operation_id = "get_feed", params(("name" = String, Path)),
    responses((status = 200, body = FeedOut), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn feed(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    Path(name): Path<String>,
) -> Result<Json<FeedOut>> {
    let dataset = readable(&app, &auth, &name)?;
    let state = QueryEngine::state(&app.columns, &dataset.name);
    let now = app.clock.now();
    let count =
        dataset.measure.iter().find(|m| m.agg == zonglan_catalog::dataset::Aggregate::Count && m.filter.is_true());
    let mut days = Vec::new();
    if let (Some(count), Some(_), false) = (count, &dataset.time, dataset.people) {
        let query = Query {
            dataset: dataset.name.clone(),
            measures: vec![count.name.clone()],
            by: vec![Dim::time(Grain::Day)],
            range: Range { last: Some(format!("{FEED_DAYS}d")), ..Range::default() },
            limit: Some(FEED_DAYS as usize + 1),
            ..Query::default()
        };
        let table = app.ask(&auth.principal, &query, language.english()).await?.table;
        days = table
            .rows
            .iter()
            .filter_map(|row| match (row.first()?, row.get(1)?) {
                (day, Value::Int(rows)) if !day.is_null() => {
                    Some(DayOut { day: day.to_text(), rows: u64::try_from(*rows).unwrap_or(0) })
                }
                _ => None,
            })
            .collect();
    }
    let mut list = Vec::new();
    if app.catalogue().policy().full_view(&auth.principal) {
        let journal = imports::journal(&app)?;
        let name = dataset.name.clone();
        let records = tokio::task::spawn_blocking(move || journal.list())
            .await
            .map_err(crate::error::Error::internal)?
            .map_err(zonglan_catalog::Error::from)?;
        let mut own: Vec<_> = records.into_iter().filter(|r| r.dataset == name).collect();
        own.sort_by_key(|r| std::cmp::Reverse(r.started_at));
        list = own
            .into_iter()
            .take(FEED_IMPORTS)
            .map(|r| ImportOut {
                file: r.file_name,
                at: instant_text(r.started_at),
                state: format!("{:?}", r.state).to_lowercase(),
                read: r.read,
                loaded: r.loaded,
                duplicates: r.duplicates,
                quarantined: r.quarantined,
            })
            .collect();
    }
    Ok(Json(FeedOut {
        dataset: dataset.name.clone(),
        version: state.version,
        watermark: state.watermark.map(instant_text),
        loaded_at: state.loaded_at.map(instant_text),
        now: instant_text(now),
        age_seconds: state.watermark.map(|w| (now - w) / 1000),
        days_missing: days.iter().filter(|d| d.rows == 0).count(),
        days,
        imports: list,
    }))
}
