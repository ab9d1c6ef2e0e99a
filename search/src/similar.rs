//! Similar documents: by the words that tell a text from others, and by the fields that a rule file
//! names (charges), with reasons.

use crate::analyze::normalise;
use crate::asked::Asked;
use crate::clause::Clause;
use crate::collect::{Gather, Sort};
use crate::condition::condition;
use crate::error::SearchError;
use crate::highlight::Targets;
use crate::hit::{Wanted, hit};
use crate::near::{Needle, Together};
use crate::plan::{Assumed, Mode, best, zero};
use crate::rules::mentioned;
use crate::schema::{column, text_name};
use crate::search::counted;
use crate::{Indexes, Inner};
use std::collections::{BTreeMap, HashMap};
use tantivy::Term;
use tantivy::query::{Bm25StatisticsProvider, BooleanQuery, BoostQuery, Occur, Query as EngineQuery, TermQuery};
use tantivy::schema::IndexRecordOption;
use zonglan_catalog::bind::BoundSearch;
use zonglan_catalog::dataset::SearchMode;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::search::{Likeness, Reason, SimilarPage};
use zonglan_catalog::traits::Cancel;
use zonglan_catalog::value::Value;

/// Characters of a text that are read, and pairs of them that are searched by.
const READ: usize = 6_000;
const PAIRS: usize = 40;
/// Words that are named as reasons.
const NAMED: usize = 6;

impl Indexes {
    /// Blocking form of the search for similar documents.
    pub fn similar_blocking(&self, search: &BoundSearch, like: &Likeness, cancel: &Cancel) -> Result<SimilarPage> {
        self.0.similar(self, search, like, cancel)
    }
}

