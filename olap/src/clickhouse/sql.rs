//! Filters, dimensions and measures as SQL that says to the digit what the embedded engine says.
//!
//! Conditions are two-valued, as everywhere in the program: a comparison with null is false, so
//! each is wrapped. Numbers leave the server as whole units, days or milliseconds.

use super::ddl::{quoted, text};
use crate::dims::{DimKind, DimPlan, DimVal, Renames};
use crate::plan::PartPlan;
use crate::pred::{Pred, TextTest};
use crate::scan::Leaf;
use std::fmt::Write;
use zonglan_catalog::dataset::{Aggregate, Dataset, Field, FieldType, RegionLevel};
use zonglan_catalog::filter::Op;
use zonglan_catalog::time::{Grain, Span};

/// Moments that `_at` can hold, in milliseconds: from 1900 to 2299.
pub const AT: (i64, i64) = (-2_208_988_800_000, 10_413_791_999_000);

/// Settings of every question. Partitions hold all versions of their rows (a row whose event time
/// changes is marked as gone in the old one), so they need not be merged with each other.
pub const SETTINGS: &str = "final = 1, do_not_merge_across_partitions_select_final = 1, transform_null_in = 0, \
    enable_extended_results_for_datetime_functions = 1, use_variant_as_common_type = 0, \
    max_query_size = 268435456, max_ast_elements = 4000000, max_expanded_ast_elements = 4000000, \
    group_by_use_nulls = 0, output_format_json_quote_64bit_integers = 1";

/// A field's number: units, days, milliseconds, 0 or 1. Null where there is none.
pub fn number(field: &Field) -> String {
    let name = quoted(&field.name);
    match field.kind {
        FieldType::Instant => format!("toUnixTimestamp64Milli({name})"),
        FieldType::Date | FieldType::Bool => format!("toInt64({name})"),
        _ => name,
    }
}

fn list(values: impl Iterator<Item = i64>) -> String {
    let values: Vec<String> = values.map(|v| format!("toInt64({v})")).collect();
    values.join(", ")
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> String {
    values.map(text).collect::<Vec<_>>().join(", ")
}

/// A code as it is today, see [`Renames::today`].
fn today(name: &str, renames: &Renames) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = renames.iter().unzip();
    let (old, new) = (texts(old.into_iter()), texts(new.into_iter()));
    let plain = format!("CAST({name} AS Nullable(String))");
    format!(
        "multiIf({plain} IN ({old}), transform(assumeNotNull({plain}), [{old}], [{new}], ''), \
         length({plain}) > 6 AND substring({plain}, 1, 6) IN ({old}), \
         concat(transform(substring(assumeNotNull({plain}), 1, 6), [{old}], [{new}], ''), substring({plain}, 7)), {plain})"
    )
}

fn range(number: &str, low: i64, high: i64) -> String {
    match (low, high) {
        _ if low > high => "0".into(),
        (i64::MIN, i64::MAX) => format!("isNotNull({number})"),
        (i64::MIN, high) => format!("ifNull({number} <= toInt64({high}), 0)"),
        (low, i64::MAX) => format!("ifNull({number} >= toInt64({low}), 0)"),
        (low, high) => format!("ifNull({number} BETWEEN toInt64({low}) AND toInt64({high}), 0)"),
    }
}

/// A condition: 0 or 1, never null.
pub fn condition(dataset: &Dataset, pred: &Pred) -> String {
    let all = |parts: &[Pred], word: &str, empty: &str| {
        let parts: Vec<String> = parts.iter().map(|p| format!("({})", condition(dataset, p))).collect();
        if parts.is_empty() { empty.to_string() } else { parts.join(word) }
    };
    match pred {
        Pred::True => "1".into(),
        Pred::And(parts) => all(parts, " AND ", "1"),
        Pred::Or(parts) => all(parts, " OR ", "0"),
        Pred::Not(inner) => format!("NOT ({})", condition(dataset, inner)),
        Pred::IsNull(at) => {
            let field = &dataset.field[*at];
            match field.kind {
                FieldType::Point => format!("isNull(tupleElement({}, 1))", quoted(&field.name)),
                _ => format!("isNull({})", quoted(&field.name)),
            }
        }
        Pred::Range(at, low, high) => range(&number(&dataset.field[*at]), *low, *high),
        Pred::OneOf(_, values) if values.is_empty() => "0".into(),
        Pred::OneOf(at, values) => {
            let mut values: Vec<i64> = values.iter().copied().collect();
            values.sort_unstable();
            format!("ifNull({} IN ({}), 0)", number(&dataset.field[*at]), list(values.into_iter()))
        }
        Pred::Text(at, test, renames) => {
            let name = quoted(&dataset.field[*at].name);
            match renames {
                None => text_test(&name, test),
                Some(renames) => {
                    format!("({} OR {})", text_test(&name, test), text_test(&today(&name, renames), test))
                }
            }
        }
        Pred::Clock(_, _, values) if values.is_empty() => "0".into(),
        Pred::Clock(at, grain, values) => {
            format!("ifNull({} IN ({}), 0)", period(&dataset.field[*at], *grain), list(values.iter().copied()))
        }
        Pred::Keys(keys) => keys_in(keys),
    }
}

