//! Answering: searches, single documents, and keys of rows for other engines.

use crate::collect::{ColumnName, Counted, Found, Gather, Ranked, Sort};
use crate::error::SearchError;
use crate::highlight::{Targets, lead};
use crate::plan::{Assumed, Mode, Scope, condition, fragments, text_condition, zero};
use crate::query::{Kind, Query};
use crate::schema::{REGISTERS, SHORT_TEXT, column, held, int_value, values_of};
use crate::shelf::Shelf;
use crate::{Indexes, Inner};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tantivy::collector::TopDocs;
use tantivy::query::{AllQuery, BooleanQuery, Occur, Query as EngineQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{Searcher, TantivyDocument, TantivyError};
use zonglan_catalog::batch::RowKey;
use zonglan_catalog::bind::{BoundSearch, mask};
use zonglan_catalog::dataset::{Dataset, Field, SearchMode};
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::filter::Filter;
use zonglan_catalog::search::{Facet, Hit, SearchPage};
use zonglan_catalog::traits::{Cancel, DatasetState, SearchIndex, TextResolver};
use zonglan_catalog::value::Value;

/// Values of a facet that are given.
const FACET_VALUES: usize = 50;

/// Searched texts longer than this are left out of a hit's fields; passages show them.
const LONG_TEXT: usize = 200;

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
        let (inner, search, cancel) = (self.0.clone(), search.clone(), cancel.clone());
        tokio::task::spawn_blocking(move || inner.search(&search, &cancel)).await.map_err(Error::internal)?
    }

    fn state(&self, dataset: &str) -> DatasetState {
        self.state_of(dataset)
    }
}

impl TextResolver for Indexes {
    fn matching_keys(&self, dataset: &str, field: &str, text: &str, limit: usize) -> Result<Vec<RowKey>> {
        let catalogue = self.0.catalogue();
        let missing = || SearchError::Field { field: format!("{dataset}.{field}"), reason: "不存在" };
        let dataset = catalogue.dataset(dataset).ok_or_else(missing)?;
        let field = dataset.field(field).ok_or_else(missing)?;
        let Some(shelf) = self.0.shelf(dataset, false)? else { return Ok(Vec::new()) };
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
        let Some(shelf) = self.0.shelf(dataset, false)? else { return Ok(None) };
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
        let targets = Wanted::new(search, &Query::parse(&search.request().query));
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
        let Some(shelf) = self.shelf(dataset, false)? else { return Ok(SearchPage::default()) };
        let query = Query::parse(&request.query);
        let gather = Gather {
            top: if request.limit == 0 { 0 } else { request.offset.saturating_add(request.limit) },
            sort: sort_of(search, &query)?,
            scoring: !query.is_empty(),
            time: dataset.time.as_ref().map(|name| column(dataset, name)),
            facets: request.facets.iter().map(|name| facet_column(search, name)).collect::<Result<_, _>>()?,
            cancel: cancel.clone(),
        };
        let searcher = shelf.searcher();
        let mut found = self.run(&shelf, &searcher, search, &query, Mode::Close, &gather)?;
        if found.total == 0 && query.of(Kind::Word).next().is_some() {
            // Nothing is close: better something alike than nothing.
            found = self.run(&shelf, &searcher, search, &query, Mode::Any, &gather)?;
        }
        let wanted = Wanted::new(search, &query);
        let page = found.top.iter().skip(request.offset).take(request.limit);
        let hits = page.map(|ranked| hit(&shelf, &searcher, search, &wanted, ranked)).collect::<Result<_>>()?;
        let facets = request
            .facets
            .iter()
            .cloned()
            .zip(found.facets.iter().zip(&request.facets).map(|(counts, name)| self.facet(dataset, name, counts)));
        Ok(SearchPage {
            total: found.total,
            hits,
            facets: facets.collect(),
            histogram: Vec::new(),
            problems: Vec::new(),
            as_of: shelf.dataset(&dataset.name).map(|d| d.at),
        })
    }

