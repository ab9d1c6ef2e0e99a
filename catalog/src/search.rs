//! What a full-text search asks and answers.

use crate::filter::Filter;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The body of `POST /api/v1/search`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    pub dataset: String,
    /// The query language of docs/search.md. Empty: everything, newest first.
    #[serde(default)]
    pub query: String,
    /// Earlier queries, all of which must hold too: search within results. They do not rank.
    #[serde(default)]
    pub within: Vec<String>,
    /// The filter tree of the logical query, on fields of the index.
    #[serde(default)]
    pub filters: Filter,
    /// Fields to count values of.
    #[serde(default)]
    pub facets: Vec<String>,
    /// `relevance` (default), or a field with `-` before it for descending.
    #[serde(default)]
    pub sort: Option<String>,
    #[serde(default)]
    pub offset: usize,
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// Counts of hits over time.
    #[serde(default)]
    pub histogram: Option<Histogram>,
    /// Asks for an explanation with each hit; given to those with full view only.
    #[serde(default)]
    pub explain: bool,
    /// A mistake in the query is an error with its position instead of being read forgivingly.
    #[serde(default)]
    pub strict: bool,
}

fn default_limit() -> usize {
    20
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct SearchPage {
    /// Exact number of hits that the asker may see.
    pub total: u64,
    pub hits: Vec<Hit>,
    pub facets: BTreeMap<String, Vec<Facet>>,
    /// Without gaps between the first and the last bucket; empty where none was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<Bucket>,
    /// What was read forgivingly in the query, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<QueryProblem>,
    /// Milliseconds since 1970 UTC of the last commit that the answer saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Hit {
    pub id: String,
    pub score: f32,
    /// Stored fields, masked as the asker's role says; long texts are left out.
    pub fields: BTreeMap<String, Value>,
    /// Passages per field with the spans that matched, in characters of the passage.
    pub highlights: Vec<Passage>,
    /// What the score is made of, where it was asked for and may be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explanation: Vec<Reason>,
}

/// A passage of a text with the places that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Passage {
    pub field: String,
    pub text: String,
    /// Half-open `[start, end)` in Unicode scalar values of `text`.
    pub marks: Vec<(usize, usize)>,
    /// Where the passage starts in the field, in Unicode scalar values.
    pub offset: usize,
    /// The attached file that it is from, where `field` is `attachment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PassageFile>,
}

/// A file of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassageFile {
    pub id: i64,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facet {
    pub value: String,
    pub count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Counts of hits by year, month or day of a date or instant, in local time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// The event time unless given.
    #[serde(default)]
    pub field: Option<String>,
    #[serde(default)]
    pub step: Step,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    #[default]
    Year,
    Month,
    Day,
}

/// One bar of a histogram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// First day, ISO 8601.
    pub from: chrono::NaiveDate,
    /// First day after it.
    pub to: chrono::NaiveDate,
    pub count: u64,
}

/// One part of a score or of a likeness.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// `word`, `phrase`, `section`, `boost`, `text`, `field`.
    pub kind: String,
    /// For people, Chinese.
    pub text: String,
    /// Share of the score.
    pub score: f32,
}

/// What a search for similar documents starts from. Filters, limit and dataset are those of the
/// bound request; its query narrows the answer too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likeness {
    /// A document that the asker may see.
    #[serde(default)]
    pub id: Option<String>,
    /// Pasted text.
    #[serde(default)]
    pub text: Option<String>,
    /// Values that similar documents should have, by field.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

/// Answer of [`crate::traits::SearchIndex::similar`]: best first, each with its reasons.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SimilarPage {
    /// `explanation` holds the reasons: shared words, equal fields.
    pub hits: Vec<Hit>,
    /// Values that were recognised in the pasted text and counted as if given, by field.
    pub recognised: BTreeMap<String, Vec<String>>,
    /// The words that the text was searched by, heaviest first.
    pub words: Vec<String>,
}

/// A completion of what is being typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// To put in place of what was typed.
    pub text: String,
    /// `value` of a field, `term` of the synonym files, `word` of the texts.
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Documents that the asker may see and that have it; none for terms of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Correction {
    /// The whole query with the words put right.
    pub query: String,
    pub changes: Vec<Change>,
}

/// One word put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub from: String,
    pub to: String,
    /// `sound` (same pinyin), `letters` (typed in pinyin), `edit` (a character differs).
    pub by: String,
    /// Documents that the asker may see and that have `to`.
    pub count: u64,
}

/// How a query text was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ParsedQuery {
    /// The query in its own form: reading it again gives the same query.
    pub query: String,
    /// Its parts that must all hold or rank together, in order. `query` is their texts joined by spaces.
    pub chips: Vec<Chip>,
    pub problems: Vec<QueryProblem>,
}

/// A part of a query that a page shows as one piece to edit or remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chip {
    /// `word`, `phrase`, `field`, `near`, `not`, `or`, `section`.
    pub kind: String,
    /// The part in the query language.
    pub text: String,
    /// For people.
    pub label: String,
}

/// A place of a query that could not be read as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryProblem {
    /// Half-open span in Unicode scalar values of the query.
    pub from: usize,
    pub to: usize,
    pub message: String,
    pub hint: String,
}
