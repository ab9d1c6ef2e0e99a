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
use zonglan_models::deadline::{Context, Event, Events, Rules, Stream, Timeline, timeline};

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
    let key = app.catalogue().dataset(&dataset).and_then(|d| d.key.first().cloned());
    let stream = Stream::load(&catalogue, &rules)?
        .into_iter()
        .find(|s| s.parent == dataset && (s.event.is_some() || Some(&s.case) == key.as_ref()))
        .ok_or_else(|| Error::not_found("timeline.none", format!("数据集 '{dataset}' 没有声明环节流 (no stream)")))?;
    let as_of = asked.as_of.unwrap_or_else(|| to_local(app.clock.now()).date());
    let (out, known, facts) = match (&stream.event, &stream.date) {
        (Some(event), Some(date)) => {
            let (out, known) = by_event(&app, &auth, &stream, (event, date), &id, as_of).await?;
            (out, known, BTreeMap::new())
        }
        _ => by_row(&app, &auth, &stream, &rules, &id, as_of).await?,
    };
    if out.is_empty() {
        return Err(Error::not_found("timeline.case", format!("没有案件 '{id}' 的环节，或您不能查看 (no events)")));
    }
    let case = Events::new(known, facts);
    let context = Context { rules: &rules, calendar: catalogue.calendar(), as_of, explain: true };
    let timeline = timeline(&stream.rules(&rules)?, &case, context);
    Ok(Json(TimelineOut { case: id, events: out, timeline }))
}

/// Events of a case that are rows of their own.
async fn by_event(
    app: &App,
    auth: &Auth,
    stream: &Stream,
    (event, date): (&str, &str),
    id: &str,
    as_of: NaiveDate,
) -> Result<(Vec<EventOut>, Vec<Event>)> {
    let catalogue = app.catalogue();
    let events = readable(app, auth, &stream.dataset)?;
    let fields: Vec<String> = events.field.iter().filter(|f| f.name != stream.case).map(|f| f.name.clone()).collect();
    let filter = Filter::eq(stream.case.clone(), id.to_string()).and(stream.filter.clone());
    let query = Query {
        dataset: events.name.clone(),
        rows: fields.clone(),
        filter,
        order: vec![date.to_string()],
        limit: Some(MAX_LIMIT),
        ..Query::default()
    };
    let answer = app.ask(&auth.principal, &query, false).await?;
    let codes = events.field(event).and_then(|f| catalogue.codes_of(f));
    let mut out = Vec::new();
    let mut known = Vec::new();
    for row in &answer.table.rows {
        let mut cells: BTreeMap<String, Value> = fields.iter().cloned().zip(row.iter().cloned()).collect();
        let mut text = |name: &str| cells.remove(name).map(|v| v.to_text()).unwrap_or_default();
        let code = text(event);
        let recipient = stream.recipient.as_deref().map(&mut text).unwrap_or_default();
        let target = stream.target.as_deref().and_then(|t| text(t).parse::<NaiveDate>().ok());
        let Ok(date) = text(date).parse::<NaiveDate>() else { continue };
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
    Ok((out, known))
}

type ByRow = (Vec<EventOut>, Vec<Event>, BTreeMap<String, bool>);

/// Events of a case that are date fields of its row.
async fn by_row(app: &App, auth: &Auth, stream: &Stream, rules: &Rules, id: &str, as_of: NaiveDate) -> Result<ByRow> {
    let of_case = Filter::eq(stream.case.clone(), id.to_string()).and(stream.filter.clone());
    let ask = async |fields: Vec<String>, filter: &Filter| -> Result<Vec<Vec<Value>>> {
        let filter = of_case.clone().and(filter.clone());
        let query = Query { dataset: stream.dataset.clone(), rows: fields, filter, ..Query::default() };
        Ok(app.ask(&auth.principal, &query, false).await?.table.rows.clone())
    };
    let mut out: Vec<EventOut> = Vec::new();
    let mut known = Vec::new();
    for dated in &stream.dated {
        for row in ask(vec![dated.field.clone()], &dated.filter).await? {
            let date = match row.first() {
                Some(Value::Date(date)) => *date,
                Some(Value::Instant(ms)) => to_local(*ms).date(),
                _ => continue,
            };
            known.push(Event { name: dated.event.clone(), date: Some(date), to: None });
            let label = stream.rules.iter().find_map(|r| rules.get(r).ok()?.labels.get(&dated.event));
            // What stands for no stage of its own (a condition, a date that an order names) has no label, or lies ahead.
            if let Some(label) = label.filter(|_| date <= as_of) {
                out.push(EventOut {
                    code: dated.event.clone(),
                    label: label.clone(),
                    date,
                    target: None,
                    recipient: String::new(),
                    fields: BTreeMap::new(),
                });
            }
        }
    }
    out.sort_by_key(|e| e.date);
    let mut facts = BTreeMap::new();
    for fact in &stream.fact {
        if !ask(vec![stream.case.clone()], &fact.filter).await?.is_empty() {
            facts.insert(fact.name.clone(), true);
        }
    }
    Ok((out, known, facts))
}
