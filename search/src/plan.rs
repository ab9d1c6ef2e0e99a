//! From a bound search to the engine's query: words, filters, row rule.

use crate::analyze::{FIELD_END, normalise};
use crate::clause::{Clause, is_pattern, is_question, least_bigrams, least_of_question};
use crate::condition::field_of;
use crate::error::SearchError;
use crate::learned::Learned;
use crate::lexicon::Lexicon;
use crate::near::{Needle, Piece, Together};
use crate::plain::Plain;
use crate::query::{Near, Node, Query, Section};
use crate::schema::{Slots, raw_form, text_name};
use crate::spans::{Spans, cover};
use std::collections::BTreeMap;
use std::sync::Arc;
use tantivy::query::{
    AllQuery, Bm25StatisticsProvider, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery,
    Occur, PhraseQuery, Query as EngineQuery, TermQuery,
};
use tantivy::schema::{Field as Slot, IndexRecordOption};
use tantivy::{Searcher, Term};
use zonglan_catalog::Catalogue;
use zonglan_catalog::dataset::{Dataset, Field, Mask, SearchMode};

pub(crate) type Boxed = Box<dyn EngineQuery>;
pub(crate) type Planned = Result<Boxed, SearchError>;

/// Score of a word that is in the text as a whole. Above the gram scores of search terms, so that
/// texts with more of the words exactly come first, and gram scores order those with equally many.
const WHOLE_WORD: f32 = 512.0;

/// Score of a word that means the same.
const SAME_WORD: f32 = 448.0;

/// Weight of a gram of a term that a lay word stands for, beside 1 for a gram of the question.
const TERM_WEIGHT: f32 = 0.25;

/// How strict the words are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// At least one word with most of its bigrams.
    Close,
    /// At least one bigram of any word: for when nothing is close.
    Any,
}

/// The fields that a query without field names looks into, and what is known of words.
pub(crate) struct Scope<'a> {
    pub slots: &'a Slots,
    pub dataset: &'a Dataset,
    /// Fields that the asker sees in clear. A masked field is not searched: hits would tell it.
    pub fields: Vec<&'a Field>,
    /// Scores must not depend on documents that the asker may not see.
    pub rounded: bool,
    /// Synonyms; none where every word is meant as written.
    pub lexicon: Option<&'a Lexicon>,
    /// Words of the texts that answer words of questions, as learned.
    pub learned: Option<&'a Learned>,
    /// For values of fields.
    pub catalogue: &'a Catalogue,
    pub searcher: Option<&'a Searcher>,
    /// Fields that the asker may not use in conditions.
    pub masked: &'a BTreeMap<String, Mask>,
}

/// Nothing is masked.
static NONE_MASKED: BTreeMap<String, Mask> = BTreeMap::new();

impl<'a> Scope<'a> {
    /// For reading words only: no texts are searched.
    pub fn words(dataset: &'a Dataset, lexicon: &'a Lexicon, catalogue: &'a Catalogue) -> Scope<'a> {
        Scope { lexicon: Some(lexicon), ..Self::one(schema_slots(), dataset, Vec::new(), catalogue) }
    }

    /// Some fields, every word as written.
    pub fn one(slots: &'a Slots, dataset: &'a Dataset, fields: Vec<&'a Field>, catalogue: &'a Catalogue) -> Scope<'a> {
        Scope {
            slots,
            dataset,
            fields,
            rounded: false,
            lexicon: None,
            learned: None,
            catalogue,
            searcher: None,
            masked: &NONE_MASKED,
        }
    }

    /// Conditions of place that a node is, for highlighting.
    pub fn together(&self, node: &Node, section: Option<Section>) -> Vec<Together> {
        match node {
            Node::Has(_) | Node::Phrase(_) => {
                vec![Together { items: vec![self.needles(node)], how: None, section }]
            }
            Node::Near { how, items } => {
                vec![Together { items: items.iter().map(|i| self.needles(i)).collect(), how: Some(*how), section }]
            }
            Node::In { section, node } => self.together(node, Some(*section)),
            Node::And(list) | Node::Or(list) => list.iter().flat_map(|n| self.together(n, section)).collect(),
            _ => Vec::new(),
        }
    }

