//! Completions of what is being typed, and what was probably meant. Both name only what the asker
//! may see: values and words are counted under the row rule before they are told.

use crate::analyze::{normal, normalise};
use crate::condition::condition;
use crate::error::SearchError;

use crate::asked::Asked;
use crate::plan::Scope;
use crate::query::Node;
use crate::schema::{held, raw_form};
use crate::search::within;
use crate::shelf::Shelf;
use crate::sound;
use crate::{Indexes, Inner};
use std::collections::BTreeSet;
use tantivy::query::{BooleanQuery, EnableScoring, Query as EngineQuery, TermQuery, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{Searcher, Term};
use zonglan_catalog::bind::BoundSearch;
use zonglan_catalog::dataset::{Field, FieldType, SearchMode, Sensitivity};
use zonglan_catalog::error::Result;
use zonglan_catalog::search::{Change, Correction, Suggestion};

/// Values that are looked at for completions.
const LOOKED_AT: usize = 200;
/// Words that are counted for one correction.
const TRIED: usize = 48;
/// Characters of a word that is put right.
const LONGEST: usize = 10;

/// Counts documents under the row rule.
struct Visible<'a> {
    shelf: &'a Shelf,
    searcher: &'a Searcher,
    search: &'a BoundSearch,
}

impl Visible<'_> {
    fn count(&self, query: Box<dyn EngineQuery>) -> Result<u64> {
        let dataset = self.search.dataset();
        let rule = condition(&self.shelf.slots, dataset, self.search.row_rule())?;
        let all = BooleanQuery::intersection(vec![within(self.shelf, dataset, rule), query]);
        let fail = SearchError::engine(&self.shelf.name);
        let weight: Box<dyn Weight> =
            all.weight(EnableScoring::disabled_from_searcher(self.searcher)).map_err(&fail)?;
        let mut count = 0;
        for segment in self.searcher.segment_readers() {
            count += u64::from(weight.count(segment).map_err(&fail)?);
        }
        Ok(count)
    }

    fn having(&self, term: Term) -> Result<u64> {
        self.count(Box::new(TermQuery::new(term, IndexRecordOption::Basic)))
    }
}

impl Indexes {
    /// Completions of the last word of the request's query; blocking.
    pub fn suggest_blocking(&self, search: &BoundSearch) -> Result<Vec<Suggestion>> {
        self.0.suggest(search)
    }

    /// The request's query with words put right; blocking.
    pub fn correct_blocking(&self, search: &BoundSearch) -> Result<Option<Correction>> {
        self.0.correct(search)
    }
}

