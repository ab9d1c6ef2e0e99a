//! Filters and values with the types of the fields they speak of.

use super::field_of;
use crate::dataset::{Dataset, Field, FieldType, Sensitivity};
use crate::error::{Error, Result};
use crate::filter::{ClockPart, Filter, Op};
use crate::load::Catalogue;
use crate::policy::{Policy, Principal};
use crate::time::Bound;
use crate::value::Value;
use chrono::NaiveDate;

/// Checks each leaf against its field and gives its values the field's type.
pub(super) fn type_filter(
    catalogue: &Catalogue,
    policy: &Policy,
    principal: &Principal,
    dataset: &Dataset,
    filter: &Filter,
    now: i64,
) -> Result<Filter> {
    let recurse = |f: &Filter| type_filter(catalogue, policy, principal, dataset, f, now);
    let readable = |name: &str| -> Result<Field> {
        let field = field_of(dataset, name)?;
        if field.person_key
            || (field.sensitivity >= Sensitivity::Personal && !policy.sees_clear(principal, dataset, field, now))
        {
            return Err(Error::forbidden("policy.personal", format!("不能用个人信息字段 '{name}' 作条件")));
        }
        Ok(field.clone())
    };
    Ok(match filter {
        Filter::True => Filter::True,
        Filter::And(list) => Filter::And(list.iter().map(recurse).collect::<Result<_>>()?),
        Filter::Or(list) => Filter::Or(list.iter().map(recurse).collect::<Result<_>>()?),
        Filter::Not(inner) => Filter::Not(Box::new(recurse(inner)?)),
        Filter::IsNull { field } => {
            readable(field)?;
            filter.clone()
        }
        Filter::Clock { field, part, .. } => {
            let definition = readable(field)?;
            let fits = match part {
                ClockPart::HourOfDay => definition.kind == FieldType::Instant,
                ClockPart::Weekday => matches!(definition.kind, FieldType::Instant | FieldType::Date),
            };
            if !fits {
                return Err(Error::user(
                    "query.clock",
                    format!("'{}' 只能用于时间字段，'{field}' 不是 (only a time has one)", part.name()),
                ));
            }
            filter.clone()
        }
        Filter::Text { field, query } => {
            let definition = readable(field)?;
            if definition.search == crate::dataset::SearchMode::None {
                return Err(Error::user("query.text", format!("字段 '{field}' 没有全文索引"))
                    .with_hint("可检索的字段在数据集定义里有 search"));
            }
            Filter::Text { field: field.clone(), query: query.clone() }
        }
        Filter::Cmp { field, op, value } => {
            let definition = readable(field)?;
            if *op == Op::Prefix && !definition.kind.is_textual() {
                return Err(Error::user("query.prefix", format!("'prefix' 只能用于文本字段，'{field}' 不是")));
            }
            let value = if *op == Op::Prefix { value.clone() } else { typed(catalogue, &definition, value)? };
            Filter::Cmp { field: field.clone(), op: *op, value }
        }
        Filter::In { field, values } => {
            let definition = readable(field)?;
            let values = values.iter().map(|v| typed(catalogue, &definition, v)).collect::<Result<_>>()?;
            Filter::In { field: field.clone(), values }
        }
    })
}

/// Gives the values of a filter that a definition declares the types of their fields. Policy is
/// not asked: the definition is trusted, and who evaluates it shows nobody the fields it reads.
pub fn typed_filter(catalogue: &Catalogue, dataset: &Dataset, filter: &Filter) -> Result<Filter> {
    let recurse = |f: &Filter| typed_filter(catalogue, dataset, f);
    Ok(match filter {
        Filter::And(list) => Filter::And(list.iter().map(recurse).collect::<Result<_>>()?),
        Filter::Or(list) => Filter::Or(list.iter().map(recurse).collect::<Result<_>>()?),
        Filter::Not(inner) => Filter::Not(Box::new(recurse(inner)?)),
        Filter::Cmp { field, op, value } if *op != Op::Prefix => {
            let value = typed(catalogue, field_of(dataset, field)?, value)?;
            Filter::Cmp { field: field.clone(), op: *op, value }
        }
        Filter::In { field, values } => {
            let definition = field_of(dataset, field)?;
            let values = values.iter().map(|v| typed(catalogue, definition, v)).collect::<Result<_>>()?;
            Filter::In { field: field.clone(), values }
        }
        other => other.clone(),
    })
}

/// Reads an untyped JSON value as a value of the field.
pub fn typed(catalogue: &Catalogue, field: &Field, value: &Value) -> Result<Value> {
    let bad = |what: &str| {
        Error::user(
            "query.value",
            format!("字段 '{}' 需要{what}，得到 {}", field.name, serde_json::to_string(value).unwrap_or_default()),
        )
    };
    Ok(match (field.kind, value) {
        (FieldType::Int, Value::Int(_)) | (FieldType::Bool, Value::Bool(_)) => value.clone(),
        (FieldType::Int, Value::Float(f)) if f.fract() == 0.0 && f.abs() < 9e15 => Value::Int(*f as i64),
        (FieldType::Int, _) => return Err(bad("整数")),
        (FieldType::Decimal, Value::Decimal { scale, .. }) if *scale == field.scale => value.clone(),
        (FieldType::Decimal, _) => {
            let number = value.as_f64().ok_or_else(|| bad("数字"))?;
            Value::Decimal { units: (number * 10f64.powi(i32::from(field.scale))).round() as i64, scale: field.scale }
        }
        (FieldType::Bool, _) => return Err(bad("true 或 false")),
        (FieldType::Date, Value::Text(text)) => {
            Value::Date(text.parse::<NaiveDate>().map_err(|_| bad("日期，如 2025-01-31"))?)
        }
        (FieldType::Date, Value::Date(_)) | (FieldType::Instant, Value::Instant(_)) => value.clone(),
        (FieldType::Instant, Value::Text(text)) => {
            let bound: Bound = serde_json::from_value(serde_json::Value::String(text.clone()))
                .map_err(|_| bad("时间，如 2025-01-31 或 2025-01-31T08:00:00+08:00"))?;
            Value::Instant(bound.millis())
        }
        (FieldType::Date | FieldType::Instant, _) => return Err(bad("日期")),
        (FieldType::Point, _) => return Err(bad("区域条件；点不能直接比较")),
        (FieldType::Code | FieldType::Region, Value::Text(text)) => match catalogue.codes_of(field) {
            // Old codes and labels are read as today's code; an unknown code simply matches nothing.
            Some(codes) => Value::Text(codes.resolve(text).map_or(text, |item| &item.code).clone()),
            None => value.clone(),
        },
        (_, Value::Text(_)) => value.clone(),
        (_, Value::Int(i)) => Value::Text(i.to_string()),
        _ => return Err(bad("文本")),
    })
}
