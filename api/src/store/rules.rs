//! Filters on records: in memory for one record, as SQL for lists.

use super::tables::column;
use super::values::Fields;
use super::vault::{self, Vault};
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;
use std::cmp::Ordering;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::filter::{Filter, Op};
use zonglan_catalog::value::Value;

/// Whether a record meets the filter. Comparisons with null are false, `not` is plain negation.
pub fn matches(filter: &Filter, fields: &Fields) -> bool {
    let value = |name: &str| fields.get(name).filter(|v| !v.is_null());
    match filter {
        Filter::True => true,
        Filter::And(list) => list.iter().all(|f| matches(f, fields)),
        Filter::Or(list) => list.iter().any(|f| matches(f, fields)),
        Filter::Not(inner) => !matches(inner, fields),
        Filter::IsNull { field } => value(field).is_none(),
        Filter::In { field, values } => {
            value(field).is_some_and(|v| values.iter().any(|w| v.total_cmp(w) == Ordering::Equal))
        }
        Filter::Clock { field, part, values } => value(field).is_some_and(|v| part.holds(values, v)),
        Filter::Text { field, query } => {
            value(field).and_then(Value::as_str).is_some_and(|t| t.to_lowercase().contains(&query.to_lowercase()))
        }
        Filter::Cmp { field, op, value: operand } => value(field).is_some_and(|v| match op {
            Op::Prefix => v.to_text().starts_with(&operand.to_text()),
            Op::Eq => v.total_cmp(operand) == Ordering::Equal,
            Op::Gt => v.total_cmp(operand) == Ordering::Greater,
            Op::Gte => v.total_cmp(operand) != Ordering::Less,
            Op::Lt => v.total_cmp(operand) == Ordering::Less,
            Op::Lte => v.total_cmp(operand) != Ordering::Greater,
        }),
    }
}

/// Which indexes a statement is to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Filter,
    /// A unary plus keeps SQLite from using an index of the filtered column.
    Sort,
}

/// Appends the filter as a condition on the register's table.
pub(super) fn push_sql(
    query: &mut QueryBuilder<'_, Sqlite>,
    vault: &Vault,
    dataset: &Dataset,
    filter: &Filter,
    indexes: Use,
) -> Result<()> {
    let column = |field: &str| match indexes {
        Use::Filter => column(dataset, field),
        Use::Sort => format!("+{}", column(dataset, field)),
    };
    if let Filter::Cmp { field, .. } | Filter::Text { field, .. } | Filter::Clock { field, .. } = filter
        && let Some(definition) = dataset.field(field).filter(|f| vault::is_sealed(dataset, f))
        && !matches!(filter, Filter::Cmp { op: Op::Eq, .. })
    {
        let label = &definition.label.zh;
        return Err(Error::user(
            "records.sealed",
            format!("「{label}」加密保存，只能按完整内容查找 (found whole only)"),
        )
        .with_hint(format!("请输入完整的{label}，用“等于”条件")));
    }
    match filter {
        Filter::True => {
            query.push("1");
        }
        Filter::And(list) => push_list(query, vault, dataset, list, indexes, [" AND ", "1"])?,
        Filter::Or(list) => push_list(query, vault, dataset, list, indexes, [" OR ", "0"])?,
        Filter::Not(inner) => {
            // Null is not true, so that `not` keeps rows without a value.
            query.push("((");
            push_sql(query, vault, dataset, inner, indexes)?;
            query.push(") IS NOT TRUE)");
        }
        Filter::IsNull { field } => {
            query.push(column(field)).push(" IS NULL");
        }
        Filter::In { field, values } if vault::seals(dataset, field) => {
            query.push("(0");
            for value in values {
                query.push(" OR ");
                push_equal(query, vault, dataset, field, value)?;
            }
            query.push(")");
        }
        Filter::Cmp { field, op: Op::Eq, value } if vault::seals(dataset, field) => {
            push_equal(query, vault, dataset, field, value)?;
        }
        Filter::In { field, values } => {
            query.push(column(field)).push(" IN (");
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    query.push(", ");
                }
                push_value(query, value)?;
            }
            query.push(")");
        }
        Filter::Clock { .. } => {
            return Err(Error::user("records.filter", "登记列表不能按钟点或星期过滤，请在分析页查询"));
        }
        Filter::Text { field, query: words } => {
            query.push("instr(lower(").push(column(field)).push("), ");
            query.push_bind(words.to_lowercase()).push(") > 0");
        }
        Filter::Cmp { field, op: Op::Prefix, value } => {
            let start = value.to_text();
            let column = column(field);
            query.push("(").push(&column).push(" >= ").push_bind(start.clone());
            // No text of ours holds the last code point, so this is the end of the prefix.
            query.push(" AND ").push(&column).push(" < ").push_bind(format!("{start}\u{10FFFF}")).push(")");
        }
        Filter::Cmp { field, op, value } => {
            let sign = match op {
                Op::Eq => " = ",
                Op::Gt => " > ",
                Op::Gte => " >= ",
                Op::Lt => " < ",
                Op::Lte => " <= ",
                Op::Prefix => unreachable!("handled above"),
            };
            query.push(column(field)).push(sign);
            push_value(query, value)?;
        }
    }
    Ok(())
}

fn push_list(
    query: &mut QueryBuilder<'_, Sqlite>,
    vault: &Vault,
    dataset: &Dataset,
    list: &[Filter],
    indexes: Use,
    [between, empty]: [&str; 2],
) -> Result<()> {
    if list.is_empty() {
        query.push(empty);
        return Ok(());
    }
    query.push("(");
    for (i, filter) in list.iter().enumerate() {
        if i > 0 {
            query.push(between);
        }
        push_sql(query, vault, dataset, filter, indexes)?;
    }
    query.push(")");
    Ok(())
}

/// That a field has a value; of sealed fields by the blind indexes of all keys.
pub(super) fn push_equal(
    query: &mut QueryBuilder<'_, Sqlite>,
    vault: &Vault,
    dataset: &Dataset,
    field: &str,
    value: &Value,
) -> Result<()> {
    query.push(column(dataset, field));
    if !vault::seals(dataset, field) {
        query.push(" = ");
        return push_value(query, value);
    }
    query.push(" IN (");
    for (i, hash) in vault.blind(&dataset.name, field, &super::values::stored(value)?)?.into_iter().enumerate() {
        if i > 0 {
            query.push(", ");
        }
        query.push_bind(hash);
    }
    query.push(")");
    Ok(())
}

/// A value as stored documents hold it.
pub(super) fn push_value(query: &mut QueryBuilder<'_, Sqlite>, value: &Value) -> Result<()> {
    match value {
        Value::Null => query.push("NULL"),
        Value::Bool(b) => query.push_bind(i64::from(*b)),
        Value::Int(i) | Value::Instant(i) => query.push_bind(*i),
        Value::Decimal { .. } | Value::Float(_) => query.push_bind(value.as_f64().unwrap_or_default()),
        Value::Text(t) => query.push_bind(t.clone()),
        Value::Date(d) => query.push_bind(d.to_string()),
        Value::Point(..) => return Err(Error::user("records.filter", "点不能直接比较，请用区域条件")),
    };
    Ok(())
}