/// Rows with one of these keys. One literal, which the server reads much faster than many.
pub fn keys_in(keys: &[u128]) -> String {
    if keys.is_empty() {
        return "0".into();
    }
    let mut all = String::with_capacity(keys.len() * 40);
    for (at, key) in keys.iter().enumerate() {
        let _ = write!(all, "{}{key}", if at == 0 { "" } else { "," });
    }
    format!("_key IN (SELECT arrayJoin(CAST('[{all}]' AS Array(UInt128))))")
}

fn text_test(name: &str, test: &TextTest) -> String {
    match test {
        TextTest::OneOf(values) if values.is_empty() => "0".into(),
        TextTest::OneOf(values) => {
            let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
            values.sort_unstable();
            format!("ifNull({name} IN ({}), 0)", texts(values.into_iter()))
        }
        TextTest::Cmp(op, value) => {
            let value = text(value);
            match op {
                Op::Eq => format!("ifNull({name} = {value}, 0)"),
                Op::Gt => format!("ifNull({name} > {value}, 0)"),
                Op::Gte => format!("ifNull({name} >= {value}, 0)"),
                Op::Lt => format!("ifNull({name} < {value}, 0)"),
                Op::Lte => format!("ifNull({name} <= {value}, 0)"),
                Op::Prefix => format!("ifNull(startsWith({name}, {value}), 0)"),
            }
        }
    }
}

/// The period of a moment or day, as [`crate::dims::period_of_instant`] numbers it.
fn period(field: &Field, grain: Grain) -> String {
    let name = quoted(&field.name);
    let date = field.kind == FieldType::Date;
    let day = if date { name.clone() } else { format!("toDate32({name}, 'Asia/Shanghai')") };
    let start = |function: String| format!("toInt64({function})");
    match grain {
        Grain::Hour if date => format!("toUnixTimestamp64Milli(toDateTime64({name}, 3, 'Asia/Shanghai'))"),
        Grain::Hour => {
            let ms = format!("toUnixTimestamp64Milli({name})");
            format!("({ms} - positiveModulo({ms}, 3600000))")
        }
        Grain::HourOfDay if date => format!("if(isNull({name}), NULL, toInt64(0))"),
        Grain::HourOfDay => format!("toInt64(toHour({name}, 'Asia/Shanghai'))"),
        Grain::Weekday => format!("toInt64(toDayOfWeek({day}))"),
        Grain::Day => start(day),
        Grain::Week => start(format!("toMonday({day})")),
        Grain::Month => start(format!("toStartOfMonth({day})")),
        Grain::Quarter => start(format!("toStartOfQuarter({day})")),
        Grain::Year => start(format!("toStartOfYear({day})")),
    }
}

/// A dimension's value: text, or a number of units, days or milliseconds.
pub fn dimension(dataset: &Dataset, dim: &DimPlan) -> String {
    let field = &dataset.field[dim.field];
    if field.kind == FieldType::Point {
        return "CAST(NULL AS Nullable(Int64))".into();
    }
    let name = quoted(&field.name);
    let code = || dim.renames.as_ref().map_or_else(|| name.clone(), |r| today(&name, r));
    match dim.kind {
        DimKind::Time(grain) => period(field, grain),
        DimKind::Field if field.kind.is_textual() => code(),
        DimKind::Field => number(field),
        DimKind::Level(level) => {
            let code = code();
            let digits = match level {
                RegionLevel::City => return format!("if(isNull({code}), NULL, '310000')"),
                RegionLevel::Grid => return code,
                RegionLevel::District => 6,
                RegionLevel::Street => 9,
                RegionLevel::Neighbourhood => 12,
            };
            format!("if(length({code}) >= {digits}, substring(CAST({code} AS Nullable(String)), 1, {digits}), NULL)")
        }
    }
}

