//! `/api/v1/cases/{dataset}/{id}/…`: the case file (案件档案): what was read from the text and must
//! be confirmed, limits, child records, linked documents, parties, and who looked.

use super::case_links::{LinkedOut, linked_by_text, referring, text_of, title};
use super::cases::{Found, document};
use crate::app::App;
use crate::error::{Error, Problem, Result};
use crate::extract::{Auth, Language, ValidatedJson};
use crate::extracting::rules;
use crate::store::{AuditEvent, Confirmation, Look};
use axum::Json;
use axum::extract::{Path, State};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use zonglan_catalog::error::ErrorClass;
use zonglan_catalog::{Filter, Query, SearchRequest, Value};
use zonglan_dashboards::format::field_text;
use zonglan_dashboards::pages::{Lang, TimelineEntry};
use zonglan_models::deadline::{self, Event, Events, Rules};
use zonglan_models::extract::{self, Being, Extracted};

/// Rows of one kind of child records.
const MOST_CHILDREN: usize = 200;
/// Documents looked at for links and parties.
const MOST_CANDIDATES: usize = 40;

#[derive(Serialize)]
pub struct CaseFileOut {
    pub id: String,
    pub dataset: String,
    /// Values read from the text, with what was said of them.
    pub readings: Vec<ReadingOut>,
    pub sections: Vec<extract::Section>,
    pub parties: Vec<PartyOut>,
    pub limits: Vec<LimitOut>,
    pub children: Vec<ChildrenOut>,
    pub linked: Vec<LinkedOut>,
    pub looks: Vec<Look>,
}

#[derive(Serialize)]
pub struct ReadingOut {
    pub field: &'static str,
    pub label: String,
    pub value: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// Somebody has to look at it still.
    pub pending: bool,
    /// Characters of the text.
    pub place: (usize, usize),
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmation>,
}

#[derive(Serialize)]
pub struct PartyOut {
    /// Its place in the list, by which other cases are asked for.
    pub number: usize,
    pub role: String,
    pub name: String,
    pub being: Being,
    /// Other cases can be asked for: the name is whole.
    pub followed: bool,
}

#[derive(Serialize)]
pub struct LimitOut {
    pub rule: String,
    pub label: String,
    pub from: Option<NaiveDate>,
    pub due: Option<NaiveDate>,
    pub ended: Option<NaiveDate>,
    pub state: &'static str,
    pub days_left: Option<i64>,
    pub basis: Vec<String>,
}

#[derive(Serialize)]
pub struct ChildrenOut {
    pub dataset: String,
    pub label: String,
    pub columns: Vec<String>,
    /// `[id, cells…]` with labels for codes.
    pub rows: Vec<Vec<String>>,
}

/// What a document's text says; nothing where no file declares how to read it.
pub fn read(app: &App, found: &Found) -> Option<Extracted> {
    let rules = rules(&app.catalogue(), &found.dataset.name)?;
    match found.fields.get(&rules.text) {
        Some(Value::Text(text)) => Some(extract::judgment(text)),
        _ => None,
    }
}

/// Keeps the opening of a case in the audit stream.
pub fn note_open(app: &App, auth: &Auth, dataset: &str, id: &str) {
    let event = AuditEvent::new(&auth.principal.user, "open_case")
        .dataset(dataset)
        .record(id)
        .purpose(auth.principal.purpose.clone());
    app.store.log.audit_later(event);
}

fn masked(name: &str) -> bool {
    name.contains(['某', '×', '*', '＊']) || name.chars().count() < 2
}

