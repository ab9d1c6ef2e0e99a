//! `/api/v1/search`: full-text search and what stands around it: similar documents, suggestions,
//! corrections, parsed queries, batches of case numbers.

use super::schemas;
use crate::app::App;
use crate::error::{Error, Problem, Result, request_id};
use crate::extract::{Auth, ValidatedJson, readable};
use crate::store::AuditEvent;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;
use utoipa::ToSchema;
use zonglan_catalog::dataset::SearchMode;
use zonglan_catalog::search::{Chip, Correction, Likeness, ParsedQuery, SimilarPage, Suggestion};
use zonglan_catalog::traits::SearchIndex;
use zonglan_catalog::{Filter, Op, SearchRequest, Value};
use zonglan_models::extract as reading;

/// Case numbers of one batch.
const MOST_NUMBERS: usize = 500;

/// Keeps a search in the audit stream; pages of one search are one entry.
fn note(app: &App, auth: &Auth, action: &str, request: &SearchRequest, detail: serde_json::Value) {
    if request.offset > 0 {
        return;
    }
    let event = AuditEvent::new(&auth.principal.user, action)
        .dataset(&request.dataset)
        .purpose(auth.principal.purpose.clone())
        .detail(detail);
    app.store.log.audit_later(event);
}

/// Search the full texts of a dataset
#[utoipa::path(post, path = "/api/v1/search", tag = "search", operation_id = "search", request_body = schemas::SearchRequest,
    responses((status = 200, body = schemas::SearchPage), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn run(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(request): ValidatedJson<SearchRequest>,
) -> Result<Response> {
    let start = Instant::now();
    let bound = app.bind_search(&auth.principal, &request)?;
    let page = app.search(&bound).await?;
    let detail = serde_json::json!({"query": request.query, "within": request.within, "filters": request.filters.to_json(), "sort": request.sort, "total": page.total, "request": request_id()});
    note(&app, &auth, "search", &request, detail);
    let mut response = Json(page).into_response();
    response.headers_mut().insert("server-timing", super::query::timing(false, start.elapsed()));
    Ok(response)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarIn {
    pub dataset: String,
    /// A document that the asker may see; or `text`.
    pub id: Option<String>,
    /// Pasted facts.
    pub text: Option<String>,
    /// Values that similar documents should have, by field.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub fields: BTreeMap<String, Value>,
    /// Narrows the answer like a search.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub filters: Filter,
    /// 10 unless given, at most 100.
    pub limit: Option<usize>,
}

#[derive(Serialize)]
pub struct SimilarHit {
    pub id: String,
    pub score: f32,
    pub fields: BTreeMap<String, Value>,
    pub highlights: Vec<zonglan_catalog::search::Passage>,
    pub reasons: Vec<zonglan_catalog::search::Reason>,
}

#[derive(Serialize)]
pub struct SimilarOut {
    pub hits: Vec<SimilarHit>,
    /// Values recognised in the pasted text, by field.
    pub recognised: BTreeMap<String, Vec<String>>,
    /// The words it was searched by.
    pub words: Vec<String>,
}

/// Longest text to look for similar documents by, in characters.
const MOST_TEXT: usize = 100_000;

/// Find documents like a document or a pasted text, with reasons
#[utoipa::path(post, path = "/api/v1/search/similar", tag = "search", operation_id = "find_similar", request_body = SimilarIn,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn similar(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<SimilarIn>,
) -> Result<Json<SimilarOut>> {
    let text = body.text.filter(|t| !t.trim().is_empty());
    if body.id.is_some() == text.is_some() {
        return Err(Error::user("search.similar", "请给出 id 或 text 之一 (either id or text)"));
    }
    if text.as_ref().is_some_and(|t| t.chars().count() > MOST_TEXT) {
        return Err(Error::user("search.similar", format!("文字最多 {MOST_TEXT} 字 (the text is too long)")));
    }
    let request = SearchRequest {
        dataset: body.dataset,
        filters: body.filters,
        limit: body.limit.unwrap_or(10).clamp(1, 100),
        ..SearchRequest::default()
    };
    let bound = app.bind_search(&auth.principal, &request)?;
    let like = Likeness { id: body.id, text, fields: body.fields };
    let SimilarPage { hits, recognised, words } = app.similar(&bound, &like).await?;
    let detail = serde_json::json!({"id": like.id, "characters": like.text.as_ref().map(|t| t.chars().count()), "filters": request.filters.to_json(), "request": request_id()});
    note(&app, &auth, "search_similar", &request, detail);
    let hits = hits.into_iter().map(|h| SimilarHit {
        id: h.id,
        score: h.score,
        fields: h.fields,
        highlights: h.highlights,
        reasons: h.explanation,
    });
    Ok(Json(SimilarOut { hits: hits.collect(), recognised, words }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WordsIn {
    pub dataset: String,
    pub query: String,
    /// What the answer is narrowed to.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub filters: Filter,
    pub limit: Option<usize>,
}

impl WordsIn {
    fn request(self, most: usize) -> SearchRequest {
        SearchRequest {
            dataset: self.dataset,
            query: self.query,
            filters: self.filters,
            limit: self.limit.unwrap_or(most).clamp(1, most),
            ..SearchRequest::default()
        }
    }
}

/// Complete what is being typed, from what the asker may see
#[utoipa::path(post, path = "/api/v1/search/suggest", tag = "search", operation_id = "suggest_words", request_body = WordsIn,
    responses((status = 200, body = Vec<Object>), (status = 403, body = Problem)))]
pub async fn suggest(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<WordsIn>,
) -> Result<Json<Vec<Suggestion>>> {
    let bound = app.bind_search(&auth.principal, &body.request(12))?;
    Ok(Json(app.suggest(&bound).await?))
}

/// What a query that finds little probably meant; null where nothing better is known
#[utoipa::path(post, path = "/api/v1/search/correct", tag = "search", operation_id = "correct_query", request_body = WordsIn,
    responses((status = 200, body = Object), (status = 403, body = Problem)))]