    fn run(
        &self,
        shelf: &Shelf,
        searcher: &Searcher,
        search: &BoundSearch,
        query: &Query,
        mode: Mode,
        gather: &Gather,
    ) -> Result<Found> {
        let dataset = search.dataset();
        // Who may see every row of an index of its own may have its statistics too.
        let counted = search.full_view() || (search.row_rule().is_true() && shelf.name != REGISTERS);
        let scope = Scope::new(&shelf.slots, dataset, !counted, |field| !search.masks().contains_key(&field.name));
        let mut parts: Vec<(Occur, Box<dyn EngineQuery>)> = vec![(
            Occur::Must,
            zero(within(
                shelf,
                dataset,
                condition(&shelf.slots, dataset, &search.row_rule().clone().and(search.filter().clone()))?,
            )),
        )];
        if let Some(words) = scope.query(query, mode) {
            parts.push((Occur::Must, words));
        }
        let query = BooleanQuery::new(parts);
        let found = if counted {
            searcher.search(&query, gather)
        } else {
            searcher.search_with_statistics_provider(&query, gather, &Assumed)
        };
        Ok(found.map_err(|error| match error {
            TantivyError::InternalError(text) if text == "cancelled" => SearchError::Cancelled,
            error => SearchError::Engine { index: shelf.name.clone(), source: error },
        })?)
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

/// Only the dataset's rows, where the index is shared.
fn within(shelf: &Shelf, dataset: &Dataset, query: Box<dyn EngineQuery>) -> Box<dyn EngineQuery> {
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
    if !held(field) || search.masks().contains_key(name) || field.kind == zonglan_catalog::FieldType::Point {
        return Err(refuse(reason));
    }
    Ok(ColumnName { name: column(dataset, name), text: field.kind.is_textual() })
}

fn facet_column(search: &BoundSearch, name: &str) -> Result<ColumnName, SearchError> {
    open_column(search, name, "不能统计")
}

fn sort_of(search: &BoundSearch, query: &Query) -> Result<Sort, SearchError> {
    let asked = match search.request().sort.as_deref() {
        None | Some("" | "relevance") if !query.is_empty() => return Ok(Sort::Score),
        // Without words everything is equally relevant; equal rows come newest first.
        None | Some("" | "relevance" | "-relevance") => return Ok(Sort::Score),
        Some(asked) => asked,
    };
    let (name, descending) = asked.strip_prefix('-').map_or((asked, false), |name| (name, true));
    Ok(Sort::By { column: open_column(search, name, "不能排序")?, descending })
}

/// A value as the asker may see it. `None`: not at all.
fn shown(search: &BoundSearch, name: &str, value: Value) -> Option<Value> {
    match search.masks().get(name) {
        None => Some(value),
        // Nothing of a masked long text is shown; masks are made for short values.
        Some(_) if value.as_str().is_some_and(|t| t.chars().count() > SHORT_TEXT) => None,
        Some(how) => Some(mask(&value, *how)),
    }
}

/// What to mark: the words of the query in every searched field, text conditions in theirs.
struct Wanted {
    words: Targets,
    by_field: HashMap<String, Targets>,
}

impl Wanted {
    fn new(search: &BoundSearch, query: &Query) -> Self {
        let words = Targets::new(query);
        let mut by_field: HashMap<String, Targets> = HashMap::new();
        positive(search.filter(), &mut |field, text| {
            by_field.entry(field.to_string()).or_insert_with(|| words.clone()).add(fragments(text));
        });
        Self { words, by_field }
    }

    /// The targets of a searched field in clear.
    fn of(&self, search: &BoundSearch, name: &str) -> Option<&Targets> {
        let searched = search.dataset().field(name).is_some_and(|f: &Field| f.search == SearchMode::Zh);
        (searched && !search.masks().contains_key(name)).then(|| self.by_field.get(name).unwrap_or(&self.words))
    }
}

/// Text conditions that are not negated.
fn positive(filter: &Filter, visit: &mut dyn FnMut(&str, &str)) {
    match filter {
        Filter::And(list) | Filter::Or(list) => list.iter().for_each(|f| positive(f, visit)),
        Filter::Text { field, query } => visit(field, query),
        _ => {}
    }
}

fn hit(shelf: &Arc<Shelf>, searcher: &Searcher, search: &BoundSearch, wanted: &Wanted, ranked: &Ranked) -> Result<Hit> {
    let stored: TantivyDocument = searcher.doc(ranked.address).map_err(SearchError::engine(&shelf.name))?;
    let (id, values) = values_of(&shelf.slots, search.dataset(), &stored);
    let mut hit =
        Hit { id, score: ranked.score, fields: BTreeMap::new(), highlights: Vec::new(), explanation: Vec::new() };
    let mut first_long = None;
    for (name, value) in values {
        let Some(value) = shown(search, &name, value) else { continue };
        if let (Value::Text(text), Some(targets)) = (&value, wanted.of(search, &name)) {
            if !targets.is_empty() {
                hit.highlights.extend(targets.passages(&name, text));
            }
            if text.chars().nth(LONG_TEXT).is_some() {
                first_long.get_or_insert_with(|| lead(&name, text));
                continue;
            }
        }
        hit.fields.insert(name, value);
    }
    if hit.highlights.is_empty() {
        hit.highlights.extend(first_long);
    }
    Ok(hit)
}