/// The case file of a document, beside its texts
#[utoipa::path(get, path = "/api/v1/cases/{dataset}/{id}/file", tag = "search", operation_id = "get_case_file", params(("dataset" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Object), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn file(
    State(app): State<App>,
    auth: Auth,
    language: Language,
    Path((dataset, id)): Path<(String, String)>,
) -> Result<Json<CaseFileOut>> {
    let found = document(&app, &auth, &dataset, &id).await?;
    app.store.log.flush_audit().await;
    let said = app.store.searches.confirmations(&dataset, &found.id).await?;
    let extracted = read(&app, &found);
    let (readings, sections, parties) = match &extracted {
        Some(read) => (readings(&app, &found, read, &said), read.sections.clone(), parties(read)),
        None => Default::default(),
    };
    let mut linked = referring(&app, &auth, &found).await?;
    if let Some(read) = &extracted {
        linked.extend(linked_by_text(&app, &auth, &found, read, &said).await?);
    }
    Ok(Json(CaseFileOut {
        readings,
        sections,
        parties,
        limits: limits(&app, &auth, &found).await?,
        children: children(&app, &auth, &found, language).await?,
        linked,
        looks: app.store.searches.looks(&dataset, &found.id, 50).await?,
        id: found.id,
        dataset,
    }))
}

fn readings(app: &App, found: &Found, read: &Extracted, said: &[Confirmation]) -> Vec<ReadingOut> {
    let catalogue = app.catalogue();
    let Some(rules) = rules(&catalogue, &found.dataset.name) else { return Vec::new() };
    let readings = rules.read(read).into_iter().filter(|r| r.field != "parties");
    readings
        .map(|r| {
            let field = found.dataset.field(r.field);
            let confirmed = said.iter().find(|c| c.item == format!("field:{}", r.field)).cloned();
            // What came with the record itself was not read and needs no confirmation.
            let given = found.fields.get(r.field).map(Value::to_text).filter(|t| !t.is_empty());
            let settled = given.as_ref().is_some_and(|g| {
                !found
                    .fields
                    .get("to_confirm")
                    .is_some_and(|p| p.to_text().contains(field.map_or("", |f| f.label.zh.as_str())))
                    && !g.is_empty()
            });
            ReadingOut {
                field: r.field,
                label: field.map_or_else(|| r.field.to_string(), |f| f.label.zh.clone()),
                value: field.map_or_else(
                    || r.value.clone(),
                    |f| field_text(&catalogue, f, &Value::Text(r.value.clone()), Lang::Zh),
                ),
                confidence: r.confidence,
                pending: r.pending && !settled && confirmed.is_none(),
                place: r.place,
                confirmed,
            }
        })
        .collect()
}

fn parties(read: &Extracted) -> Vec<PartyOut> {
    let out = read.parties.iter().enumerate().map(|(number, party)| PartyOut {
        number,
        role: party.role.clone(),
        name: party.name.clone(),
        being: party.being,
        followed: !masked(&party.name) && party.confidence >= 0.6 && !party.role.contains("公诉机关"),
    });
    out.collect()
}

/// The stages of a document, or of the case that it belongs to and that the asker may see.
pub async fn stages(app: &App, auth: &Auth, found: &Found, lang: Lang) -> Result<Vec<TimelineEntry>> {
    let own = super::cases::timeline(app, auth, found, lang).await?;
    let Some(case) = found.fields.get("case_id").map(Value::to_text).filter(|id| own.is_empty() && !id.is_empty())
    else {
        return Ok(own);
    };
    match document(app, auth, "case", &case).await {
        Ok(case) => super::cases::timeline(app, auth, &case, lang).await,
        Err(error) if matches!(error.class(), ErrorClass::NotFound | ErrorClass::Forbidden) => Ok(own),
        Err(error) => Err(error),
    }
}

