//! The engine's side of [`Together`]: documents whose places meet a condition, read from the
//! positions of the index.

use crate::ends::Ends;
use crate::near::{Needle, Piece, Span, Together};
use crate::schema::Slots;
use std::sync::Arc;
use tantivy::columnar::Column;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, Term};

/// Documents of `candidates` (those that have all items) whose places meet the condition.
#[derive(Debug)]
pub(crate) struct Spans {
    pub candidates: Box<dyn Query>,
    pub together: Arc<Together>,
    pub text_name: Arc<str>,
    pub slots: Slots,
}

impl Clone for Spans {
    fn clone(&self) -> Self {
        Self {
            candidates: self.candidates.box_clone(),
            together: self.together.clone(),
            text_name: self.text_name.clone(),
            slots: self.slots,
        }
    }
}

impl Query for Spans {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(SpansWeight { candidates: self.candidates.weight(scoring)?, query: self.clone() }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.candidates.query_terms(visitor);
    }
}

struct SpansWeight {
    candidates: Box<dyn Weight>,
    query: Spans,
}

impl Weight for SpansWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let candidates = self.candidates.scorer(reader, boost)?;
        let inverted = reader.inverted_index(self.query.slots.text)?;
        let mut items = Vec::new();
        for needles in &self.query.together.items {
            let mut item = Vec::new();
            for needle in needles {
                let mut pieces = Vec::new();
                for piece in &needle.0 {
                    let mut parts = Vec::new();
                    for (offset, term) in cover(&self.query.slots, &self.query.text_name, piece) {
                        match inverted.read_postings(&term, IndexRecordOption::WithFreqsAndPositions)? {
                            Some(postings) => parts.push((offset, postings)),
                            None => {
                                parts.clear();
                                break;
                            }
                        }
                    }
                    pieces.push(parts);
                }
                // A needle with a gram that no document has is nowhere.
                if pieces.iter().all(|parts| !parts.is_empty()) {
                    item.push((needle.clone(), pieces));
                }
            }
            items.push(item);
        }
        let ends = reader.fast_fields().column_opt::<u64>("ends")?;
        let mut scorer = SpansScorer {
            candidates,
            items,
            together: self.query.together.clone(),
            ends,
            list: Ends::default(),
            hits: 0,
        };
        if scorer.doc() != TERMINATED && !scorer.matches() {
            scorer.advance();
        }
        Ok(Box::new(scorer))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.candidates.explain(reader, doc)
    }
}

/// Grams that together cover a piece, with their offsets; pairs around unknown characters are left out.
pub(crate) fn cover(slots: &Slots, text_name: &str, piece: &Piece) -> Vec<(u32, Term)> {
    let mut terms = Vec::new();
    let mut at = 0;
    while at < piece.len() {
        match (piece[at], piece.get(at + 1).copied().flatten()) {
            (Some(a), Some(b)) => {
                terms.push((at as u32, slots.gram(text_name, &[a, b])));
                // The last character of an odd run is covered by a pair that overlaps.
                at += if piece.get(at + 2).copied().flatten().is_some()
                    && piece.get(at + 3).copied().flatten().is_none()
                {
                    1
                } else {
                    2
                };
            }
            (Some(a), None) => {
                let covered = at > 0 && piece[at - 1].is_some();
                if !covered {
                    terms.push((at as u32, slots.gram(text_name, &[a])));
                }
                at += 1;
            }
            (None, _) => at += 1,
        }
    }
    terms
}

/// Postings of the grams of a piece.
type Parts = Vec<(u32, SegmentPostings)>;

struct SpansScorer {
    candidates: Box<dyn Scorer>,
    items: Vec<Vec<(Needle, Vec<Parts>)>>,
    together: Arc<Together>,
    ends: Option<Column<u64>>,
    list: Ends,
    hits: usize,
}

impl SpansScorer {
    fn matches(&mut self) -> bool {
        let doc = self.candidates.doc();
        self.list.0.clear();
        if let Some(column) = &self.ends {
            self.list.0.extend(column.values_for_doc(doc));
        }
        let list = &self.list;
        let mut items: Vec<Vec<Span>> = Vec::with_capacity(self.items.len());
        for needles in &mut self.items {
            let mut spans = Vec::new();
            for (needle, pieces) in needles.iter_mut() {
                let places: Vec<Vec<u32>> = pieces.iter_mut().map(|parts| places(parts, doc)).collect();
                if places.iter().all(|p| !p.is_empty()) {
                    spans.extend(needle.join(&places, list));
                }
            }
            spans.sort_unstable();
            spans.dedup();
            items.push(spans);
        }
        self.hits = self.together.hits(items, list).len();
        self.hits > 0
    }
}

/// Where all grams stand at their offsets.
fn places(parts: &mut Parts, doc: DocId) -> Vec<u32> {
    let mut found: Option<Vec<u32>> = None;
    let mut positions = Vec::new();
    for (offset, postings) in parts {
        if postings.doc() < doc {
            postings.seek(doc);
        }
        if postings.doc() != doc {
            return Vec::new();
        }
        postings.positions(&mut positions);
        let starts = positions.iter().filter_map(|p| p.checked_sub(*offset));
        found = Some(match found {
            None => starts.collect(),
            Some(before) => {
                let mut before = before.into_iter().peekable();
                let mut both = Vec::new();
                for start in starts {
                    while before.peek().is_some_and(|b| *b < start) {
                        before.next();
                    }
                    if before.peek() == Some(&start) {
                        both.push(start);
                    }
                }
                both
            }
        });
    }
    found.unwrap_or_default()
}

impl DocSet for SpansScorer {
    // `seek_danger` stays the one of the trait.
    fn advance(&mut self) -> DocId {
        loop {
            let doc = self.candidates.advance();
            if doc == TERMINATED || self.matches() {
                return doc;
            }
        }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc() >= target {
            return self.doc();
        }
        let doc = self.candidates.seek(target);
        if doc == TERMINATED || self.matches() { doc } else { self.advance() }
    }

    fn doc(&self) -> DocId {
        self.candidates.doc()
    }

    fn size_hint(&self) -> u32 {
        self.candidates.size_hint()
    }
}

impl Scorer for SpansScorer {
    /// That of the items, and more where they stand together often.
    fn score(&mut self) -> Score {
        let hits = self.hits as f32;
        self.candidates.score() * (1.0 + hits / (hits + 4.0))
    }
}
