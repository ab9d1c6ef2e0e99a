//! Answering: searches, single documents, and keys of rows for other engines.

use crate::asked::Asked;
use crate::collect::{ColumnName, Counted, Found, Gather, Ranked, Sort};
use crate::condition::{condition, text_condition};
use crate::error::SearchError;
use crate::hit::{LONG_TEXT, Wanted, hit, shown};
use crate::plan::{Assumed, Mode};
use crate::query::{Names, Query};
use crate::rules::Knowledge;
use crate::schema::{REGISTERS, column, held, int_value, values_of};
use crate::shelf::Shelf;
use crate::{Indexes, Inner};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tantivy::collector::TopDocs;
use tantivy::query::{AllQuery, BooleanQuery, Query as EngineQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{Searcher, TantivyDocument, TantivyError};
use zonglan_catalog::batch::{RowKey, date_of};
use zonglan_catalog::bind::BoundSearch;
use zonglan_catalog::dataset::{Dataset, FieldType};
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::search::{
    Bucket, Correction, Facet, Histogram, Hit, Likeness, ParsedQuery, SearchPage, SimilarPage, Step, Suggestion,
};
use zonglan_catalog::time::Grain;
use zonglan_catalog::traits::{Cancel, DatasetState, SearchIndex, TextResolver};
use zonglan_catalog::value::Value;

/// Values of a facet that are given.
const FACET_VALUES: usize = 50;

/// Hits that are ordered anew by the sections in which the words stand.
const RERANKED: usize = 50;

/// Bars of a histogram without gaps; beyond that gaps stay.
const MOST_BARS: usize = 4_000;

/// Tells learned factors from those of files.
const LEARNED: u64 = 1 << 63;

/// One whole document, as the asker may see it.
#[derive(Debug, Clone, Default)]
pub struct Document {
    pub id: String,
    /// All values that the index holds, masked as the asker's role says.
    pub fields: BTreeMap<String, Value>,
    /// Spans of searched texts that match the request's query, in characters; no masked fields.
    pub marks: BTreeMap<String, Vec<(usize, usize)>>,
}

#[async_trait]
impl SearchIndex for Indexes {
    async fn search(&self, search: &BoundSearch, cancel: &Cancel) -> Result<SearchPage> {
        let (inner, bound, cancel) = (self.0.clone(), search.clone(), cancel.clone());
        evenly(search, move || inner.search(&bound, &cancel)).await
    }

    async fn similar(&self, search: &BoundSearch, like: &Likeness, cancel: &Cancel) -> Result<SimilarPage> {
        let (indexes, bound, like, cancel) = (self.clone(), search.clone(), like.clone(), cancel.clone());
        evenly(search, move || indexes.similar_blocking(&bound, &like, &cancel)).await
    }

    async fn suggest(&self, search: &BoundSearch, _cancel: &Cancel) -> Result<Vec<Suggestion>> {
        let (indexes, bound) = (self.clone(), search.clone());
        evenly(search, move || indexes.suggest_blocking(&bound)).await
    }

    async fn did_you_mean(&self, search: &BoundSearch, _cancel: &Cancel) -> Result<Option<Correction>> {
        let (indexes, bound) = (self.clone(), search.clone());
        evenly(search, move || indexes.correct_blocking(&bound)).await
    }

    fn parse_query(&self, dataset: &Dataset, text: &str) -> ParsedQuery {
        let names = Names::of(dataset);
        let query = Query::parse(text, &names);
        ParsedQuery { query: query.print(&names), chips: query.chips(&names), problems: query.problems }
    }

    fn state(&self, dataset: &str) -> DatasetState {
        self.state_of(dataset)
    }
}

/// Answers of those who may not see every row come at whole steps of time: how long the index worked
/// would tell of hidden rows that have the words.
const STEP: Duration = Duration::from_millis(8);

/// Runs the work on a thread of its own; see [`STEP`].
async fn evenly<T: Send + 'static>(
    search: &BoundSearch,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let start = Instant::now();
    let answer = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    if !search.full_view() && !search.row_rule().is_true() {
        let steps = start.elapsed().as_micros() / STEP.as_micros() + 1;
        let until = STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
        tokio::time::sleep(until.saturating_sub(start.elapsed())).await;
    }
    answer
}