pub async fn correct(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<WordsIn>,
) -> Result<Json<Option<Correction>>> {
    let bound = app.bind_search(&auth.principal, &body.request(20))?;
    Ok(Json(app.did_you_mean(&bound).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParseIn {
    pub dataset: String,
    /// The query as typed; or `chips`.
    pub query: Option<String>,
    /// Parts of a query after somebody edited them.
    #[schema(value_type = Option<Vec<Object>>)]
    pub chips: Option<Vec<Chip>>,
}

/// Read a query into its parts, or put edited parts together; no document is looked at
#[utoipa::path(post, path = "/api/v1/search/parse", tag = "search", operation_id = "parse_query", request_body = ParseIn,
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub async fn parse(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<ParseIn>,
) -> Result<Json<ParsedQuery>> {
    let dataset = readable(&app, &auth, &body.dataset)?;
    let text = match (body.query, body.chips) {
        (Some(query), _) => query,
        (None, Some(chips)) => {
            chips.iter().map(|c| c.text.trim()).filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" ")
        }
        (None, None) => String::new(),
    };
    Ok(Json(app.index.parse_query(&dataset, &text)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumbersIn {
    pub dataset: String,
    /// Case numbers in any brackets and width; at most 500.
    pub numbers: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub struct NumberOut {
    pub given: String,
    /// As the program writes it.
    pub number: String,
    /// Documents with this number that the asker may see.
    #[schema(value_type = Vec<Object>)]
    pub hits: Vec<NumberHit>,
}

#[derive(Serialize, ToSchema)]
pub struct NumberHit {
    pub id: String,
    #[schema(value_type = Object)]
    pub fields: BTreeMap<String, Value>,
}

/// Look up a list of case numbers
#[utoipa::path(post, path = "/api/v1/search/numbers", tag = "search", operation_id = "find_numbers", request_body = NumbersIn,
    responses((status = 200, body = Vec<NumberOut>), (status = 400, body = Problem), (status = 403, body = Problem)))]
pub async fn numbers(
    State(app): State<App>,
    auth: Auth,
    ValidatedJson(body): ValidatedJson<NumbersIn>,
) -> Result<Json<Vec<NumberOut>>> {
    let given: Vec<String> = body.numbers.iter().map(|n| n.trim().to_string()).filter(|n| !n.is_empty()).collect();
    if given.len() > MOST_NUMBERS {
        return Err(Error::user(
            "search.numbers",
            format!("一次最多核对 {MOST_NUMBERS} 个案号，收到 {} 个", given.len()),
        ));
    }
    let dataset = readable(&app, &auth, &body.dataset)?;
    let field = ["case_number", dataset.title.as_deref().unwrap_or_default()]
        .into_iter()
        .find(|name| dataset.field(name).is_some_and(|f| f.search != SearchMode::None))
        .ok_or_else(|| Error::user("search.numbers", format!("数据集 {} 没有案号字段", dataset.name)))?
        .to_string();
    let mut out = Vec::with_capacity(given.len());
    for given in given {
        let number = reading::canonical(&given);
        let quoted = format!("\"{}\"", number.replace('"', ""));
        let own = SearchRequest {
            dataset: dataset.name.clone(),
            filters: Filter::Text { field: field.clone(), query: quoted.clone() },
            limit: 20,
            ..SearchRequest::default()
        };
        let mut page = app.search(&app.bind_search(&auth.principal, &own)?).await?;
        // 1号 lies in 11号: the whole number counts.
        page.hits.retain(|h| h.fields.get(&field).is_some_and(|v| reading::canonical(&v.to_text()) == number));
        if page.hits.is_empty() && dataset.searched().next().is_some() {
            // Not as the title of a document, but perhaps in a text: an appeal names the first judgment.
            let cited = SearchRequest { query: quoted, filters: Filter::True, limit: 5, ..own };
            page = app.search(&app.bind_search(&auth.principal, &cited)?).await?;
        }
        let hits = page.hits.into_iter().map(|h| NumberHit { id: h.id, fields: h.fields }).collect();
        out.push(NumberOut { given, number, hits });
    }
    let event = AuditEvent::new(&auth.principal.user, "search_numbers")
        .dataset(&dataset.name)
        .purpose(auth.principal.purpose.clone())
        .detail(
            serde_json::json!({"numbers": out.iter().map(|n| &n.number).collect::<Vec<_>>(), "request": request_id()}),
        );
    app.store.log.audit_later(event);
    Ok(Json(out))
}

/// A filter for one value of a field.
pub fn equals(field: &str, value: &str) -> Filter {
    Filter::Cmp { field: field.to_string(), op: Op::Eq, value: Value::Text(value.to_string()) }
}