/// Stages of the case under the deadline rules; only limits whose end this instance records.
async fn limits(app: &App, auth: &Auth, found: &Found) -> Result<Vec<LimitOut>> {
    let catalogue = app.catalogue();
    let (Some(codes), true) =
        (catalogue.codes("case_stage"), found.fields.get("kind").is_some_and(|k| k.to_text() == "criminal"))
    else {
        return Ok(Vec::new());
    };
    let parent = match found.dataset.name.as_str() {
        "case" => found.id.clone(),
        _ => found.fields.get("case_id").map(Value::to_text).unwrap_or_default(),
    };
    let Some(child) = catalogue.dataset("case_event").filter(|d| catalogue.policy().may_list_rows(&auth.principal, d))
    else {
        return Ok(Vec::new());
    };
    if parent.is_empty() {
        return Ok(Vec::new());
    }
    let query = Query {
        dataset: child.name.clone(),
        rows: vec!["stage".into(), "occurred_on".into()],
        filter: super::search::equals("case_id", &parent),
        limit: Some(500),
        ..Query::default()
    };
    let answer = app.ask(&auth.principal, &query, false).await?;
    let events = answer.table.rows.iter().filter_map(|row| match row.as_slice() {
        [Value::Text(stage), Value::Date(date), ..] => Some(Event { name: stage.clone(), date: Some(*date), to: None }),
        _ => None,
    });
    let events: Vec<Event> = events.collect();
    let as_of = zonglan_catalog::time::to_local(app.data_time("case_event")).date();
    let custody = events.iter().any(|e| matches!(e.name.as_str(), "detained" | "arrested"));
    let case = Events::new(events, BTreeMap::from([("custody".to_string(), custody)]));
    let rules = Rules::load(&catalogue)?;
    let context = deadline::Context { rules: &rules, calendar: catalogue.calendar(), as_of, explain: false };
    let mut out = Vec::new();
    for assessment in deadline::assess_all(&case, context) {
        let rule = rules.get(&assessment.rule)?;
        for limit in assessment.limits {
            let Some(definition) = rule.limit.iter().find(|l| l.name == limit.limit) else { continue };
            let recorded = definition.end.iter().any(|name| codes.get(name).is_some());
            let Some(spell) = limit.spells.last().filter(|_| recorded) else { continue };
            out.push(LimitOut {
                rule: rule.name.clone(),
                label: limit.label,
                from: spell.trigger,
                due: limit.due,
                ended: spell.end,
                state: limit.state.zh(),
                days_left: spell.end.is_none().then_some(limit.days_left).flatten(),
                basis: definition.basis.clone(),
            });
        }
    }
    out.sort_by_key(|l| (l.from, l.due));
    Ok(out)
}

/// Rows of the child datasets that the asker may list.
async fn children(app: &App, auth: &Auth, found: &Found, language: Language) -> Result<Vec<ChildrenOut>> {
    let catalogue = app.catalogue();
    let mut out = Vec::new();
    for child in
        catalogue.children(&found.dataset.name).filter(|d| catalogue.policy().may_list_rows(&auth.principal, d))
    {
        let Some(parent) = &child.parent else { continue };
        let key = child.key.first().cloned().unwrap_or_default();
        let columns: Vec<String> =
            child.list_fields().into_iter().filter(|f| *f != parent.field && *f != key).map(str::to_string).collect();
        let query = Query {
            dataset: child.name.clone(),
            rows: std::iter::once(key).filter(|k| !k.is_empty()).chain(columns.iter().cloned()).collect(),
            filter: super::search::equals(&parent.field, &found.id),
            order: child.time.iter().cloned().collect(),
            limit: Some(MOST_CHILDREN),
            ..Query::default()
        };
        let bound = app.bind(&auth.principal, &query)?;
        let answer = app.answer(&bound, language.english()).await?;
        super::query::note_personal_read(app, &auth.principal, &bound, answer.table.rows.len());
        if answer.table.rows.is_empty() {
            continue;
        }
        let cell = |at: usize, value: &Value| {
            let field = answer.table.columns.get(at).and_then(|c| child.field(&c.name));
            field.map_or_else(|| value.to_text(), |f| field_text(&catalogue, f, value, language.0))
        };
        out.push(ChildrenOut {
            dataset: child.name.clone(),
            label: language.0.pick(&child.label).to_string(),
            columns: columns
                .iter()
                .map(|c| child.field(c).map_or_else(|| c.clone(), |f| language.0.pick(&f.label).to_string()))
                .collect(),
            rows: answer
                .table
                .rows
                .iter()
                .map(|row| row.iter().enumerate().map(|(i, v)| cell(i, v)).collect())
                .collect(),
        });
    }
    Ok(out)
}

