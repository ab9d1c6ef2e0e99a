//! Answers: columns with types and units, rows of values, and how they were computed.

use crate::dataset::FieldType;
use crate::load::Catalogue;
use crate::value::Value;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, Serialize)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
    /// The figures of all groups together, by column name, where the query asked for `totals`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<BTreeMap<String, Value>>,
    pub meta: Meta,
}

#[derive(Debug, Clone, Serialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ColumnType,
    pub unit: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Names of the codes that occur in this column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The value of the pivoted dimension that this column stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pivot: Option<Value>,
    #[serde(skip)]
    pub role: ColumnRole,
}

/// In a textual dimension: all groups beyond the limit of a top-N query.
pub const OTHERS: &str = "__others";

/// Which part of the query a column answers; it decides what its cells may drill to.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ColumnRole {
    #[default]
    Row,
    Dimension(crate::query::Dim),
    Measure(String),
    /// `m_prev`, `m_delta`, `m_pct`, `m_share` and the like: worked out from measure m.
    Comparison(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Text,
    Code,
    Region,
    Int,
    Decimal,
    Float,
    Bool,
    Date,
    Instant,
    Point,
    /// Start of a period, as a date or an instant.
    Period,
}

impl From<FieldType> for ColumnType {
    fn from(kind: FieldType) -> Self {
        match kind {
            FieldType::Text | FieldType::File | FieldType::Ref => Self::Text,
            FieldType::Code => Self::Code,
            FieldType::Region => Self::Region,
            FieldType::Int => Self::Int,
            FieldType::Decimal => Self::Decimal,
            FieldType::Bool => Self::Bool,
            FieldType::Date => Self::Date,
            FieldType::Instant => Self::Instant,
            FieldType::Point => Self::Point,
        }
    }
}

/// How an answer came about.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Meta {
    pub engine: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollup: Option<String>,
    /// Data version per dataset asked.
    pub data_version: BTreeMap<String, u64>,
    /// The latest event time of the data, milliseconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<i64>,
    pub rows_scanned: u64,
    /// Milliseconds by phase.
    pub times: BTreeMap<String, f64>,
    pub suppressed: u64,
    /// Rows behind, before the limit (rows queries: exact; grouped: number of groups).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What a reader should know of the figures: which definition of a measure was used, and where
    /// the range reaches beyond it. In Chinese and English.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<crate::governance::Note>,
    /// Give this back as `cursor` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// An earlier answer: the engine is away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

impl Column {
    pub fn new(name: impl Into<String>, kind: ColumnType, role: ColumnRole) -> Self {
        Self {
            name: name.into(),
            kind,
            unit: String::new(),
            label: String::new(),
            labels: BTreeMap::new(),
            pivot: None,
            role,
        }
    }
}

impl Table {
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    pub fn value(&self, row: usize, column: &str) -> Option<&Value> {
        self.rows.get(row)?.get(self.column(column)?)
    }

    /// Adds the Chinese or English names of columns and codes from the catalogue.
    pub fn label(&mut self, catalogue: &Catalogue, dataset: &str, english: bool) {
        let Some(dataset) = catalogue.dataset(dataset) else { return };
        let pick = |label: &crate::codes::Label| if english { label.en.clone() } else { label.zh.clone() };
        for (index, column) in self.columns.iter_mut().enumerate() {
            let field = match &column.role {
                ColumnRole::Dimension(crate::query::Dim::Field(name)) => dataset.field(name),
                ColumnRole::Dimension(crate::query::Dim::Level(level)) => dataset.field(&level.field),
                ColumnRole::Row => dataset.field(&column.name),
                _ => None,
            };
            match &column.role {
                ColumnRole::Measure(name) | ColumnRole::Comparison(name) => {
                    if let Some((_, measure)) = catalogue.measure(&dataset.name, name) {
                        column.label = pick(&measure.label);
                    }
                }
                _ => {}
            }
            let Some(field) = field else { continue };
            if self.rows.iter().any(|row| matches!(row.get(index), Some(Value::Text(code)) if code == OTHERS)) {
                column.labels.insert(OTHERS.into(), if english { "Others".into() } else { "其他".into() });
            }
            column.label = pick(&field.label);
            if let Some(unit) = &field.unit {
                column.unit.clone_from(unit);
            }
            if !matches!(field.kind, FieldType::Code | FieldType::Region) {
                continue;
            }
            let Some(codes) = catalogue.codes_of(field) else { continue };
            for row in &self.rows {
                if let Some(Value::Text(code)) = row.get(index)
                    && !column.labels.contains_key(code)
                    && let Some(item) = codes.get(code)
                {
                    let name = if english { item.en.clone() } else { item.zh.clone() };
                    column.labels.insert(code.clone(), name);
                }
            }
        }
    }
}