impl TextResolver for Indexes {
    fn matching_keys(&self, dataset: &str, field: &str, text: &str, limit: usize) -> Result<Vec<RowKey>> {
        let catalogue = self.0.catalogue();
        let missing = || SearchError::Field { field: format!("{dataset}.{field}"), reason: "不存在" };
        let dataset = catalogue.dataset(dataset).ok_or_else(missing)?;
        let field = dataset.field(field).ok_or_else(missing)?;
        let Some(shelf) = self.0.serving(dataset)? else { return Ok(Vec::new()) };
        let fail = SearchError::engine(&shelf.name);
        let query = within(&shelf, dataset, text_condition(&shelf.slots, dataset, field, text)?);
        let keys = shelf.searcher().search(&query, &crate::keys::Keys { limit }).map_err(&fail)?;
        if keys.len() > limit {
            return Err(SearchError::TooMany { text: text.to_string(), limit }.into());
        }
        Ok(keys)
    }
}

impl Indexes {
    /// Blocking form of the search, for callers without a runtime.
    pub fn search_blocking(&self, search: &BoundSearch, cancel: &Cancel) -> Result<SearchPage> {
        self.0.search(search, cancel)
    }

    /// The document with this id, if the row rule of the binding shows it; the request's query
    /// is marked in it, its filters do not apply. Takes milliseconds; blocking.
    pub fn get(&self, search: &BoundSearch, id: &str) -> Result<Option<Document>> {
        let dataset = search.dataset();
        let Some(shelf) = self.0.serving(dataset)? else { return Ok(None) };
        let slots = &shelf.slots;
        let fail = SearchError::engine(&shelf.name);
        let query = BooleanQuery::intersection(vec![
            Box::new(TermQuery::new(slots.ds_term(&dataset.name), IndexRecordOption::Basic)) as Box<dyn EngineQuery>,
            Box::new(TermQuery::new(slots.id_term(id), IndexRecordOption::Basic)),
            condition(slots, dataset, search.row_rule())?,
        ]);
        let searcher = shelf.searcher();
        let found = searcher.search(&query, &TopDocs::with_limit(1).order_by_score()).map_err(&fail)?;
        let Some((_, address)) = found.into_iter().next() else { return Ok(None) };
        let stored: TantivyDocument = searcher.doc(address).map_err(&fail)?;
        let (id, values) = values_of(slots, dataset, &stored);
        let targets = Wanted::new(search, &Asked::of(&self.0, search)?);
        let mut document = Document { id, ..Document::default() };
        for (name, value) in values {
            let Some(value) = shown(search, &name, value) else { continue };
            if let (Value::Text(text), Some(targets)) = (&value, targets.of(search, &name)) {
                let marks = targets.marks(text);
                if !marks.is_empty() {
                    document.marks.insert(name.clone(), marks);
                }
            }
            document.fields.insert(name, value);
        }
        Ok(Some(document))
    }
}

impl Inner {
    pub(crate) fn search(&self, search: &BoundSearch, cancel: &Cancel) -> Result<SearchPage> {
        let dataset = search.dataset();
        let request = search.request();
        let asked = Asked::of(self, search)?;
        let Some(shelf) = self.serving(dataset)? else { return Ok(SearchPage::default()) };
        let searcher = shelf.searcher();
        let found = self.find(&shelf, &searcher, search, &asked, cancel)?;
        let wanted = Wanted::new(search, &asked);
        let page = found.top.iter().skip(request.offset).take(request.limit);
        let mut hits: Vec<Hit> =
            page.map(|ranked| hit(&shelf, &searcher, search, &wanted, ranked)).collect::<Result<_>>()?;
        if request.explain && search.full_view() {
            hits.iter_mut().for_each(|hit| hit.explanation = asked.explain(dataset, hit));
        }
        let facets = request
            .facets
            .iter()
            .cloned()
            .zip(found.facets.iter().zip(&request.facets).map(|(counts, name)| self.facet(dataset, name, counts)));
        Ok(SearchPage {
            total: found.total,
            hits,
            facets: facets.collect(),
            histogram: request.histogram.as_ref().map(|h| buckets(h.step, &found.days)).unwrap_or_default(),
            problems: asked.query.problems,
            as_of: shelf.dataset(&dataset.name).map(|d| d.at),
        })
    }

