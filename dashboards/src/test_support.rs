//! A small catalogue and answers for tests of this crate.

use zonglan_catalog::query::Dim;
use zonglan_catalog::table::{Column, ColumnRole, ColumnType, Table};
use zonglan_catalog::{Catalogue, Query, Value};

pub fn catalogue() -> Catalogue {
    Catalogue::builtin().expect("the packs are right")
}

pub fn query(json: &str) -> Query {
    serde_json::from_str(json).expect("a query")
}

/// A column of a dimension, a measure or a comparison, as an engine names it.
pub fn dim(dim: Dim, kind: ColumnType) -> Column {
    Column::new(dim.column(), kind, ColumnRole::Dimension(dim))
}

pub fn measure(name: &str) -> Column {
    Column::new(name, ColumnType::Int, ColumnRole::Measure(name.into()))
}

pub fn comparison(name: &str, suffix: &str) -> Column {
    Column::new(format!("{name}_{suffix}"), ColumnType::Decimal, ColumnRole::Comparison(name.into()))
}

pub fn table(columns: Vec<Column>, rows: Vec<Vec<Value>>) -> Table {
    Table { columns, rows, ..Table::default() }
}

pub fn text(value: &str) -> Value {
    Value::Text(value.into())
}

pub fn date(value: &str) -> Value {
    Value::Date(value.parse().expect("a date"))
}
