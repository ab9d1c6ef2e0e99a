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
    /// Words, or fragments in double quotes (either width). Empty: everything, newest first.
    #[serde(default)]
    pub query: String,
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facet {
    pub value: String,
    pub count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