    /// Counts all matching rows and orders the best of them.
    pub(crate) fn find(
        &self,
        shelf: &Arc<Shelf>,
        searcher: &Searcher,
        search: &BoundSearch,
        asked: &Asked,
        cancel: &Cancel,
    ) -> Result<Found> {
        let dataset = search.dataset();
        let request = search.request();
        let scoring = !asked.query.is_empty();
        let by_score = scoring && matches!(request.sort.as_deref(), None | Some("" | "relevance"));
        let reranked = by_score && asked.rules().is_some_and(|r| !r.section.is_empty());
        let wanted_top = if request.limit == 0 { 0 } else { request.offset.saturating_add(request.limit) };
        let mut factors = Vec::new();
        if by_score && asked.knowledge.orders(&dataset.name) {
            factors.push(shelf.factors(searcher, asked.knowledge.key, |s| asked.knowledge.factors(dataset, s))?);
        }
        if let Some(learned) = asked.learned.as_ref().filter(|l| by_score && l.group_field().is_some()) {
            let key = asked.knowledge.key ^ LEARNED;
            factors.push(shelf.factors(searcher, key, |s| Knowledge::learned_factors(dataset, learned, s))?);
        }
        let mention = asked.rules().filter(|_| by_score).map(|r| r.mention.as_slice()).unwrap_or_default();
        let mentions = mention.iter().filter(|m| !search.masks().contains_key(&m.field));
        let gather = Gather {
            top: if reranked && wanted_top > 0 { wanted_top.max(RERANKED) } else { wanted_top },
            sort: sort_of(search, scoring)?,
            scoring,
            time: dataset.time.as_ref().map(|name| column(dataset, name)),
            facets: request.facets.iter().map(|name| facet_column(search, name)).collect::<Result<_, _>>()?,
            days: request.histogram.as_ref().map(|h| days_column(search, h)).transpose()?,
            factors,
            mentions: mentions.map(|m| (column(dataset, &m.field), m.weight)).collect(),
            text: asked.named.clone(),
            cancel: cancel.clone(),
        };
        let mut found = self.run(shelf, searcher, search, asked, Mode::Close, &gather)?;
        if found.total == 0 && !asked.clauses.is_empty() {
            // Nothing is close: better something alike than nothing.
            found = self.run(shelf, searcher, search, asked, Mode::Any, &gather)?;
        }
        if reranked {
            let wanted = Wanted::new(search, asked);
            self.rerank(shelf, searcher, search, asked, &wanted, &mut found.top)?;
        }
        Ok(found)
    }

    fn run(
        &self,
        shelf: &Shelf,
        searcher: &Searcher,
        search: &BoundSearch,
        asked: &Asked,
        mode: Mode,
        gather: &Gather,
    ) -> Result<Found> {
        let query = asked.compile(shelf, searcher, search, mode)?;
        let found = if counted(shelf, search) {
            searcher.search(&query, gather)
        } else {
            searcher.search_with_statistics_provider(&query, gather, &Assumed)
        };
        Ok(found.map_err(|error| match error {
            TantivyError::InternalError(text) if text == "cancelled" => SearchError::Cancelled,
            error => SearchError::Engine { index: shelf.name.clone(), source: error },
        })?)
    }

    /// Orders the first hits anew by the sections in which the words stand.
    fn rerank(
        &self,
        shelf: &Shelf,
        searcher: &Searcher,
        search: &BoundSearch,
        asked: &Asked,
        wanted: &Wanted,
        top: &mut [Ranked],
    ) -> Result<()> {
        let Some(rules) = asked.rules() else { return Ok(()) };
        let count = top.len().min(RERANKED);
        let fail = SearchError::engine(&shelf.name);
        for ranked in &mut top[..count] {
            let stored: TantivyDocument = searcher.doc(ranked.address).map_err(&fail)?;
            let (_, values) = values_of(&shelf.slots, search.dataset(), &stored);
            let best = values.iter().filter_map(|(name, value)| {
                let text = value.as_str().filter(|t| t.len() > 3 * LONG_TEXT)?;
                Some(wanted.of(search, name)?.by_section(text, &|section| rules.section_weight(section)))
            });
            ranked.multiply(1.0 + best.fold(0.0, f32::max));
        }
        top[..count].sort_by(Ranked::order);
        Ok(())
    }

