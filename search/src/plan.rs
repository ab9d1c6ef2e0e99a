//! From a bound search to the engine's query: words, filters, row rule.

use crate::analyze::{FIELD_END, normalise};
use crate::error::SearchError;
use crate::plain::Plain;
use crate::query::{Clause, Kind, Query, least_bigrams, least_of_question};
use crate::schema::{SHORT_TEXT, Slots, held, raw_form, text_name};
use std::ops::Bound;
use tantivy::Term;
use tantivy::query::{
    AllQuery, Bm25StatisticsProvider, BooleanQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery,
    InvertedIndexRangeQuery, Occur, PhraseQuery, Query as EngineQuery, RangeQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field as Slot, IndexRecordOption};
use zonglan_catalog::batch::days;
use zonglan_catalog::dataset::{Dataset, Field, SearchMode};
use zonglan_catalog::filter::{Filter, Op};
use zonglan_catalog::value::Value;

type Boxed = Box<dyn EngineQuery>;
type Planned = Result<Boxed, SearchError>;

/// Score of a word that is in the text as a whole. Above the gram scores of search terms, so that
/// texts with more of the words exactly come first, and gram scores order those with equally many.
const WHOLE_WORD: f32 = 512.0;

/// How strict the words are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// At least one word with most of its bigrams.
    Close,
    /// At least one bigram of any word: for when nothing is close.
    Any,
}

/// The fields that a query without field names looks into.
pub(crate) struct Scope<'a> {
    pub slots: &'a Slots,
    pub dataset: &'a Dataset,
    /// Fields that the asker sees in clear. A masked field is not searched: hits would tell it.
    pub fields: Vec<&'a Field>,
    /// Scores must not depend on documents that the asker may not see.
    pub rounded: bool,
}

impl<'a> Scope<'a> {
    pub fn new(slots: &'a Slots, dataset: &'a Dataset, rounded: bool, visible: impl Fn(&Field) -> bool) -> Self {
        let fields = dataset.field.iter().filter(|f| f.search != SearchMode::None && held(f) && visible(f)).collect();
        Self { slots, dataset, fields, rounded }
    }

    fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.fields.iter().filter(|f| f.search == SearchMode::Zh).map(|f| text_name(self.dataset, &f.name))
    }

    /// The query of the search box. `None`: everything.
    pub fn query(&self, query: &Query, mode: Mode) -> Option<Boxed> {
        if query.is_empty() {
            return None;
        }
        let mut parts: Vec<(Occur, Boxed)> = Vec::new();
        for phrase in query.of(Kind::Phrase) {
            parts.push((Occur::Must, self.whole(phrase)));
        }
        for phrase in query.of(Kind::Not) {
            parts.push((Occur::MustNot, Box::new(Plain(self.whole(phrase)))));
        }
        let words: Vec<&Clause> = query.of(Kind::Word).collect();
        if mode == Mode::Any || query.is_question() {
            if let Some(bag) = self.bag(&words, mode) {
                parts.push((Occur::Should, bag));
            }
        } else {
            parts.extend(words.iter().map(|word| (Occur::Should, self.word(word))));
        }
        if parts.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            parts.push((Occur::Must, zero(AllQuery)));
        }
        let least = usize::from(parts.iter().all(|(occur, _)| *occur != Occur::Must));
        Some(Box::new(BooleanQuery::with_minimum_required_clauses(parts, least)))
    }

    fn score(&self, query: Boxed) -> Boxed {
        if self.rounded { Box::new(Plain(query)) } else { query }
    }

    fn gram(&self, name: &str, gram: &[char]) -> Boxed {
        self.score(scored(self.slots.gram(name, gram)))
    }

    /// Texts that have the clause as a whole, in any field.
    fn whole(&self, clause: &Clause) -> Boxed {
        let mut fields: Vec<Boxed> =
            self.texts().map(|name| self.score(phrase(self.slots, &name, &clause.text))).collect();
        fields.extend(self.keyword(clause).map(|q| Box::new(ConstScoreQuery::new(q, WHOLE_WORD)) as Boxed));
        best(fields)
    }

    /// Rows with a keyword field that is just the clause.
    fn keyword<'b>(&'b self, clause: &'b Clause) -> impl Iterator<Item = Boxed> + 'b {
        self.fields
            .iter()
            .filter(|f| f.search == SearchMode::Keyword && f.kind.is_textual())
            .map(|f| term(self.slots.attr_text(self.dataset, &f.name, &raw_form(clause.raw.trim()))))
    }

    fn word(&self, word: &Clause) -> Boxed {
        let bigrams = word.bigrams();
        let mut fields: Vec<Boxed> = self
            .texts()
            .map(|name| {
                let whole = || phrase(self.slots, &name, &word.text);
                let bonus: Boxed = Box::new(ConstScoreQuery::new(whole(), WHOLE_WORD));
                if bigrams.len() < 2 {
                    return Box::new(BooleanQuery::new(vec![(Occur::Must, self.score(whole())), (Occur::Must, bonus)]))
                        as Boxed;
                }
                let grams = bigrams.iter().map(|g| (Occur::Should, self.gram(&name, g))).collect();
                let least = least_bigrams(word, bigrams.len());
                let close = BooleanQuery::with_minimum_required_clauses(grams, least);
                Box::new(BooleanQuery::new(vec![(Occur::Must, Box::new(close) as Boxed), (Occur::Should, bonus)]))
                    as Boxed
            })
            .collect();
        fields.extend(self.keyword(word).map(|q| Box::new(ConstScoreQuery::new(q, WHOLE_WORD)) as Boxed));
        best(fields)
    }

    /// All grams of all words as one bag: bigrams decide and rank, single characters rank too.
    fn bag(&self, words: &[&Clause], mode: Mode) -> Option<Boxed> {
        let mut bigrams: Vec<[char; 2]> = words.iter().flat_map(|w| w.bigrams()).collect();
        bigrams.sort_unstable();
        bigrams.dedup();
        bigrams.retain(|pair| pair.iter().any(|c| c.is_alphanumeric()));
        let mut singles: Vec<char> =
            words.iter().flat_map(|w| w.text.iter().copied()).filter(|c| c.is_alphanumeric()).collect();
        singles.sort_unstable();
        singles.dedup();
        if singles.is_empty() {
            return None;
        }
        let fields = self
            .texts()
            .map(|name| {
                let grams = |list: &[[char; 2]]| -> Vec<(Occur, Boxed)> {
                    list.iter().map(|g| (Occur::Should, self.gram(&name, g))).collect()
                };
                let ones: Vec<(Occur, Boxed)> =
                    singles.iter().map(|c| (Occur::Should, self.gram(&name, &[*c]))).collect();
                if bigrams.is_empty() {
                    return Box::new(BooleanQuery::new(ones)) as Boxed;
                }
                let least = if mode == Mode::Any { 1 } else { least_of_question(bigrams.len()) };
                let close = BooleanQuery::with_minimum_required_clauses(grams(&bigrams), least);
                let mut parts = vec![(Occur::Must, Box::new(close) as Boxed)];
                parts.extend(ones);
                Box::new(BooleanQuery::new(parts)) as Boxed
            })
            .collect();
        Some(best(fields))
    }
}

/// A condition: true or false, without score.
pub(crate) fn condition(slots: &Slots, dataset: &Dataset, filter: &Filter) -> Planned {
    let inner = |f: &Filter| condition(slots, dataset, f);
    Ok(match filter {
        Filter::True => Box::new(AllQuery),
        Filter::And(list) if list.is_empty() => Box::new(AllQuery),
        Filter::Or(list) if list.is_empty() => Box::new(EmptyQuery),
        Filter::And(list) => Box::new(BooleanQuery::intersection(list.iter().map(inner).collect::<Result<_, _>>()?)),
        Filter::Or(list) => Box::new(BooleanQuery::union(list.iter().map(inner).collect::<Result<_, _>>()?)),
        Filter::Not(f) => not(inner(f)?),
        Filter::IsNull { field } => {
            field_of(dataset, field)?;
            not(term(slots.present_term(dataset, field)))
        }
        Filter::In { field, values } => {
            let definition = comparable(dataset, field)?;
            let terms: Vec<Term> = values.iter().filter_map(|v| whole_value(slots, dataset, definition, v)).collect();
            if terms.is_empty() { Box::new(EmptyQuery) } else { Box::new(TermSetQuery::new(terms)) }
        }
        Filter::Cmp { field, op: Op::Eq, value } => {
            match whole_value(slots, dataset, comparable(dataset, field)?, value) {
                Some(value) => term(value),
                None => Box::new(EmptyQuery),
            }
        }
        Filter::Cmp { field, op, value } => compare(slots, dataset, comparable(dataset, field)?, *op, value)?,
        Filter::Text { field, query } => text_condition(slots, dataset, field_of(dataset, field)?, query)?,
    })
}