impl Inner {
    fn similar(
        &self,
        indexes: &Indexes,
        search: &BoundSearch,
        like: &Likeness,
        cancel: &Cancel,
    ) -> Result<SimilarPage> {
        let dataset = search.dataset();
        let Some(shelf) = self.serving(dataset)? else { return Ok(SimilarPage::default()) };
        let slots = &shelf.slots;
        let mut source: BTreeMap<String, Value> = BTreeMap::new();
        let mut text = like.text.clone().unwrap_or_default();
        if let Some(id) = &like.id {
            let document = indexes.get(search, id)?.ok_or_else(|| {
                Error::not_found("search.unknown", format!("没有编号为 '{id}' 的文档，或您不能查看它"))
            })?;
            for field in
                dataset.field.iter().filter(|f| f.search == SearchMode::Zh && dataset.title.as_ref() != Some(&f.name))
            {
                // A masked field is not searched by: hits would tell it.
                if let Some(value) = document.fields.get(&field.name).and_then(Value::as_str)
                    && !search.masks().contains_key(&field.name)
                {
                    text.push('\n');
                    text.push_str(value);
                }
            }
            source = document.fields;
        }
        for (name, value) in &like.fields {
            let field = dataset.field(name);
            if field.is_none() || search.masks().contains_key(name) {
                return Err(SearchError::Field { field: name.clone(), reason: "不存在，或您不能用作条件" }.into());
            }
            source.insert(name.clone(), value.clone());
        }
        let searcher = shelf.searcher();
        let asked = Asked::of(self, search)?;
        let chars: Vec<char> = normalise(&text).into_iter().take(READ).collect();
        let names: Vec<String> = dataset
            .field
            .iter()
            .filter(|f| f.search == SearchMode::Zh && !search.masks().contains_key(&f.name))
            .map(|f| text_name(dataset, &f.name))
            .collect();
        let whole = counted(&shelf, search);
        let frequency = |term: &Term| -> u64 {
            let n = if whole { searcher.doc_freq(term) } else { Assumed.doc_freq(term) };
            n.unwrap_or(0)
        };
        let documents = if whole { searcher.num_docs() } else { Assumed.total_num_docs().unwrap_or(1) };
        let pairs = telling(&chars, documents, |pair| names.iter().map(|n| frequency(&slots.gram(n, pair))).sum());
        let words = words_of(&chars, &pairs);
        let rules = asked.knowledge.rules(&dataset.name);
        let mention = rules.map(|r| r.mention.as_slice()).unwrap_or_default();
        let mention: Vec<_> = mention.iter().filter(|m| !search.masks().contains_key(&m.field)).collect();
        // What the fields say counts as if the text named it.
        let mut named = chars.clone();
        for value in mention.iter().filter_map(|m| source.get(&m.field)).filter_map(Value::as_str) {
            named.push(' ');
            named.extend(normalise(value));
        }
        if pairs.is_empty() && like.fields.is_empty() {
            return Ok(SimilarPage::default());
        }

        let mut parts: Vec<(Occur, Box<dyn EngineQuery>)> =
            vec![(Occur::Must, zero(asked.compile(&shelf, &searcher, search, Mode::Close)?))];
        if let Some(id) = &like.id {
            let itself = TermQuery::new(slots.id_term(id), IndexRecordOption::Basic);
            parts.push((Occur::MustNot, Box::new(itself)));
        }
        if !pairs.is_empty() {
            let fields = names.iter().map(|name| {
                let clauses = pairs.iter().map(|(pair, weight)| {
                    let term = TermQuery::new(slots.gram(name, pair), IndexRecordOption::WithFreqs);
                    let boosted: Box<dyn EngineQuery> = Box::new(BoostQuery::new(Box::new(term), *weight));
                    let boosted = if whole { boosted } else { Box::new(crate::plain::Plain(boosted)) };
                    (Occur::Should, boosted)
                });
                // Two fifths of the telling pairs, so that only what is alike is read on.
                let least = (pairs.len() * 2 / 5).max(1);
                Box::new(BooleanQuery::with_minimum_required_clauses(clauses.collect(), least)) as Box<dyn EngineQuery>
            });
            parts.push((Occur::Must, best(fields.collect())));
        }
        for (name, value) in &like.fields {
            let filter = zonglan_catalog::Filter::Cmp {
                field: name.clone(),
                op: zonglan_catalog::filter::Op::Eq,
                value: value.clone(),
            };
            let same = tantivy::query::ConstScoreQuery::new(condition(slots, dataset, &filter)?, FIELD_SCORE);
            let occur = if pairs.is_empty() { Occur::Must } else { Occur::Should };
            parts.push((occur, Box::new(same)));
        }
        let limit = search.request().limit.clamp(1, 100);
        let gather = Gather {
            top: limit,
            sort: Sort::Score,
            scoring: true,
            time: dataset.time.as_ref().map(|name| column(dataset, name)),
            facets: Vec::new(),
            days: None,
            factors: Vec::new(),
            mentions: mention.iter().map(|m| (column(dataset, &m.field), m.weight)).collect(),
            text: named.clone(),
            cancel: cancel.clone(),
        };
        let query = BooleanQuery::new(parts);
        let found = if whole {
            searcher.search(&query, &gather)
        } else {
            searcher.search_with_statistics_provider(&query, &gather, &Assumed)
        };
        let found = found.map_err(SearchError::engine(&shelf.name))?;

        let mut targets = Targets::words(&[] as &[Clause], []);
        for word in words.iter().take(2 * NAMED) {
            targets.add(Together { items: vec![vec![Needle::exact(word)]], how: None, section: None });
        }
        let wanted = Wanted::of_targets(targets);
        let mut page = SimilarPage { words: words.iter().take(2 * NAMED).cloned().collect(), ..SimilarPage::default() };
        for ranked in &found.top {
            let mut hit = hit(&shelf, &searcher, search, &wanted, ranked)?;
            let shown: String = hit.highlights.iter().map(|p| p.text.as_str()).collect();
            let shown: String = normalise(&shown).into_iter().collect();
            let shared: Vec<&str> =
                words.iter().map(String::as_str).filter(|w| shown.contains(*w)).take(NAMED).collect();
            let mut reasons = Vec::new();
            for rule in &mention {
                let Some(value) = hit.fields.get(&rule.field).and_then(Value::as_str) else { continue };
                if mentioned(value, &named) {
                    let label = dataset.field(&rule.field).map_or("", |f| f.label.zh.as_str());
                    reasons.push(Reason {
                        kind: "field".into(),
                        text: format!("{label}相同：{value}"),
                        score: rule.weight,
                    });
                    if like.text.is_some() {
                        let list = page.recognised.entry(rule.field.clone()).or_default();
                        if !list.iter().any(|v| v == value) {
                            list.push(value.to_string());
                        }
                    }
                }
            }
            for (name, value) in &like.fields {
                if hit.fields.get(name) == Some(value) {
                    let label = dataset.field(name).map_or("", |f| f.label.zh.as_str());
                    let text = format!("{label}相同：{}", value.to_text());
                    reasons.push(Reason { kind: "field".into(), text, score: FIELD_SCORE });
                }
            }
            if !shared.is_empty() {
                let text = format!("共同词语：{}", shared.join("、"));
                reasons.push(Reason { kind: "text".into(), text, score: hit.score });
            }
            hit.explanation = reasons;
            page.hits.push(hit);
        }
        Ok(page)
    }
}

