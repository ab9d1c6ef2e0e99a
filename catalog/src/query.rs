//! The logical query: a value that clients, boards and drills exchange.

use crate::calc::Calc;
use crate::dataset::RegionLevel;
use crate::filter::Filter;
use crate::time::{Grain, Range};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Rows that an answer may have at most, unless a role's export allows more.
pub const MAX_LIMIT: usize = 10_000;

/// Measures by dimensions, or the rows behind them. See the design for the JSON form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub dataset: String,
    /// Measures of the dataset, or `dataset.measure` of another one (drill-across).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Dim>,
    /// Fields of the rows, instead of measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    #[serde(default, rename = "where", skip_serializing_if = "Filter::is_true")]
    pub filter: Filter,
    #[serde(default, skip_serializing_if = "Range::is_unbounded")]
    pub range: Range,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
    /// Conditions on measures, applied to groups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub having: BTreeMap<String, Json>,
    /// Column names, `-` before descending ones. Empty: by the dimensions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Figures worked out from the groups: running sums, shares, ranks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compute: Vec<Compute>,
    /// Own figures: expressions over the measures, worked out from what is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calc: Vec<Calc>,
    /// One more row for all groups beyond `limit`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others: bool,
    /// A column of `by` whose values become columns `measure@value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pivot: Option<String>,
    /// The figures of all groups together, in `totals` of the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub totals: bool,
    /// Where the page before ended, as `meta.cursor` gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One dimension: `"district"`, `{"time":"month"}`, `{"time":"month","field":"closed_at"}` or
/// `{"field":"street","level":"district"}`. Its column is named after the field or the grain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    Field(String),
    Time(TimeDim),
    Level(LevelDim),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeDim {
    pub time: Grain,
    /// The dataset's event time unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelDim {
    pub field: String,
    pub level: RegionLevel,
}

impl Dim {
    pub fn field(name: impl Into<String>) -> Self {
        Dim::Field(name.into())
    }

    pub fn time(grain: Grain) -> Self {
        Dim::Time(TimeDim { time: grain, field: None })
    }

    /// The name of the answer's column.
    pub fn column(&self) -> String {
        match self {
            Dim::Field(name) => name.clone(),
            Dim::Time(t) => match &t.field {
                Some(field) => format!("{field}_{}", t.time.name()),
                None => t.time.name().to_string(),
            },
            Dim::Level(l) => match l.level {
                RegionLevel::City => "city".into(),
                RegionLevel::District => "district".into(),
                RegionLevel::Street => "street".into(),
                RegionLevel::Neighbourhood => "neighbourhood".into(),
                RegionLevel::Grid => "grid".into(),
            },
        }
    }
}

/// The period that a figure is compared with. Each measure `m` gets the columns `m_prev`,
/// `m_delta` (difference) and `m_pct` (relative change in percent, null where `m_prev` is 0 or missing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// Same dates of the year before (同比).
    Yoy,
    /// The period directly before, of the same length; for whole calendar months, quarters and
    /// years the calendar period before (环比).
    Mom,
    /// The same n-th working day of the year before.
    YoyWorkday,
}

/// A figure worked out from the groups of an answer, before `having`: `{"as":"share","of":"count"}`.
/// Its column is `<of>_<as>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    #[serde(rename = "as")]
    pub kind: ComputeKind,
    /// A measure of the query.
    pub of: String,
    /// Columns of `by` within which shares and ranks are taken. Empty: over the whole answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeKind {
    /// From the start of the range to the end of the period (累计).
    Cumulative,
    /// From 1 January to the end of the period (本年累计), also where the range starts later.
    YearToDate,
    /// Percent of the total, two digits (占比).
    Share,
    /// 1 for the largest; equal values share a rank, and the next is skipped. Null has none.
    Rank,
}

impl ComputeKind {
    pub fn name(self) -> &'static str {
        match self {
            ComputeKind::Cumulative => "cumulative",
            ComputeKind::YearToDate => "year_to_date",
            ComputeKind::Share => "share",
            ComputeKind::Rank => "rank",
        }
    }

    /// Running sums follow the time dimension.
    pub fn runs(self) -> bool {
        matches!(self, ComputeKind::Cumulative | ComputeKind::YearToDate)
    }
}

impl Compute {
    pub fn column(&self) -> String {
        format!("{}_{}", self.of, self.kind.name())
    }
}

impl Query {
    /// The rows query with the same filters: the last step of every drill.
    pub fn to_rows(&self, fields: Vec<String>) -> Query {
        Query {
            rows: fields,
            measures: Vec::new(),
            by: Vec::new(),
            compare: None,
            having: BTreeMap::new(),
            compute: Vec::new(),
            calc: Vec::new(),
            others: false,
            pivot: None,
            totals: false,
            order: Vec::new(),
            limit: Some(50),
            cursor: None,
            ..self.clone()
        }
    }

    /// The names of the answer's columns, in order; of a pivot: before it is spread.
    pub fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = self.by.iter().map(Dim::column).collect();
        for measure in &self.measures {
            columns.push(measure.clone());
            if self.compare.is_some() {
                columns.extend(["prev", "delta", "pct"].map(|suffix| format!("{measure}_{suffix}")));
            }
        }
        for compute in &self.compute {
            columns.push(compute.column());
            if self.compare.is_some() && compute.kind.runs() {
                columns.extend(["prev", "delta", "pct"].map(|suffix| format!("{}_{suffix}", compute.column())));
            }
        }
        for calc in &self.calc {
            columns.push(calc.name.clone());
            if self.compare.is_some() {
                columns.extend(["prev", "delta", "pct"].map(|suffix| format!("{}_{suffix}", calc.name)));
            }
        }
        columns.extend(self.rows.iter().cloned());
        columns
    }

    /// The first name in `order` or `having` that no column has.
    pub fn unknown_column(&self) -> Option<&str> {
        let columns = self.columns();
        let dims = self.by.len();
        let ordered = self.order.iter().map(|name| name.strip_prefix('-').unwrap_or(name));
        // The columns of a pivot depend on the data; the engine checks them.
        let spread = |name: &str| self.pivot.is_some() && name.contains('@');
        ordered
            .filter(|name| !columns.iter().any(|c| c == name) && !spread(name))
            .chain(self.having.keys().map(String::as_str).filter(|name| !columns[dims..].iter().any(|c| c == name)))
            .next()
    }

    /// Splits `dataset.measure`; a plain name belongs to this query's dataset.
    pub fn measure_owner<'a>(&'a self, name: &'a str) -> (&'a str, &'a str) {
        name.split_once('.').unwrap_or((&self.dataset, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_design_round_trips() {
        let json = r#"{"dataset":"incident","measures":["count","population.residents"],"by":["district",{"time":"month"}],
            "where":{"and":[{"category":{"in":["theft"]}},{"not":{"status":{"eq":"closed"}}},{"narrative":{"text":"电动车"}},{"minutes":{"gte":5,"lt":30}}]},
            "range":{"from":"2025-01-01","to":"2026-01-01"},"compare":"yoy","having":{"count":{"gte":10}},"order":["-count"],"limit":50,"cursor":null}"#;
        let query: Query = serde_json::from_str(json).expect("reads");
        assert_eq!(query.by[1].column(), "month");
        assert_eq!(query.measure_owner("population.residents"), ("population", "residents"));
        let again: Query = serde_json::from_str(&serde_json::to_string(&query).expect("writes")).expect("reads again");
        assert_eq!(again, query);
        assert!(serde_json::from_str::<Query>(r#"{"dataset":"x","meassures":[]}"#).is_err());
    }
}