impl Inner {
    fn suggest(&self, search: &BoundSearch) -> Result<Vec<Suggestion>> {
        let request = search.request();
        let typed: &str = request.query.rsplit(|c: char| normal(c) == ' ').next().unwrap_or_default();
        let typed = typed.trim_matches(['"', '“', '”', '「', '」', '+', '-', '(', '（']);
        let limit = request.limit.clamp(1, 20);
        if typed.is_empty() || typed.chars().count() > 64 {
            return Ok(Vec::new());
        }
        let mut found: Vec<Suggestion> = Vec::new();
        let letters = typed.to_ascii_lowercase();
        let needle = normalise(typed);
        let fits = |word: &[char]| {
            word.starts_with(&needle) || (word.len() > 1 && letters.len() > 1 && sound::spells(&letters, word))
        };
        let knowledge = self.knowledge();
        let terms = knowledge.lexicon.words.iter().filter(|word| fits(&normalise(word)) && word.as_str() != typed);
        found.extend(terms.take(limit / 2 + 1).map(|word| Suggestion {
            text: word.clone(),
            kind: "term".into(),
            field: None,
            count: None,
        }));
        if let Some(shelf) = self.serving(search.dataset())? {
            let searcher = shelf.searcher();
            let visible = Visible { shelf: &shelf, searcher: &searcher, search };
            for field in search.dataset().field.iter().filter(|f| named(search, f)) {
                if found.len() >= limit {
                    break;
                }
                self.values(&visible, field, typed, &fits, limit - found.len(), &mut found)?;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Values of a field that begin with what was typed, as many as are wanted.
    fn values(
        &self,
        visible: &Visible<'_>,
        field: &Field,
        typed: &str,
        fits: &dyn Fn(&[char]) -> bool,
        wanted: usize,
        found: &mut Vec<Suggestion>,
    ) -> Result<()> {
        let (slots, dataset) = (&visible.shelf.slots, visible.search.dataset());
        let mut put = |text: &str, count: u64| {
            if count > 0 && found.iter().all(|s| s.text != text) {
                found.push(Suggestion {
                    text: text.to_string(),
                    kind: "value".into(),
                    field: Some(field.name.clone()),
                    count: Some(count),
                });
                return true;
            }
            false
        };
        let mut given = 0;
        let catalogue = self.catalogue();
        if let Some(codes) = catalogue.codes_of(field) {
            for item in codes.item.iter().filter(|item| fits(&normalise(&item.zh))).take(LOOKED_AT) {
                if given == wanted {
                    break;
                }
                let count = visible.having(slots.attr_text(dataset, &field.name, &raw_form(&item.code)))?;
                given += usize::from(put(&item.zh, count));
            }
            return Ok(());
        }
        let fail = SearchError::engine(&visible.shelf.name);
        let path = slots.attr_text(dataset, &field.name, "").serialized_value_bytes().len();
        let start = slots.attr_text(dataset, &field.name, typed);
        let mut end = start.serialized_value_bytes().to_vec();
        end.push(0xFF);
        let mut values: BTreeSet<String> = BTreeSet::new();
        for segment in visible.searcher.segment_readers() {
            let inverted = segment.inverted_index(slots.attr).map_err(&fail)?;
            let io = |source| SearchError::Io { path: visible.shelf.name.clone(), source };
            let terms = inverted.terms();
            let mut stream = terms.range().ge(start.serialized_value_bytes()).lt(&end).into_stream().map_err(io)?;
            let mut seen = 0;
            while seen < LOOKED_AT && stream.advance() {
                seen += 1;
                if let Some(text) = stream.key().get(path..).and_then(|b| std::str::from_utf8(b).ok()) {
                    values.insert(text.to_string());
                }
            }
        }
        for value in values.iter().take(LOOKED_AT) {
            if given == wanted {
                break;
            }
            let count = visible.having(slots.attr_text(dataset, &field.name, value))?;
            given += usize::from(put(value, count));
        }
        Ok(())
    }

    fn correct(&self, search: &BoundSearch) -> Result<Option<Correction>> {
        let Some(shelf) = self.serving(search.dataset())? else { return Ok(None) };
        let searcher = shelf.searcher();
        let asked = Asked::of(self, search)?;
        let visible = Visible { shelf: &shelf, searcher: &searcher, search };
        let scope = asked.scope(&shelf, &searcher, search);
        let mut words: Vec<String> = asked.clauses.iter().filter(|c| !c.is_number()).map(|c| c.raw.clone()).collect();
        for part in &asked.query.parts {
            if let Node::Has(text) | Node::Phrase(text) = part {
                words.push(text.clone());
            }
        }
        let mut query = search.request().query.clone();
        let mut changes = Vec::new();
        for word in words.into_iter().filter(|w| fit(w)).take(4) {
            if self.there(&visible, &scope, &word)? > 0 {
                continue;
            }
            if let Some(change) = self.better(&visible, &scope, &word)? {
                query = query.replace(&change.from, &change.to);
                changes.push(change);
            }
        }
        Ok((!changes.is_empty()).then_some(Correction { query, changes }))
    }

    /// Visible documents that have the word in a searched field.
    fn there(&self, visible: &Visible<'_>, scope: &Scope<'_>, word: &str) -> Result<u64> {
        visible.count(scope.part(&Node::Phrase(word.to_string()), None)?)
    }

    fn better(&self, visible: &Visible<'_>, scope: &Scope<'_>, word: &str) -> Result<Option<Change>> {
        let chars = normalise(word);
        let letters = word.to_ascii_lowercase();
        let mut tried: Vec<(String, &str)> = Vec::new();
        let knowledge = self.knowledge();
        let catalogue = self.catalogue();
        let codes = visible.search.dataset().field.iter().filter_map(|f| catalogue.codes_of(f));
        let labels: Vec<String> = codes
            .flat_map(|list| list.item.iter().map(|item| item.zh.clone()))
            .flat_map(|label| {
                let core = label.strip_suffix('罪').map(String::from);
                std::iter::once(label).chain(core)
            })
            .collect();
        for known in knowledge.lexicon.words.iter().chain(&labels) {
            let other = normalise(known);
            if other == chars {
                continue;
            }
            if sound::same(&chars, &other) {
                tried.push((known.clone(), "sound"));
            } else if other.len() > 1 && sound::spells(&letters, &other) {
                tried.push((known.clone(), "letters"));
            } else if chars.len() > 2 && one_apart(&chars, &other) {
                tried.push((known.clone(), "edit"));
            }
        }
        // One character that sounds like the one typed, in a word of the texts.
        let fields: Vec<&Field> = scope.fields.iter().copied().filter(|f| f.search == SearchMode::Zh).collect();
        for at in 0..chars.len() {
            for other in sound::alike(chars[at]) {
                let mut changed = chars.clone();
                changed[at] = other;
                let pairs = [
                    at.checked_sub(1).map(|i| [changed[i], changed[at]]),
                    changed.get(at + 1).map(|n| [changed[at], *n]),
                ];
                // Words of pairs that no text has are not worth counting.
                let likely = fields.iter().any(|field| {
                    let name = crate::schema::text_name(visible.search.dataset(), &field.name);
                    pairs.iter().flatten().all(|pair| {
                        visible.searcher.doc_freq(&visible.shelf.slots.gram(&name, pair)).is_ok_and(|n| n > 0)
                    })
                });
                if likely {
                    tried.push((changed.into_iter().collect(), "sound"));
                }
            }
        }
        let mut best: Option<Change> = None;
        for (to, by) in tried.into_iter().take(TRIED) {
            let count = self.there(visible, scope, &to)?;
            if count > 0 && best.as_ref().is_none_or(|b| count > b.count) {
                best = Some(Change { from: word.to_string(), to, by: by.to_string(), count });
            }
        }
        Ok(best)
    }
}

/// Whether a word can be put right: not a sentence, and letters only where they spell one.
fn fit(word: &str) -> bool {
    let most = if word.is_ascii() { 4 * LONGEST } else { LONGEST };
    (2..=most).contains(&word.chars().count())
}

/// Whether values of the field are told in completions.
fn named(search: &BoundSearch, field: &Field) -> bool {
    let title = search.dataset().title.as_ref() == Some(&field.name);
    held(field)
        && (field.search == SearchMode::Keyword || (title && field.search == SearchMode::Zh))
        && matches!(field.kind, FieldType::Text | FieldType::Code | FieldType::Region)
        && field.sensitivity < Sensitivity::Personal
        && !search.masks().contains_key(&field.name)
}

/// Whether one character was changed, added, left out, or two neighbours were swapped.
fn one_apart(a: &[char], b: &[char]) -> bool {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    match (a, b) {
        ([_], [_]) | ([], [_]) | ([_], []) => true,
        ([p, q], [r, s]) => p == s && q == r,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_one_edit_apart() {
        let apart = |a: &str, b: &str| one_apart(&normalise(a), &normalise(b));
        assert!(apart("危险驾使", "危险驾驶") && apart("危险驶", "危险驾驶") && apart("险危驾驶", "危险驾驶"));
        assert!(!apart("危险", "危险") && !apart("盗窃", "诈骗"));
    }
}