/// Score of a value that was asked for.
const FIELD_SCORE: f32 = 20.0;

/// The pairs that tell a text from others, with weights: how often here, how rarely elsewhere. Pairs
/// that no document has cannot help.
fn telling(text: &[char], documents: u64, frequency: impl Fn(&[char]) -> u64) -> Vec<([char; 2], f32)> {
    let mut counts: HashMap<[char; 2], u32> = HashMap::new();
    for pair in text.windows(2).filter(|p| p.iter().all(|c| c.is_alphanumeric() && !c.is_ascii_digit())) {
        *counts.entry([pair[0], pair[1]]).or_default() += 1;
    }
    let mut list: Vec<([char; 2], f32)> = counts
        .into_iter()
        .filter_map(|(pair, count)| {
            let n = frequency(&pair);
            if n == 0 {
                return None;
            }
            let rare = (1.0 + (documents as f32 - n as f32).max(0.0) / (n as f32 + 0.5)).ln();
            Some((pair, (1.0 + (count as f32).ln()) * rare))
        })
        .collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    list.truncate(PAIRS);
    let most = list.first().map_or(1.0, |p| p.1).max(f32::MIN_POSITIVE);
    list.iter_mut().for_each(|(_, weight)| *weight /= most);
    list
}

/// Runs of the text that telling pairs cover, heaviest first.
fn words_of(text: &[char], pairs: &[([char; 2], f32)]) -> Vec<String> {
    let weights: HashMap<[char; 2], f32> = pairs.iter().copied().collect();
    let mut found: BTreeMap<String, f32> = BTreeMap::new();
    let mut at = 0;
    while at + 1 < text.len() {
        let mut end = at;
        let mut weight = 0.0;
        while end + 1 < text.len() {
            let Some(w) = weights.get(&[text[end], text[end + 1]]) else { break };
            weight += w;
            end += 1;
        }
        if end > at {
            found.entry(text[at..=end.min(at + 11)].iter().collect()).or_insert(weight);
        }
        at = end.max(at + 1);
    }
    let mut list: Vec<(String, f32)> = found.into_iter().collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    list.into_iter().map(|(word, _)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_pairs_tell_more() {
        let text = normalise("被告人的电动车被盗窃，电动车价值三千元");
        let pairs = telling(&text, 1_000, |pair| match pair {
            ['电', '动'] | ['动', '车'] => 10,
            ['盗', '窃'] => 50,
            ['价', '值'] => 0,
            _ => 900,
        });
        assert_eq!(pairs.len(), telling(&text, 1_000, |p| u64::from(p != ['价', '值'])).len());
        assert_eq!(words_of(&text, &pairs[..3])[..2], ["电动车", "盗窃"]);
    }
}
