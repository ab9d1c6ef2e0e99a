//! Spreading one dimension's values over columns.

use crate::error::{OlapError, Result};
use crate::finish::nulls_last;
use std::collections::HashMap;
use zonglan_catalog::query::Query;
use zonglan_catalog::table::{Column, Table};
use zonglan_catalog::value::Value;

/// Values that may become columns.
const MOST: usize = 200;

/// Turns groups into rows of the other dimensions with a column `figure@value` for each figure
/// and each value of the pivoted dimension, in ascending order of the values, null last. A cell
/// without a group is null, or 0 where `empties` says so of the figure. Order and limit apply to the rows.
pub fn spread(query: &Query, table: &mut Table, empties: &[bool], limit: usize) -> Result<()> {
    let dims = query.by.len();
    let Some(at) = query.by.iter().position(|d| Some(&d.column()) == query.pivot.as_ref()) else { return Ok(()) };
    let mut values: Vec<Value> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for row in &table.rows {
        places.entry(name(&row[at])).or_insert_with(|| {
            values.push(row[at].clone());
            values.len() - 1
        });
    }
    if values.len() > MOST {
        return Err(OlapError::TooLarge(format!(
            "pivot 最多 {MOST} 列，'{}' 有 {} 个值",
            query.by[at].column(),
            values.len()
        )));
    }
    values.sort_by(|a, b| nulls_last(a, b, false));
    places = values.iter().enumerate().map(|(place, value)| (name(value), place)).collect();
    let figures = table.columns.len() - dims;
    let keep: Vec<usize> = (0..dims).filter(|i| *i != at).collect();

    let mut columns: Vec<Column> = keep.iter().map(|i| table.columns[*i].clone()).collect();
    for value in &values {
        for figure in &table.columns[dims..] {
            let mut column = figure.clone();
            column.name = format!("{}@{}", figure.name, name(value));
            column.pivot = Some(value.clone());
            columns.push(column);
        }
    }
    let empty = |i: usize| if empties.get(i).copied().unwrap_or(false) { Value::Int(0) } else { Value::Null };
    let blank: Vec<Value> = (0..values.len()).flat_map(|_| (0..figures).map(empty)).collect();
    let mut index: HashMap<Vec<String>, usize> = HashMap::new();
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for row in std::mem::take(&mut table.rows) {
        let key: Vec<String> = keep.iter().map(|i| name(&row[*i])).collect();
        let line = *index.entry(key).or_insert_with(|| {
            let mut line: Vec<Value> = keep.iter().map(|i| row[*i].clone()).collect();
            line.extend(blank.iter().cloned());
            rows.push(line);
            rows.len() - 1
        });
        let place = keep.len() + places[&name(&row[at])] * figures;
        rows[line][place..place + figures].clone_from_slice(&row[dims..]);
    }
    let mut order: Vec<(usize, bool)> = Vec::new();
    for name in &query.order {
        let (name, descending) = name.strip_prefix('-').map_or((name.as_str(), false), |n| (n, true));
        let place = columns.iter().position(|c| c.name == name).ok_or_else(|| {
            let known: Vec<&str> = columns.iter().take(20).map(|c| c.name.as_str()).collect();
            OlapError::Query(format!("order 中的 '{name}' 不是透视后的列；可用: {}", known.join(", ")))
        })?;
        order.push((place, descending));
    }
    order.extend((0..keep.len()).map(|i| (i, false)));
    rows.sort_by(|a, b| {
        let one = |(at, down): &(usize, bool)| nulls_last(&a[*at], &b[*at], *down);
        order.iter().map(one).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    table.meta.total = Some(rows.len() as u64);
    rows.truncate(limit);
    table.rows = rows;
    table.columns = columns;
    Ok(())
}

/// How a value is named in a column.
fn name(value: &Value) -> String {
    if value.is_null() { "null".into() } else { value.to_text() }
}
