//! `/api/v1/cases/{dataset}/{id}/timeline`: the events of a case and its limits, as of a day.

use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, readable};
use axum::Json;
use axum::extract::{Path, Query as Params, State};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use zonglan_catalog::query::MAX_LIMIT;
use zonglan_catalog::time::to_local;
use zonglan_catalog::{Filter, Query, Value};
use zonglan_models::deadline::{Context, Event, Events, Stream, Timeline, timeline};

#[derive(Debug, Deserialize, IntoParams)]
pub struct TimelineIn {
    /// The day of judgment; today where missing.
    #[param(value_type = Option<String>)]
    pub as_of: Option<NaiveDate>,
}

/// What happened on a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventOut {
    pub code: String,
    pub label: String,
    #[schema(value_type = String)]
    pub date: NaiveDate,
    /// A day that the document sets, such as the hearing.
    #[schema(value_type = Option<String>)]
    pub target: Option<NaiveDate>,
    pub recipient: String,
    /// Other fields of the event that the asker sees, by name.
    #[schema(value_type = Object)]
    pub fields: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineOut {
    pub case: String,
    /// Oldest first.
    pub events: Vec<EventOut>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub timeline: Timeline,
}

/// Get the timeline of a case: events, and limits with due day, state, steps and articles
#[utoipa::path(get, path = "/api/v1/cases/{dataset}/{id}/timeline", tag = "search", operation_id = "get_case_timeline",
    params(("dataset" = String, Path), ("id" = String, Path), TimelineIn),
    description = "按声明的环节流与期限规则计算：每项期限的起算日、期满日、办结日、状态、剩余天数与每一步的依据条文。",
    responses((status = 200, body = TimelineOut), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id)): Path<(String, String)>,
    Params(asked): Params<TimelineIn>,
) -> Result<Json<TimelineOut>> {
    readable(&app, &auth, &dataset)?;
    let catalogue = app.catalogue();
    let rules = app.models.rules(&catalogue)?;
    let stream = Stream::load(&catalogue, &rules)?
        .into_iter()
        .find(|s| s.parent == dataset)
        .ok_or_else(|| Error::not_found("timeline.none", format!("数据集 '{dataset}' 没有声明环节流 (no stream)")))?;
    let events = readable(&app, &auth, &stream.dataset)?;
    let fields: Vec<String> = events.field.iter().filter(|f| f.name != stream.case).map(|f| f.name.clone()).collect();
    let filter = Filter::eq(stream.case.clone(), id.clone()).and(stream.filter.clone());
    let query = Query {
        dataset: events.name.clone(),
        rows: fields.clone(),
        filter,
        order: vec![stream.date.clone()],
        limit: Some(MAX_LIMIT),
        ..Query::default()
    };
    let answer = app.ask(&auth.principal, &query, false).await?;
    let as_of = asked.as_of.unwrap_or_else(|| to_local(app.clock.now()).date());
    let codes = events.field(&stream.event).and_then(|f| catalogue.codes_of(f));
    let mut out = Vec::new();
    let mut known = Vec::new();
    for row in &answer.table.rows {
        let mut cells: BTreeMap<String, Value> = fields.iter().cloned().zip(row.iter().cloned()).collect();
        let mut text = |name: &str| cells.remove(name).map(|v| v.to_text()).unwrap_or_default();
        let code = text(&stream.event);
        let recipient = stream.recipient.as_deref().map(&mut text).unwrap_or_default();
        let target = stream.target.as_deref().and_then(|t| text(t).parse::<NaiveDate>().ok());
        let Ok(date) = text(&stream.date).parse::<NaiveDate>() else { continue };
        if target.is_none() || date <= as_of {
            known.push(Event {
                name: code.clone(),
                date: Some(target.unwrap_or(date)),
                to: Some(recipient.clone()).filter(|r| !r.is_empty()),
            });
        }
        let label = codes.and_then(|c| c.get(&code)).map_or_else(|| code.clone(), |item| item.zh.clone());
        out.push(EventOut { code, label, date, target, recipient, fields: cells });
    }
    if out.is_empty() {
        return Err(Error::not_found("timeline.case", format!("没有案件 '{id}' 的环节，或您不能查看 (no events)")));
    }
    let case = Events::new(known, BTreeMap::new());
    let context = Context { rules: &rules, calendar: catalogue.calendar(), as_of, explain: true };
    let timeline = timeline(&stream.rules(&rules)?, &case, context);
    Ok(Json(TimelineOut { case: id, events: out, timeline }))
}
