//! The shapes of shared JSON values in the OpenAPI document. The values themselves are types of
//! `zonglan-catalog`, which knows nothing of HTTP.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A logical query. Ask measures by dimensions, or rows.
#[derive(ToSchema)]
pub struct Query {
    /// Name of a dataset.
    pub dataset: String,
    /// Measures of the dataset, or `dataset.measure` of another one.
    pub measures: Option<Vec<String>>,
    /// Dimensions: `"district"`, `{"time":"month"}`, `{"field":"street","level":"district"}`.
    pub by: Option<Vec<Json>>,
    /// Fields of the rows, instead of measures.
    pub rows: Option<Vec<String>>,
    /// Filter tree: `{"and":[{"category":{"in":["theft"]}},{"not":{"status":{"eq":"closed"}}}]}`;
    /// operators eq, ne, in, not_in, gt, gte, lt, lte, prefix, is_null, text, and of times hour_of_day and weekday.
    #[schema(value_type = Option<Object>)]
    pub r#where: Option<Json>,
    /// `{"from":"2025-01-01","to":"2026-01-01"}`, `{"last":"30d"}`, `{"this":"month"}` or `{"previous":"month"}`.
    #[schema(value_type = Option<Object>)]
    pub range: Option<Json>,
    /// `yoy`, `mom` or `yoy_workday`: adds `_prev`, `_delta` and `_pct` of each measure.
    pub compare: Option<String>,
    /// Conditions on measures: `{"count":{"gte":10}}`.
    #[schema(value_type = Option<Object>)]
    pub having: Option<Json>,
    /// Column names, `-` before descending ones.
    pub order: Option<Vec<String>>,
    /// At most 10000.
    pub limit: Option<usize>,
    /// Figures worked out from the groups: `{"as":"share","of":"count","within":["month"]}`;
    /// `as` is cumulative, year_to_date, share or rank; the column is `count_share`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub compute: Option<Vec<Json>>,
    /// Own figures: `{"name":"per_unit","expr":"count / units * 100","digits":1,"unit":"%","label":"…"}`; an
    /// expression over measures of the query with + - * / and parentheses, worked out from the figures shown.
    #[schema(value_type = Option<Vec<Object>>)]
    pub calc: Option<Vec<Json>>,
    /// One more row, `__others`, for all groups beyond `limit`.
    pub others: Option<bool>,
    /// A column of `by` whose values become columns `measure@value`.
    pub pivot: Option<String>,
    /// The figures of all groups together, in `totals`.
    pub totals: Option<bool>,
    /// `meta.cursor` of the page before.
    pub cursor: Option<String>,
}

/// An answer.
#[derive(ToSchema)]
pub struct Table {
    pub columns: Vec<Column>,
    /// A row holds one value a column: null, boolean, number, text, or `[lon, lat]`.
    pub rows: Vec<Vec<Json>>,
    /// Of all groups together, by column, where the query asked for it.
    pub totals: Option<BTreeMap<String, Json>>,
    pub meta: Meta,
}

#[derive(ToSchema)]
pub struct Column {
    pub name: String,
    /// text, code, region, int, decimal, float, bool, date, instant, point or period.
    pub r#type: String,
    pub unit: String,
    pub label: Option<String>,
    /// Names of the codes in this column.
    pub labels: Option<BTreeMap<String, String>>,
    /// The value of the pivoted dimension that the column stands for.
    pub pivot: Option<Json>,
}

/// How an answer came about.
#[derive(ToSchema)]
pub struct Meta {
    pub engine: String,
    pub rollup: Option<String>,
    /// Data version by dataset.
    pub data_version: BTreeMap<String, u64>,
    /// Latest event time, milliseconds since 1970 UTC.
    pub watermark: Option<i64>,
    pub rows_scanned: u64,
    /// Milliseconds by phase.
    pub times: BTreeMap<String, f64>,
    /// Cells hidden because they count too few people.
    pub suppressed: u64,
    /// Which definition of a measure was used, where the range reaches beyond the newest one:
    /// `{"code","dataset","measure","version","zh","en"}`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub notes: Option<Vec<Json>>,
    pub total: Option<u64>,
    pub cursor: Option<String>,
    /// An earlier answer, given while the engine is away; absent otherwise.
    pub stale: Option<bool>,
}

/// A full-text search.
#[derive(ToSchema)]
pub struct SearchRequest {
    pub dataset: String,
    /// Words, or fragments in double quotes of either width. Empty: everything.
    pub query: Option<String>,
    /// Earlier queries that must hold too: search within results.
    pub within: Option<Vec<String>>,
    /// The filter tree of the logical query.
    #[schema(value_type = Option<Object>)]
    pub filters: Option<Json>,
    /// Fields to count values of.
    pub facets: Option<Vec<String>>,
    /// `relevance` or a field, `-` before it for descending.
    pub sort: Option<String>,
    pub offset: Option<usize>,
    /// At most 1000; 20 unless given.
    pub limit: Option<usize>,
}

#[derive(ToSchema)]
pub struct SearchPage {
    /// Exact number of hits that the asker may see.
    pub total: u64,
    pub hits: Vec<Hit>,
    pub facets: BTreeMap<String, Vec<Facet>>,
    /// Milliseconds since 1970 UTC of the last commit that the answer saw.
    pub as_of: Option<i64>,
}

#[derive(ToSchema)]
pub struct Hit {
    pub id: String,
    pub score: f32,
    #[schema(value_type = Object)]
    pub fields: Json,
    pub highlights: Vec<Passage>,
}

/// A passage with the places that matched.
#[derive(ToSchema)]
pub struct Passage {
    pub field: String,
    pub text: String,
    /// `[start, end)` in Unicode scalar values of the text.
    pub marks: Vec<Vec<usize>>,
    pub offset: usize,
    /// The attached file that the passage is from: its number and name.
    #[schema(value_type = Option<Object>)]
    pub file: Option<Json>,
}

#[derive(ToSchema)]
pub struct Facet {
    pub value: String,
    pub count: u64,
    pub label: Option<String>,
}