/// Every word and quoted fragment must be in the field as a whole; excluded ones must not.
pub(crate) fn text_condition(slots: &Slots, dataset: &Dataset, field: &Field, text: &str) -> Planned {
    match field.search {
        SearchMode::None => Err(SearchError::Field { field: field.name.clone(), reason: "没有全文索引" }),
        SearchMode::Keyword => {
            let whole = text.trim().trim_matches(['"', '“', '”', '「', '」']);
            Ok(term(slots.attr_text(dataset, &field.name, &raw_form(whole))))
        }
        SearchMode::Zh => {
            let query = Query::parse(text);
            let name = text_name(dataset, &field.name);
            let mut parts: Vec<(Occur, Boxed)> = query
                .clauses
                .iter()
                .map(|c| {
                    let whole = phrase(slots, &name, &c.text);
                    match c.kind {
                        Kind::Not => (Occur::MustNot, Box::new(Plain(whole)) as Boxed),
                        _ => (Occur::Must, whole),
                    }
                })
                .collect();
            if parts.iter().all(|(occur, _)| *occur == Occur::MustNot) {
                parts.push((Occur::Must, Box::new(AllQuery)));
            }
            Ok(Box::new(BooleanQuery::new(parts)))
        }
    }
}

fn field_of<'a>(dataset: &'a Dataset, name: &str) -> Result<&'a Field, SearchError> {
    let missing = |reason| SearchError::Field { field: name.to_string(), reason };
    let field = dataset.field(name).ok_or_else(|| missing("不存在"))?;
    if held(field) { Ok(field) } else { Err(missing("是个人信息，不在全文索引中")) }
}

/// A field whose values can be compared whole.
fn comparable<'a>(dataset: &'a Dataset, name: &str) -> Result<&'a Field, SearchError> {
    field_of(dataset, name)
}

fn whole_value(slots: &Slots, dataset: &Dataset, field: &Field, value: &Value) -> Option<Term> {
    match value {
        // Longer texts of searched fields are not there as whole values and equal nothing.
        Value::Text(text) if field.search == SearchMode::Zh && text.chars().count() > SHORT_TEXT => None,
        Value::Text(text) => Some(slots.attr_text(dataset, &field.name, &raw_form(text))),
        other => int_of(other).map(|n| slots.attr_int(dataset, &field.name, n)),
    }
}

/// The integer that columns hold for a value.
fn int_of(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(b) => Some(i64::from(*b)),
        Value::Int(n) | Value::Instant(n) | Value::Decimal { units: n, .. } => Some(*n),
        Value::Date(d) => Some(i64::from(days(*d))),
        _ => None,
    }
}