#[derive(Serialize, ToSchema)]
pub struct PartyCase {
    pub id: String,
    pub title: String,
    pub court: String,
    pub date: String,
    /// The role in that case.
    pub role: String,
}

/// Other cases of a party of this case that the asker may see, with the role in each
#[utoipa::path(get, path = "/api/v1/cases/{dataset}/{id}/parties/{number}", tag = "search", operation_id = "list_party_cases",
    params(("dataset" = String, Path), ("id" = String, Path), ("number" = usize, Path, description = "place in the list of parties of the case file")),
    responses((status = 200, body = Vec<PartyCase>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn party(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id, number)): Path<(String, String, usize)>,
) -> Result<Json<Vec<PartyCase>>> {
    // The party comes from a case that the asker may see: names cannot be put in from outside.
    let found = document(&app, &auth, &dataset, &id).await?;
    let none = || Error::not_found("case.party", "没有这个当事人，或姓名已隐去 (no such party)");
    let read = read(&app, &found).ok_or_else(none)?;
    let shown = parties(&read).into_iter().nth(number).filter(|p| p.followed).ok_or_else(none)?;
    let rules = rules(&app.catalogue(), &dataset).ok_or_else(none)?;
    let event = AuditEvent::new(&auth.principal.user, "party_cases")
        .dataset(&dataset)
        .record(&found.id)
        .purpose(auth.principal.purpose.clone())
        .detail(serde_json::json!({"party": number, "role": shown.role}));
    app.store.log.audit(event).await?;
    let request = SearchRequest {
        dataset: dataset.clone(),
        query: format!("\"{}\"", shown.name.replace('"', "")),
        limit: MOST_CANDIDATES,
        ..SearchRequest::default()
    };
    let bound = app.bind_search(&auth.principal, &request)?;
    let mut out = Vec::new();
    for hit in app.search(&bound).await?.hits.into_iter().filter(|h| h.id != found.id) {
        let Some(text) = text_of(&app, &bound, &hit.id, &rules.text).await? else { continue };
        let other = tokio::task::spawn_blocking(move || extract::judgment(&text)).await.map_err(Error::internal)?;
        // Named in the text is not enough: a party of that case has the same name.
        let roles: Vec<&str> = other.parties.iter().filter(|p| p.name == shown.name).map(|p| p.role.as_str()).collect();
        if roles.is_empty() {
            continue;
        }
        let field = |name: &str| hit.fields.get(name).map(Value::to_text).unwrap_or_default();
        out.push(PartyCase {
            title: title(&found.dataset, &hit.fields, &hit.id),
            court: field("court"),
            date: field("judged_on"),
            role: roles.join("、"),
            id: hit.id,
        });
    }
    Ok(Json(out))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmIn {
    /// `field:court`, or `link:judgment/WS1`.
    pub item: String,
    /// As read, or as corrected.
    #[serde(default)]
    pub value: String,
    /// `confirmed`, `corrected`, `rejected`.
    pub verdict: String,
}

/// Confirm, correct or reject a value read from the text, or a link
#[utoipa::path(post, path = "/api/v1/cases/{dataset}/{id}/confirmations", tag = "search", operation_id = "confirm_reading", params(("dataset" = String, Path), ("id" = String, Path)), request_body = ConfirmIn,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn confirm(
    State(app): State<App>,
    auth: Auth,
    Path((dataset, id)): Path<(String, String)>,
    ValidatedJson(body): ValidatedJson<ConfirmIn>,
) -> Result<Json<Vec<Confirmation>>> {
    let found = document(&app, &auth, &dataset, &id).await?;
    let known = match body.item.split_once(':') {
        Some(("field", name)) => found.dataset.field(name).is_some(),
        Some(("link", target)) => match target.split_once('/') {
            // Only what the asker may see can be linked, and only by those who may see both.
            Some((other, other_id)) => document(&app, &auth, other, other_id).await.is_ok(),
            None => false,
        },
        _ => false,
    };
    if !known
        || !["confirmed", "corrected", "rejected"].contains(&body.verdict.as_str())
        || body.value.chars().count() > 2_000
    {
        return Err(Error::user(
            "case.confirm",
            "item 须为 field:字段 或 link:数据集/编号，verdict 须为 confirmed、corrected 或 rejected",
        ));
    }
    let event = AuditEvent::new(&auth.principal.user, "confirm")
        .dataset(&dataset)
        .record(&found.id)
        .purpose(auth.principal.purpose.clone())
        .detail(serde_json::json!({"item": body.item, "verdict": body.verdict}));
    app.store.log.audit(event).await?;
    let word = |dataset: &str, record: &str, item: String| Confirmation {
        dataset: dataset.into(),
        record: record.into(),
        item,
        value: body.value.clone(),
        verdict: body.verdict.clone(),
        by: auth.principal.user.clone(),
        at: 0,
    };
    app.store.searches.confirm(word(&dataset, &found.id, body.item.clone())).await?;
    // A link is one word for both ends.
    if let Some((other, other_id)) = body.item.strip_prefix("link:").and_then(|t| t.split_once('/')) {
        app.store.searches.confirm(word(other, other_id, format!("link:{dataset}/{}", found.id))).await?;
    }
    Ok(Json(app.store.searches.confirmations(&dataset, &found.id).await?))
}

