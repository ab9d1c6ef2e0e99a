//! A query as it is, but for two things of the engine that do not fit.
//!
//! Scores are rounded to multiples of 1/64, so that sums of them are exact in single precision
//! and do not depend on the order in which the engine adds them. That order follows how often
//! terms occur in the whole index, and the last bits of a sum would tell of hidden documents.
//!
//! Excluded sets are asked for documents before their current one, which the phrase scorer of
//! tantivy 0.27 does not stand (it asserts, and may answer wrongly). The plain way of seeking does.

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, Term};

/// See the module.
#[derive(Debug)]
pub(crate) struct Plain(pub Box<dyn Query>);

impl Clone for Plain {
    fn clone(&self) -> Self {
        Self(self.0.box_clone())
    }
}

impl Query for Plain {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(PlainWeight(self.0.weight(scoring)?)))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.0.query_terms(visitor);
    }
}

struct PlainWeight(Box<dyn Weight>);

impl Weight for PlainWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(PlainScorer(self.0.scorer(reader, boost)?)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.0.explain(reader, doc)
    }
}

struct PlainScorer(Box<dyn Scorer>);

impl DocSet for PlainScorer {
    // `seek_danger` stays the one of the trait.
    fn advance(&mut self) -> DocId {
        self.0.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.0.seek(target)
    }

    fn doc(&self) -> DocId {
        self.0.doc()
    }

    fn size_hint(&self) -> u32 {
        self.0.size_hint()
    }

    fn cost(&self) -> u64 {
        self.0.cost()
    }
}

impl Scorer for PlainScorer {
    fn score(&mut self) -> Score {
        (self.0.score() * 64.0).round() / 64.0
    }
}
