//! What of a found document the asker sees, and what is marked in it.

use crate::analyze::normalise;
use crate::asked::Asked;
use crate::attached;
use crate::collect::Ranked;
use crate::error::SearchError;
use crate::highlight::{Targets, lead};
use crate::near::{Needle, Together};
use crate::plan::Scope;
use crate::query::Query;
use crate::schema::{SHORT_TEXT, values_of};
use crate::shelf::Shelf;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tantivy::{Searcher, TantivyDocument};
use zonglan_catalog::bind::{BoundSearch, mask};
use zonglan_catalog::dataset::{Field, SearchMode};
use zonglan_catalog::error::Result;
use zonglan_catalog::filter::Filter;
use zonglan_catalog::search::Hit;
use zonglan_catalog::value::Value;

/// Searched texts longer than this are left out of a hit's fields; passages show them.
pub(crate) const LONG_TEXT: usize = 200;

/// A value as the asker may see it. `None`: not at all.
pub(crate) fn shown(search: &BoundSearch, name: &str, value: Value) -> Option<Value> {
    match search.masks().get(name) {
        None => Some(value),
        // Nothing of a masked long text is shown; masks are made for short values.
        Some(_) if value.as_str().is_some_and(|t| t.chars().count() > SHORT_TEXT) => None,
        Some(how) => Some(mask(&value, *how)),
    }
}

/// What to mark: the words of the query in every searched field, text conditions in theirs.
pub(crate) struct Wanted {
    words: Targets,
    by_field: HashMap<String, Targets>,
}

impl Wanted {
    pub fn of_targets(words: Targets) -> Self {
        Self { words, by_field: HashMap::new() }
    }

    pub fn new(search: &BoundSearch, asked: &Asked) -> Self {
        let scope = Scope::words(search.dataset(), &asked.knowledge.lexicon, &asked.catalogue);
        let same = asked.clauses.iter().flat_map(|c| asked.knowledge.lexicon.same(&c.raw));
        let mut words = Targets::words(&asked.clauses, same.map(|w| normalise(w)));
        let mut in_fields: Vec<(String, Together)> = Vec::new();
        let parts = asked.query.parts.iter().chain(asked.within.iter().flat_map(|q| &q.parts));
        for part in parts {
            part.positive(None, &mut |field, node| {
                for together in scope.together(node, None) {
                    match field {
                        None => words.add(together),
                        Some(field) => in_fields.push((field.to_string(), together)),
                    }
                }
            });
        }
        let mut by_field: HashMap<String, Targets> = HashMap::new();
        for (field, together) in in_fields {
            by_field.entry(field).or_insert_with(|| words.clone()).add(together);
        }
        positive(search.filter(), &mut |field, text| {
            let targets = by_field.entry(field.to_string()).or_insert_with(|| words.clone());
            let query = Query::words_only(text);
            let whole = query.clauses().into_iter().map(|c| Needle(vec![c.text.into_iter().map(Some).collect()]));
            whole.for_each(|n| targets.add(Together { items: vec![vec![n]], how: None, section: None }));
            for part in &query.parts {
                part.positive(None, &mut |_, node| scope.together(node, None).into_iter().for_each(|t| targets.add(t)));
            }
        });
        Self { words, by_field }
    }

    /// The targets of a searched field in clear.
    pub fn of(&self, search: &BoundSearch, name: &str) -> Option<&Targets> {
        let dataset = search.dataset();
        let field = dataset.field(name).or_else(|| attached::of_name(dataset, name));
        let searched = field.is_some_and(|f: &Field| f.search == SearchMode::Zh);
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

pub(crate) fn hit(
    shelf: &Arc<Shelf>,
    searcher: &Searcher,
    search: &BoundSearch,
    wanted: &Wanted,
    ranked: &Ranked,
) -> Result<Hit> {
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
    if let Some(files) = attached::of(&shelf.slots, &stored)
        && let Some(targets) = wanted.of(search, attached::FIELD).filter(|t| !t.is_empty())
    {
        hit.highlights.extend(files.placed(targets.passages(attached::FIELD, files.text())));
    }
    if hit.highlights.is_empty() {
        hit.highlights.extend(first_long);
    }
    Ok(hit)
}