/// Whether a dimension's values are texts.
pub fn is_text(dataset: &Dataset, dim: &DimPlan) -> bool {
    !matches!(dim.kind, DimKind::Time(_)) && dataset.field[dim.field].kind.is_textual()
}

/// Rows whose event time lies in one of the spans.
pub fn spans(dataset: &Dataset, spans: &[Span]) -> String {
    let Some(time) = dataset.time.as_ref().and_then(|name| dataset.field_index(name)) else { return "1".into() };
    if spans.is_empty() {
        return "1".into();
    }
    let one = |span: &Span| {
        let (low, high) = crate::scan::field_span(dataset, time, *span);
        let exact = range(&number(&dataset.field[time]), low, high);
        // What the order of the table can skip; as wide or wider than the exact condition.
        let ms = |at: i64| format!("fromUnixTimestamp64Milli(toInt64({}), 'Asia/Shanghai')", at.clamp(AT.0, AT.1));
        let day = 86_400_000;
        let mut parts = vec![exact];
        if span.from != i64::MIN {
            parts.push(format!("_at >= {}", ms(span.from.saturating_sub(day))));
        }
        if span.to != i64::MAX {
            parts.push(format!("_at <= {}", ms(span.to.saturating_add(day))));
        }
        format!("({})", parts.join(" AND "))
    };
    format!("({})", spans.iter().map(one).collect::<Vec<_>>().join(" OR "))
}

/// The columns of a measure in a grouped question: the first says how many values there are.
pub fn leaf(part: &PartPlan, leaf: &Leaf, q: f64) -> Vec<String> {
    let dataset = &part.dataset;
    let when = leaf.filter.map_or_else(|| "1".into(), |f| condition(dataset, &part.filters[f]));
    let field = leaf.field.map(|f| &dataset.field[f]);
    let value = field.map(number).unwrap_or_default();
    let some = format!("countIf(isNotNull({value}) AND ({when}))");
    match leaf.agg {
        Aggregate::Count | Aggregate::Ratio | Aggregate::Stock => vec![format!("countIf({when})")],
        Aggregate::Sum | Aggregate::Avg => {
            vec![some, format!("toString(ifNull(sumIf(CAST({value} AS Nullable(Int128)), {when}), 0))")]
        }
        Aggregate::Min => vec![some, format!("ifNull(minIf({value}, {when}), 0)")],
        Aggregate::Max => vec![some, format!("ifNull(maxIf({value}, {when}), 0)")],
        Aggregate::Distinct => {
            let value = field.map(|f| quoted(&f.name)).unwrap_or_default();
            vec![format!("uniqExactIf({value}, {when})")]
        }
        Aggregate::Quantile => {
            // Nearest rank: the smallest value with at least q·n values at or below it.
            let rank = format!("greatest(toUInt64(1), least({some}, toUInt64(ceil({q:?} * {some}))))");
            vec![
                some,
                format!("arraySort(groupArrayIf(assumeNotNull({value}), isNotNull({value}) AND ({when})))[{rank}]"),
            ]
        }
    }
}

/// A key as one text, by which the server tells groups apart that are kept from all others.
pub fn joined(dims: &[String]) -> String {
    let parts: Vec<String> = dims.iter().map(|d| format!("ifNull(concat('v', toString({d})), 'n')")).collect();
    match parts.len() {
        0 => "''".into(),
        _ => format!("arrayStringConcat([{}], '\\x01')", parts.join(", ")),
    }
}

/// The text of [`joined`] for a key.
pub fn joined_key(key: &[DimVal]) -> String {
    let parts: Vec<String> = key
        .iter()
        .map(|v| match v {
            DimVal::Null => "n".to_string(),
            DimVal::Int(v) => format!("v{v}"),
            DimVal::Text(t) => format!("v{t}"),
        })
        .collect();
    parts.join("\x01")
}
