//! What runs share: typed rows of a dataset, and replacing a dataset's results as a whole.

use super::Running;
use super::running::Fields;
use crate::error::Result;
use std::collections::HashSet;
use zonglan_catalog::batch::date_of;
use zonglan_catalog::{Batch, Dataset, FieldType, Filter, RowKey, Value};

/// The value of a field of a row, typed as declared; `at` is its place among the fields read.
pub fn value(dataset: &Dataset, field: &str, row: &zonglan_olap::Row<'_>, at: usize) -> Value {
    let Some(field) = dataset.field(field) else { return Value::Null };
    match field.kind {
        kind if kind.is_textual() => row.text(at).map_or(Value::Null, |t| Value::Text(t.to_string())),
        FieldType::Point => Value::Null,
        kind => row.int(at).map_or(Value::Null, |n| match kind {
            FieldType::Decimal => Value::Decimal { units: n, scale: field.scale },
            FieldType::Bool => Value::Bool(n != 0),
            FieldType::Date => Value::Date(date_of(i32::try_from(n).unwrap_or_default())),
            FieldType::Instant => Value::Instant(n),
            _ => Value::Int(n),
        }),
    }
}

/// A result row.
pub fn fields<const N: usize>(list: [(&str, Value); N]) -> Fields {
    list.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

pub fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

pub fn int(n: impl TryInto<i64>) -> Value {
    Value::Int(n.try_into().unwrap_or(i64::MAX))
}

/// A number as a decimal of `scale` digits, rounded half away from zero; null where it is none.
pub fn decimal(x: f64, scale: u8) -> Value {
    if !x.is_finite() {
        return Value::Null;
    }
    Value::Decimal { units: (x * 10f64.powi(i32::from(scale))).round() as i64, scale }
}

/// Makes these rows the whole content of a result dataset: rows that no longer hold are removed, others written
/// where they changed.
pub fn replace(run: &Running, dataset: &str, rows: Vec<Fields>) -> Result<()> {
    let dataset = run.dataset(dataset)?;
    let mut batch = Batch::new(&dataset);
    for row in &rows {
        batch.push_fields(&dataset, row);
    }
    let mut gone: HashSet<RowKey> = HashSet::new();
    let key = dataset.key.first().map_or("id", String::as_str);
    run.existing(&dataset.name, key, &mut |key| {
        gone.insert(key);
    })?;
    for key in &batch.keys {
        gone.remove(key);
    }
    let mut gone: Vec<RowKey> = gone.into_iter().collect();
    gone.sort_unstable();
    run.write(&dataset, &[batch], &gone)?;
    Ok(())
}

/// All rows, for models whose results depend on rows far apart.
pub const ALL: Filter = Filter::True;