    fn texts(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        self.fields.iter().filter(|f| f.search == SearchMode::Zh).map(|f| text_name(self.dataset, &f.name).into())
    }

    /// The same words in one field only.
    fn only(&self, field: &'a Field) -> Scope<'a> {
        Scope { fields: vec![field], ..*self }
    }

    /// The query of the search box. `None`: everything.
    pub fn query(&self, query: &Query, mode: Mode) -> Result<Option<Boxed>, SearchError> {
        let clauses = query.clauses();
        let mut parts: Vec<(Occur, Boxed)> = Vec::new();
        for part in &query.parts {
            match part {
                Node::Word(_) => {}
                Node::Not(inner) => parts.push((Occur::MustNot, Box::new(Plain(self.part(inner, None)?)))),
                node => parts.push((Occur::Must, self.part(node, None)?)),
            }
        }
        if !clauses.is_empty() {
            if mode == Mode::Any || is_question(&clauses) {
                parts.extend(self.bag(&clauses, mode).map(|bag| (Occur::Should, bag)));
            } else {
                parts.extend(clauses.iter().map(|word| (Occur::Should, self.word(word))));
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        if parts.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            parts.push((Occur::Must, zero(AllQuery)));
        }
        let least = usize::from(parts.iter().all(|(occur, _)| *occur != Occur::Must));
        Ok(Some(Box::new(BooleanQuery::with_minimum_required_clauses(parts, least))))
    }

    /// What must be there.
    pub fn part(&self, node: &Node, section: Option<Section>) -> Planned {
        let list = |nodes: &[Node]| nodes.iter().map(|n| self.part(n, section)).collect::<Result<Vec<_>, _>>();
        Ok(match node {
            Node::Word(text) | Node::Has(text) => {
                let mut needles = vec![Needle::word(text)];
                needles.extend(self.same(text).iter().map(|w| Needle::exact(w)));
                let keyword = (section.is_none() && !is_pattern(text)).then_some(text);
                self.places(vec![needles], None, section, keyword)
            }
            Node::Phrase(text) => {
                self.places(vec![vec![Needle::exact(text)]], None, section, section.is_none().then_some(text))
            }
            Node::Near { how, items } => {
                let items = items.iter().map(|item| self.needles(item)).collect();
                self.places(items, Some(*how), section, None)
            }
            Node::And(nodes) => Box::new(BooleanQuery::intersection(list(nodes)?)),
            Node::Or(nodes) => Box::new(BooleanQuery::union(list(nodes)?)),
            Node::Not(inner) => not(self.part(inner, section)?),
            Node::In { section, node } => self.part(node, Some(*section))?,
            Node::Field { name, node } => {
                let field = field_of(self.dataset, name)?;
                if self.masked.contains_key(name) || field.person_key {
                    return Err(SearchError::Field {
                        field: field.label.zh.clone(), reason: "您不能用作检索条件"
                    });
                }
                if field.search == SearchMode::Zh && !matches!(**node, Node::Range(..) | Node::Any) {
                    return self.only(field).part(node, section);
                }
                self.values(field, node)?
            }
            // Only inside of fields, where `values` reads them.
            Node::Range(..) | Node::Any => Box::new(AllQuery),
        })
    }

    fn same(&self, word: &str) -> &[String] {
        self.lexicon.map_or(&[], |l| l.same(word))
    }

    /// The alternatives of an item of a condition of place.
    pub fn needles(&self, node: &Node) -> Vec<Needle> {
        match node {
            Node::Has(text) | Node::Word(text) => {
                let same = self.same(text).iter().map(|w| Needle::exact(w));
                std::iter::once(Needle::word(text)).chain(same).collect()
            }
            Node::Phrase(text) => vec![Needle::exact(text)],
            Node::Or(list) => list.iter().flat_map(|n| self.needles(n)).collect(),
            _ => Vec::new(),
        }
    }

    /// Texts in which the items stand as said, in any one field.
    fn places(
        &self,
        items: Vec<Vec<Needle>>,
        how: Option<Near>,
        section: Option<Section>,
        keyword: Option<&String>,
    ) -> Boxed {
        let items: Vec<Vec<Needle>> =
            items.into_iter().map(|needles| needles.into_iter().filter(|n| !n.is_empty()).collect()).collect();
        let together = Arc::new(Together { items, how, section });
        let mut fields: Vec<Boxed> = self.texts().map(|name| self.in_text(&name, &together)).collect();
        fields.extend(keyword.into_iter().flat_map(|text| self.keyword(text)));
        best(fields)
    }

    fn in_text(&self, name: &Arc<str>, together: &Arc<Together>) -> Boxed {
        let needle = |needle: &Needle| -> Boxed {
            let pieces: Vec<Boxed> = needle.0.iter().map(|p| self.score(piece(self.slots, name, p))).collect();
            if pieces.len() == 1 {
                pieces.into_iter().next().unwrap_or(Box::new(EmptyQuery))
            } else {
                Box::new(BooleanQuery::intersection(pieces))
            }
        };
        let mut items: Vec<Boxed> =
            together.items.iter().map(|needles| best(needles.iter().map(needle).collect())).collect();
        let simple = together.how.is_none()
            && together.section.is_none()
            && together.items.iter().flatten().all(|needle| needle.0.len() == 1);
        let candidates = if items.len() == 1 { items.remove(0) } else { Box::new(BooleanQuery::intersection(items)) };
        if simple {
            return candidates;
        }
        self.score(Box::new(Spans {
            candidates,
            together: together.clone(),
            text_name: name.clone(),
            slots: *self.slots,
        }))
    }

    fn score(&self, query: Boxed) -> Boxed {
        if self.rounded { Box::new(Plain(query)) } else { query }
    }

    fn gram(&self, name: &str, gram: &[char], weight: f32) -> Boxed {
        let term = scored(self.slots.gram(name, gram));
        self.score(if weight == 1.0 { term } else { Box::new(BoostQuery::new(term, weight)) })
    }

    /// Rows with a keyword field that is just the text.
    fn keyword<'b>(&'b self, text: &'b str) -> impl Iterator<Item = Boxed> + 'b {
        self.fields.iter().filter(|f| f.search == SearchMode::Keyword && f.kind.is_textual()).map(|f| {
            let value = term(self.slots.attr_text(self.dataset, &f.name, &raw_form(text.trim())));
            Box::new(ConstScoreQuery::new(value, WHOLE_WORD)) as Boxed
        })
    }

    fn word(&self, word: &Clause) -> Boxed {
        let bigrams = word.bigrams();
        let same: Vec<Vec<char>> = self.same(&word.raw).iter().map(|w| normalise(w)).collect();
        let mut fields: Vec<Boxed> = self
            .texts()
            .map(|name| {
                let whole = || phrase(self.slots, &name, &word.text);
                let bonus: Boxed = Box::new(ConstScoreQuery::new(whole(), WHOLE_WORD));
                let itself: Boxed = if bigrams.len() < 2 {
                    Box::new(BooleanQuery::new(vec![(Occur::Must, self.score(whole())), (Occur::Must, bonus)]))
                } else {
                    let grams = bigrams.iter().map(|g| (Occur::Should, self.gram(&name, g, 1.0))).collect();
                    let least = least_bigrams(word, bigrams.len());
                    let close = BooleanQuery::with_minimum_required_clauses(grams, least);
                    Box::new(BooleanQuery::new(vec![(Occur::Must, Box::new(close) as Boxed), (Occur::Should, bonus)]))
                };
                let mut forms = vec![itself];
                forms.extend(same.iter().map(|other| {
                    let whole = phrase(self.slots, &name, other);
                    let bonus = ConstScoreQuery::new(phrase(self.slots, &name, other), SAME_WORD);
                    Box::new(BooleanQuery::new(vec![(Occur::Must, self.score(whole)), (Occur::Must, Box::new(bonus))]))
                        as Boxed
                }));
                best(forms)
            })
            .collect();
        fields.extend(self.keyword(&word.raw));
        best(fields)
    }

    /// All grams of all words as one bag: bigrams decide and rank, single characters rank too.
    /// Grams of terms that lay words stand for, and those that have been learned, weigh less.
    fn bag(&self, words: &[Clause], mode: Mode) -> Option<Boxed> {
        let grams = self.weights(words);
        if grams.is_empty() {
            return None;
        }
        let pairs = grams.keys().filter(|g| g.len() > 1).count();
        let fields = self
            .texts()
            .map(|name| {
                let some = |long: bool| -> Vec<(Occur, Boxed)> {
                    let list = grams.iter().filter(|(gram, _)| (gram.len() > 1) == long);
                    list.map(|(gram, weight)| (Occur::Should, self.gram(&name, gram, *weight))).collect()
                };
                let ones = some(false);
                if pairs == 0 {
                    return Box::new(BooleanQuery::new(ones)) as Boxed;
                }
                let least = if mode == Mode::Any { 1 } else { least_of_question(pairs) };
                let close = BooleanQuery::with_minimum_required_clauses(some(true), least);
                let mut parts = vec![(Occur::Must, Box::new(close) as Boxed)];
                parts.extend(ones);
                Box::new(BooleanQuery::new(parts)) as Boxed
            })
            .collect();
        Some(best(fields))
    }

    /// The grams of a question and their weights.
    pub fn weights(&self, words: &[Clause]) -> BTreeMap<Vec<char>, f32> {
        let mut own: BTreeMap<Vec<char>, f32> = BTreeMap::new();
        for word in words {
            grams_of(&word.text, |gram| {
                own.insert(gram.to_vec(), 1.0);
            });
        }
        let mut all = own.clone();
        if let Some(lexicon) = self.lexicon {
            for term in words.iter().flat_map(|w| lexicon.terms_in(&w.text)) {
                grams_of(&normalise(term), |gram| {
                    all.entry(gram.to_vec()).or_insert(TERM_WEIGHT);
                });
            }
        }
        if let Some(learned) = self.learned {
            for (gram, weight) in learned.expand(own.keys()) {
                *all.entry(gram).or_insert(0.0) += weight;
            }
        }
        all
    }
}

/// The grams that rank: characters and pairs, without pairs of punctuation.
pub(crate) fn grams_of(text: &[char], mut visit: impl FnMut(&[char])) {
    for (at, c) in text.iter().enumerate() {
        if c.is_alphanumeric() {
            visit(&text[at..=at]);
        }
        if let Some(pair) = text.get(at..at + 2)
            && pair.iter().any(|c| c.is_alphanumeric())
        {
            visit(pair);
        }
    }
}

/// A text with just these characters in this order: bigrams that together cover all of them.
pub(crate) fn phrase(slots: &Slots, text_name: &str, chars: &[char]) -> Boxed {
    if chars.len() <= 2 {
        return scored(slots.gram(text_name, chars));
    }
    // Every second bigram covers every character; fewer lists are read.
    let last = chars.len() - 2;
    let offsets = (0..last).step_by(2).chain([last]);
    let terms = offsets.map(|at| (at, slots.gram(text_name, &chars[at..at + 2]))).collect();
    Box::new(PhraseQuery::new_with_offset(terms))
}

/// As [`phrase`], with characters that may be any.
fn piece(slots: &Slots, text_name: &str, piece: &Piece) -> Boxed {
    if let Some(chars) = piece.iter().copied().collect::<Option<Vec<char>>>() {
        return phrase(slots, text_name, &chars);
    }
    let mut terms: Vec<(usize, Term)> =
        cover(slots, text_name, piece).into_iter().map(|(at, term)| (at as usize, term)).collect();
    if terms.len() == 1 {
        return terms.pop().map_or(Box::new(EmptyQuery), |(_, term)| scored(term));
    }
    Box::new(PhraseQuery::new_with_offset(terms))
}

pub(crate) fn term(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn scored(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

pub(crate) fn not(query: Boxed) -> Boxed {
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
pub(crate) fn best(mut fields: Vec<Boxed>) -> Boxed {
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

/// Slots for scopes that search nothing.
fn schema_slots() -> &'static Slots {
    static SLOTS: std::sync::LazyLock<Slots> = std::sync::LazyLock::new(|| crate::schema::schema().1);
    &SLOTS
}