fn compare(slots: &Slots, dataset: &Dataset, field: &Field, op: Op, value: &Value) -> Planned {
    let fail = |reason| Err(SearchError::Field { field: field.name.clone(), reason });
    if let Value::Text(text) = value {
        if field.search == SearchMode::Zh {
            return fail("是检索文本，只能用 text、eq 或 in 作条件");
        }
        let edge = |text: &str| slots.attr_text(dataset, &field.name, &raw_form(text));
        // No UTF-8 text has the byte 0xFF: the end of all that start like this.
        let after = |mut start: Term| {
            start.append_bytes(&[0xFF]);
            Bound::Excluded(start)
        };
        let (low, high) = (Bound::Included(edge("")), after(edge("")));
        let (low, high) = match op {
            Op::Prefix if text.len() > 90 => return fail("的前缀太长"),
            Op::Prefix => (Bound::Included(edge(text)), after(edge(text))),
            Op::Gt => (Bound::Excluded(edge(text)), high),
            Op::Gte => (Bound::Included(edge(text)), high),
            Op::Lt => (low, Bound::Excluded(edge(text))),
            Op::Lte => (low, Bound::Included(edge(text))),
            Op::Eq => (Bound::Included(edge(text)), Bound::Included(edge(text))),
        };
        return Ok(Box::new(InvertedIndexRangeQuery::new(low, high)));
    }
    let Some(n) = int_of(value) else { return fail("不能这样比较") };
    let edge = |n: i64| slots.attr_int(dataset, &field.name, n);
    let (low, high) = match op {
        Op::Gt if n == i64::MAX => return Ok(Box::new(EmptyQuery)),
        Op::Lt if n == i64::MIN => return Ok(Box::new(EmptyQuery)),
        Op::Gt => (n + 1, i64::MAX),
        Op::Gte => (n, i64::MAX),
        Op::Lt => (i64::MIN, n - 1),
        Op::Lte => (i64::MIN, n),
        Op::Eq => (n, n),
        Op::Prefix => return fail("不是文本，不能用 prefix"),
    };
    Ok(Box::new(RangeQuery::new(Bound::Included(edge(low)), Bound::Included(edge(high)))))
}

/// A text with just these characters in this order: bigrams that together cover all of them.
fn phrase(slots: &Slots, text_name: &str, chars: &[char]) -> Boxed {
    if chars.len() <= 2 {
        return scored(slots.gram(text_name, chars));
    }
    // Every second bigram covers every character; fewer lists are read.
    let last = chars.len() - 2;
    let offsets = (0..last).step_by(2).chain([last]);
    let terms = offsets.map(|at| (at, slots.gram(text_name, &chars[at..at + 2]))).collect();
    Box::new(PhraseQuery::new_with_offset(terms))
}

fn term(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn scored(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

fn not(query: Boxed) -> Boxed {
    Box::new(BooleanQuery::new(vec![
        (Occur::Must, Box::new(AllQuery) as Boxed),
        (Occur::MustNot, Box::new(Plain(query))),
    ]))
}

/// Matches without adding to the score.
pub(crate) fn zero(query: impl EngineQuery) -> Boxed {
    Box::new(ConstScoreQuery::new(Box::new(query), 0.0))
}

/// The best field's score.
fn best(mut fields: Vec<Boxed>) -> Boxed {
    match fields.len() {
        0 => Box::new(EmptyQuery),
        1 => fields.remove(0),
        _ => Box::new(DisjunctionMaxQuery::with_tie_breaker(fields, 0.125)),
    }
}

/// Statistics for those who may not see everything: how rare a gram is and how long texts are is
/// assumed, not counted, so that a score tells nothing of documents beyond the row rule.
pub(crate) struct Assumed;

const ASSUMED_DOCS: u64 = 1_000_000;

impl Bm25StatisticsProvider for Assumed {
    fn total_num_tokens(&self, _: Slot) -> tantivy::Result<u64> {
        Ok(ASSUMED_DOCS * 1_000)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(ASSUMED_DOCS)
    }

    /// A bigram is in one of a hundred texts, a single character in one of five; those of function
    /// words and of asking are in more.
    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let value = term.value();
        let gram = value.as_str().and_then(|t| t.rsplit(FIELD_END).next()).unwrap_or_default();
        let common = gram.chars().filter(|c| FUNCTION.contains(*c) || !c.is_alphanumeric()).count();
        Ok(match (gram.chars().count(), common) {
            (1, 0) => ASSUMED_DOCS / 5,
            (1, _) => ASSUMED_DOCS / 2,
            (_, 0) => ASSUMED_DOCS / 100,
            (_, 1) => ASSUMED_DOCS / 12,
            _ => ASSUMED_DOCS / 3,
        })
    }
}

/// Characters of function words and of asking.
const FUNCTION: &str = "的了是在不有和与及或者其以于为而则之所被把将对从向到给由就都也还又要会能可应该需须吗呢吧啊么什怎样如何谁哪几多少我你他她它们这那个些没已经过后时候请问想知道算";

/// The fragments that a text condition looks for, for highlighting.
pub(crate) fn fragments(text: &str) -> Vec<Vec<char>> {
    Query::parse(text).clauses.into_iter().filter(|c| c.kind != Kind::Not).map(|c| normalise(&c.raw)).collect()
}
