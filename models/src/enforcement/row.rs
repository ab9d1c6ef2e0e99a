//! A declared filter against one row in memory, with the meaning it has in a query.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use zonglan_catalog::filter::Op;
use zonglan_catalog::{Dataset, Filter, Value};

/// Fields of a row by name; a field that is not there is null.
pub type Fields = BTreeMap<String, Value>;

static NULL: Value = Value::Null;

/// Whether a row passes. A comparison with null is false. Text predicates need an index, those of the clock an engine: both are refused by [`check`].
pub fn holds(filter: &Filter, row: &Fields) -> bool {
    let get = |field: &str| row.get(field).unwrap_or(&NULL);
    match filter {
        Filter::True => true,
        Filter::And(list) => list.iter().all(|f| holds(f, row)),
        Filter::Or(list) => list.iter().any(|f| holds(f, row)),
        Filter::Not(inner) => !holds(inner, row),
        Filter::IsNull { field } => is_missing(get(field)),
        Filter::In { field, values } => values.iter().any(|v| compare(get(field), v) == Some(Ordering::Equal)),
        Filter::Cmp { field, op, value } => {
            let have = get(field);
            if *op == Op::Prefix {
                return !have.is_null() && have.to_text().starts_with(&value.to_text());
            }
            compare(have, value).is_some_and(|order| match op {
                Op::Eq => order == Ordering::Equal,
                Op::Gt => order == Ordering::Greater,
                Op::Gte => order != Ordering::Less,
                Op::Lt => order == Ordering::Less,
                Op::Lte => order != Ordering::Greater,
                Op::Prefix => false,
            })
        }
        Filter::Text { .. } | Filter::Clock { .. } => false,
    }
}

/// Null, and text of nothing but white space: a form saves the latter.
fn is_missing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|t| t.trim().is_empty())
}

fn compare(have: &Value, want: &Value) -> Option<Ordering> {
    if have.is_null() || want.is_null() {
        return None;
    }
    match (have.as_f64(), want.as_f64()) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        // Dates and instants are written as text in files; their text orders as they do.
        _ => Some(have.to_text().cmp(&want.to_text())),
    }
}

/// What is wrong with a declared filter on a dataset.
///
/// # Errors
/// An unknown field, or a predicate that only an index answers.
pub fn check(filter: &Filter, dataset: &Dataset) -> Result<(), String> {
    let mut problem = None;
    filter.leaves(&mut |leaf| {
        if matches!(leaf, Filter::Text { .. } | Filter::Clock { .. }) {
            problem.get_or_insert_with(|| "text 与时钟条件不能用于逐行核查".to_string());
        }
        if let Some(field) = leaf.field().filter(|f| dataset.field(f).is_none()) {
            problem.get_or_insert_with(|| format!("数据集 {} 没有字段 {field}", dataset.name));
        }
    });
    problem.map_or(Ok(()), Err)
}