    /// The most frequent values with their labels.
    fn facet(&self, dataset: &Dataset, name: &str, counts: &HashMap<Counted, u64>) -> Vec<Facet> {
        let mut sorted: Vec<(&Counted, u64)> = counts.iter().map(|(value, count)| (value, *count)).collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let catalogue = self.catalogue();
        let field = dataset.field(name);
        let codes = field.and_then(|f| catalogue.codes_of(f));
        sorted
            .into_iter()
            .take(FACET_VALUES)
            .map(|(value, count)| {
                let value = match (value, field) {
                    (Counted::Text(text), _) => text.clone(),
                    (Counted::Int(n), Some(f)) => int_value(f, f.kind, *n).unwrap_or_default().to_text(),
                    (Counted::Int(n), None) => n.to_string(),
                };
                let label = codes.and_then(|list| list.get(&value)).map(|item| item.zh.clone());
                Facet { value, count, label }
            })
            .collect()
    }
}

/// Who may see every row of an index of its own may have its statistics too.
pub(crate) fn counted(shelf: &Shelf, search: &BoundSearch) -> bool {
    search.full_view() || (search.row_rule().is_true() && shelf.name != REGISTERS)
}

/// Counts by day as bars without gaps.
fn buckets(step: Step, counts: &BTreeMap<i64, u64>) -> Vec<Bucket> {
    let grain = match step {
        Step::Year => Grain::Year,
        Step::Month => Grain::Month,
        Step::Day => Grain::Day,
    };
    let mut bars: Vec<Bucket> = Vec::new();
    for (day, count) in counts {
        let Ok(day) = i32::try_from(*day) else { continue };
        let from = grain.floor_date(date_of(day));
        while let Some(last) = bars.last().filter(|b| b.to < from && bars.len() < MOST_BARS) {
            let (from, to) = (last.to, grain.next_date(last.to));
            bars.push(Bucket { from, to, count: 0 });
        }
        match bars.last_mut() {
            Some(last) if last.from == from => last.count += count,
            _ => bars.push(Bucket { from, to: grain.next_date(from), count: *count }),
        }
    }
    bars
}

fn days_column(search: &BoundSearch, histogram: &Histogram) -> Result<(String, bool), SearchError> {
    let dataset = search.dataset();
    let refuse = |field: &str, reason| Err(SearchError::Field { field: field.to_string(), reason });
    let Some(name) = histogram.field.as_ref().or(dataset.time.as_ref()) else {
        return refuse(&dataset.name, "没有时间字段，不能按时间统计");
    };
    let kind = dataset.field(name).map(|f| f.kind);
    match kind {
        Some(FieldType::Date | FieldType::Instant) => {
            Ok((open_column(search, name, "不能统计")?.name, kind == Some(FieldType::Instant)))
        }
        _ => refuse(name, "不是日期，不能按时间统计"),
    }
}

/// Only the dataset's rows, where the index is shared.
pub(crate) fn within(shelf: &Shelf, dataset: &Dataset, query: Box<dyn EngineQuery>) -> Box<dyn EngineQuery> {
    if shelf.name != REGISTERS {
        return query;
    }
    let own = TermQuery::new(shelf.slots.ds_term(&dataset.name), IndexRecordOption::Basic);
    if query.is::<AllQuery>() {
        return Box::new(own);
    }
    Box::new(BooleanQuery::intersection(vec![Box::new(own), query]))
}

/// A column that may be sorted by or counted: a field in the index that the asker sees in clear.
fn open_column(search: &BoundSearch, name: &str, reason: &'static str) -> Result<ColumnName, SearchError> {
    let dataset = search.dataset();
    let refuse = |reason| SearchError::Field { field: name.to_string(), reason };
    let field = dataset.field(name).ok_or_else(|| refuse("不存在"))?;
    if !held(field) || search.masks().contains_key(name) || field.kind == FieldType::Point {
        return Err(refuse(reason));
    }
    Ok(ColumnName { name: column(dataset, name), text: field.kind.is_textual() })
}

fn facet_column(search: &BoundSearch, name: &str) -> Result<ColumnName, SearchError> {
    open_column(search, name, "不能统计")
}

fn sort_of(search: &BoundSearch, words: bool) -> Result<Sort, SearchError> {
    let asked = match search.request().sort.as_deref() {
        None | Some("" | "relevance") if words => return Ok(Sort::Score),
        // Without words everything is equally relevant; equal rows come newest first.
        None | Some("" | "relevance" | "-relevance") => return Ok(Sort::Score),
        Some(asked) => asked,
    };
    let (name, descending) = asked.strip_prefix('-').map_or((asked, false), |name| (name, true));
    Ok(Sort::By { column: open_column(search, name, "不能排序")?, descending })
}
