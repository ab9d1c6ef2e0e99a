//! Columns of parsed, checked rows on their way from a source to the stores.

use crate::dataset::{Dataset, FieldType};
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// 128 bits that identify a row: a hash of its key, or of its content and occurrence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey(pub u128);

impl RowKey {
    /// The key of a row from the texts of its key fields, in the order of the definition.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self::from_hash(&hasher.finalize())
    }

    /// The key of the `occurrence`-th row (from 0) with this content.
    pub fn of_content<'a>(parts: impl IntoIterator<Item = &'a str>, occurrence: u32) -> Self {
        let content = Self::of(parts);
        if occurrence == 0 { content } else { content.occurrence(occurrence) }
    }

    /// The key of a later row with the same content.
    pub fn occurrence(self, occurrence: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0.to_le_bytes());
        hasher.update(&occurrence.to_le_bytes());
        Self::from_hash(&hasher.finalize())
    }

    fn from_hash(hash: &blake3::Hash) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        Self(u128::from_le_bytes(bytes))
    }
}

/// Texts end to end, with the end of each; the layout that columnar stores copy without change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextColumn {
    bytes: String,
    ends: Vec<u32>,
    /// Empty while nothing is null.
    null: Vec<bool>,
}

impl TextColumn {
    pub fn push(&mut self, text: Option<&str>) {
        if text.is_none() && self.null.is_empty() {
            self.null.resize(self.ends.len(), false);
        }
        self.bytes.push_str(text.unwrap_or_default());
        // A batch is cut long before 4 GiB; saturating keeps the invariant `ends` ascending.
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        if text.is_none() || !self.null.is_empty() {
            self.null.push(text.is_none());
        }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn get(&self, row: usize) -> Option<&str> {
        if self.null.get(row) == Some(&true) {
            return None;
        }
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        Some(&self.bytes[start..self.ends[row] as usize])
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// Bytes held, to cut batches by size.
    pub fn byte_len(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }
}

/// One field of a batch. Decimals are units of the field's scale; dates are days and instants
/// milliseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnData {
    Text(TextColumn),
    Int(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Date(Vec<Option<i32>>),
    Instant(Vec<Option<i64>>),
    Point(Vec<Option<(f64, f64)>>),
}

impl ColumnData {
    pub fn new(kind: FieldType) -> Self {
        match kind {
            FieldType::Text | FieldType::Code | FieldType::Region | FieldType::File | FieldType::Ref => {
                Self::Text(TextColumn::default())
            }
            FieldType::Int | FieldType::Decimal => Self::Int(Vec::new()),
            FieldType::Bool => Self::Bool(Vec::new()),
            FieldType::Date => Self::Date(Vec::new()),
            FieldType::Instant => Self::Instant(Vec::new()),
            FieldType::Point => Self::Point(Vec::new()),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Text(c) => c.len(),
            Self::Int(c) | Self::Instant(c) => c.len(),
            Self::Bool(c) => c.len(),
            Self::Date(c) => c.len(),
            Self::Point(c) => c.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn push_null(&mut self) {
        match self {
            Self::Text(c) => c.push(None),
            Self::Int(c) | Self::Instant(c) => c.push(None),
            Self::Bool(c) => c.push(None),
            Self::Date(c) => c.push(None),
            Self::Point(c) => c.push(None),
        }
    }

    /// Appends a typed value; a value of another type becomes null and returns false.
    pub fn push(&mut self, value: &Value, scale: u8) -> bool {
        match (self, value) {
            (column, Value::Null) => column.push_null(),
            (Self::Text(c), Value::Text(t)) => c.push(Some(t)),
            (Self::Int(c), Value::Int(i)) => c.push(i.checked_mul(10i64.pow(u32::from(scale)))),
            (Self::Int(c), Value::Decimal { units, scale: s }) if *s == scale => c.push(Some(*units)),
            (Self::Int(c), Value::Float(f)) => c.push(Some((f * 10f64.powi(i32::from(scale))).round() as i64)),
            (Self::Bool(c), Value::Bool(b)) => c.push(Some(*b)),
            (Self::Date(c), Value::Date(d)) => c.push(Some(days(*d))),
            (Self::Instant(c), Value::Instant(ms)) => c.push(Some(*ms)),
            (Self::Point(c), Value::Point(x, y)) => c.push(Some((*x, *y))),
            (column, _) => {
                column.push_null();
                return false;
            }
        }
        true
    }
}

/// Days since 1970-01-01.
pub fn days(date: chrono::NaiveDate) -> i32 {
    chrono::Datelike::num_days_from_ce(&date) - 719_163
}

/// The date of a day number since 1970-01-01.
pub fn date_of(days: i32) -> chrono::NaiveDate {
    chrono::NaiveDate::from_num_days_from_ce_opt(days.saturating_add(719_163)).unwrap_or_default()
}

/// Rows of one dataset: a column a field in the order of the definition, and a key a row.
#[derive(Debug, Clone)]
pub struct Batch {
    pub keys: Vec<RowKey>,
    pub columns: Vec<ColumnData>,
}

impl Batch {
    pub fn new(dataset: &Dataset) -> Self {
        Self { keys: Vec::new(), columns: dataset.field.iter().map(|f| ColumnData::new(f.kind)).collect() }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The value of a cell, typed by its field.
    pub fn value(&self, dataset: &Dataset, column: usize, row: usize) -> Value {
        let scale = dataset.field[column].scale;
        match &self.columns[column] {
            ColumnData::Text(c) => c.get(row).map_or(Value::Null, |t| Value::Text(t.to_string())),
            ColumnData::Int(c) => c[row].map_or(Value::Null, |units| match dataset.field[column].kind {
                FieldType::Decimal => Value::Decimal { units, scale },
                _ => Value::Int(units),
            }),
            ColumnData::Bool(c) => c[row].map_or(Value::Null, Value::Bool),
            ColumnData::Date(c) => c[row].map_or(Value::Null, |d| Value::Date(date_of(d))),
            ColumnData::Instant(c) => c[row].map_or(Value::Null, Value::Instant),
            ColumnData::Point(c) => c[row].map_or(Value::Null, |(x, y)| Value::Point(x, y)),
        }
    }

    /// Appends one row of values by field name; missing fields are null. The key comes from the
    /// dataset's key fields.
    pub fn push_fields(&mut self, dataset: &Dataset, fields: &std::collections::BTreeMap<String, Value>) {
        static NULL: Value = Value::Null;
        for (field, column) in dataset.field.iter().zip(&mut self.columns) {
            column.push(fields.get(&field.name).unwrap_or(&NULL), field.scale);
        }
        let key = if dataset.key.is_empty() {
            dataset.field.iter().map(|f| &f.name).collect::<Vec<_>>()
        } else {
            dataset.key.iter().collect()
        };
        let parts: Vec<String> =
            key.iter().map(|name| fields.get(*name).map(Value::to_text).unwrap_or_default()).collect();
        self.keys.push(RowKey::of(parts.iter().map(String::as_str)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_columns_keep_nulls_apart_from_empty() {
        let mut column = TextColumn::default();
        for text in [Some("a"), None, Some(""), Some("汉")] {
            column.push(text);
        }
        assert_eq!(column.iter().collect::<Vec<_>>(), [Some("a"), None, Some(""), Some("汉")]);
    }

    #[test]
    fn keys_do_not_confuse_parts() {
        assert_ne!(RowKey::of(["ab", "c"]), RowKey::of(["a", "bc"]));
        assert_ne!(RowKey::of_content(["a"], 0), RowKey::of_content(["a"], 1));
    }
}