#[derive(Serialize, ToSchema)]
pub struct PendingOut {
    pub id: String,
    pub title: String,
    /// Labels of what is to be confirmed still.
    pub items: String,
}

/// List documents with values that are to be confirmed
#[utoipa::path(get, path = "/api/v1/cases/{dataset}/pending", tag = "search", operation_id = "list_pending", params(("dataset" = String, Path)),
    responses((status = 200, body = Vec<PendingOut>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn pending(State(app): State<App>, auth: Auth, Path(dataset): Path<String>) -> Result<Json<Vec<PendingOut>>> {
    let definition = crate::extract::readable(&app, &auth, &dataset)?;
    let ([key], Some(field)) = (definition.key.as_slice(), definition.field(crate::extracting::PENDING)) else {
        return Ok(Json(Vec::new()));
    };
    let mut rows = vec![key.clone(), field.name.clone()];
    rows.extend(definition.title.clone().filter(|t| t != key));
    let query = Query {
        dataset: dataset.clone(),
        rows,
        filter: Filter::Not(Box::new(Filter::IsNull { field: field.name.clone() })),
        limit: Some(200),
        ..Query::default()
    };
    let answer = app.ask(&auth.principal, &query, false).await?;
    let mut out = Vec::new();
    for row in &answer.table.rows {
        let id = row.first().map(Value::to_text).unwrap_or_default();
        let said = app.store.searches.confirmations(&dataset, &id).await?;
        let asked = row.get(1).map(Value::to_text).unwrap_or_default();
        let open = asked.split('、').filter(|label| {
            let name = definition.field.iter().find(|f| f.label.zh == **label).map(|f| format!("field:{}", f.name));
            !said.iter().any(|c| Some(&c.item) == name.as_ref())
        });
        let items = open.collect::<Vec<_>>().join("、");
        if !items.is_empty() {
            out.push(PendingOut {
                title: row.get(2).map(Value::to_text).filter(|t| !t.is_empty()).unwrap_or_else(|| id.clone()),
                id,
                items,
            });
        }
    }
    Ok(Json(out))
}
