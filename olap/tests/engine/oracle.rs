//! The logical query by reading every row, with none of the engine's code.

use crate::world::Fields;
use chrono::{Datelike, Timelike};
use std::collections::{BTreeMap, BTreeSet};
use zonglan_catalog::dataset::{Aggregate, Dataset, Measure};
use zonglan_catalog::filter::{Filter, Op};
use zonglan_catalog::query::{Dim, Query};
use zonglan_catalog::time::{Grain, Span, to_local};
use zonglan_catalog::value::{Value, div_half_even};

static NULL: Value = Value::Null;

fn get<'a>(row: &'a Fields, field: &str) -> &'a Value {
    row.get(field).unwrap_or(&NULL)
}

pub fn passes(filter: &Filter, row: &Fields) -> bool {
    match filter {
        Filter::True => true,
        Filter::And(list) => list.iter().all(|f| passes(f, row)),
        Filter::Or(list) => list.iter().any(|f| passes(f, row)),
        Filter::Not(inner) => !passes(inner, row),
        Filter::IsNull { field } => get(row, field).is_null(),
        Filter::In { field, values } => !get(row, field).is_null() && values.contains(get(row, field)),
        Filter::Text { .. } => false,
        Filter::Clock { field, part, values } => part.holds(values, get(row, field)),
        Filter::Cmp { field, op, value } => {
            let v = get(row, field);
            if v.is_null() {
                return false;
            }
            let order = v.total_cmp(value);
            match op {
                Op::Eq => order.is_eq(),
                Op::Gt => order.is_gt(),
                Op::Gte => order.is_ge(),
                Op::Lt => order.is_lt(),
                Op::Lte => order.is_le(),
                Op::Prefix => v.to_text().starts_with(&value.to_text()),
            }
        }
    }
}

fn group(dim: &Dim, row: &Fields) -> Value {
    match dim {
        Dim::Field(name) => get(row, name).clone(),
        Dim::Level(level) => match get(row, &level.field) {
            Value::Text(code) => Value::Text(code[..6].to_string()),
            other => other.clone(),
        },
        Dim::Time(time) => match get(row, time.field.as_deref().unwrap_or("at")) {
            Value::Instant(ms) => {
                let local = to_local(*ms);
                match time.time {
                    Grain::HourOfDay => Value::Int(local.hour().into()),
                    Grain::Weekday => Value::Int(local.weekday().number_from_monday().into()),
                    Grain::Hour => Value::Instant(
                        ms - i64::from(local.minute()) * 60_000
                            - i64::from(local.second()) * 1000
                            - i64::from(local.and_utc().timestamp_subsec_millis()),
                    ),
                    grain => Value::Date(grain.floor_date(local.date())),
                }
            }
            Value::Date(day) => match time.time {
                Grain::HourOfDay => Value::Int(0),
                Grain::Weekday => Value::Int(day.weekday().number_from_monday().into()),
                Grain::Hour => Value::Instant(zonglan_catalog::time::local_midnight(*day)),
                grain => Value::Date(grain.floor_date(*day)),
            },
            other => other.clone(),
        },
    }
}

fn units(value: &Value) -> Option<i128> {
    match value {
        Value::Int(v) | Value::Instant(v) => Some(i128::from(*v)),
        Value::Decimal { units, .. } => Some(i128::from(*units)),
        _ => None,
    }
}

fn measure(dataset: &Dataset, measure: &Measure, filter: &dyn Fn(&Measure) -> Filter, rows: &[&Fields]) -> Value {
    let filter_of = filter(measure);
    let rows_in: Vec<&&Fields> = rows.iter().filter(|r| passes(&filter_of, r)).collect();
    let field = measure.field.as_deref().unwrap_or_default();
    let scale = dataset.field(field).map_or(0, |f| f.scale);
    let value = |units: i128, scale: u8| {
        if scale == 0 { Value::Int(units as i64) } else { Value::Decimal { units: units as i64, scale } }
    };
    let mut numbers: Vec<i128> = rows_in.iter().filter_map(|r| units(get(r, field))).collect();
    match measure.agg {
        Aggregate::Count => Value::Int(rows_in.len() as i64),
        Aggregate::Distinct => Value::Int(
            rows_in
                .iter()
                .map(|r| get(r, field))
                .filter(|v| !v.is_null())
                .map(Value::to_text)
                .collect::<BTreeSet<_>>()
                .len() as i64,
        ),
        Aggregate::Ratio => {
            let term = |name: &Option<String>| {
                let m = dataset.measure(name.as_deref().expect("term")).expect("measure");
                units(&self::measure(dataset, m, filter, rows))
            };
            let digits = measure.digits.unwrap_or(2);
            match (term(&measure.numerator), term(&measure.denominator)) {
                (Some(n), Some(d)) => {
                    div_half_even(n * i128::from(measure.factor.unwrap_or(1)) * 10i128.pow(digits.into()), d)
                        .map_or(Value::Null, |u| value(u, digits))
                }
                _ => Value::Null,
            }
        }
        _ if numbers.is_empty() => Value::Null,
        Aggregate::Sum => value(numbers.iter().sum(), scale),
        Aggregate::Avg => {
            let digits = measure.digits.unwrap_or(2);
            let sum: i128 = numbers.iter().sum();
            div_half_even(sum * 10i128.pow(digits.into()), numbers.len() as i128 * 10i128.pow(scale.into()))
                .map_or(Value::Null, |u| value(u, digits))
        }
        Aggregate::Min | Aggregate::Max => {
            numbers.sort_unstable();
            let v = if measure.agg == Aggregate::Min { numbers[0] } else { numbers[numbers.len() - 1] };
            if field == "at" { Value::Instant(v as i64) } else { value(v, scale) }
        }
        Aggregate::Quantile => {
            numbers.sort_unstable();
            let rank = (measure.q.expect("q") * numbers.len() as f64).ceil().max(1.0) as usize;
            let digits = measure.digits.unwrap_or(scale).min(scale);
            div_half_even(numbers[rank - 1], 10i128.pow((scale - digits).into()))
                .map_or(Value::Null, |u| value(u, digits))
        }
        Aggregate::Stock => unreachable!("the oracle asks no stocks"),
    }
}

/// Measures by the values of the dimensions, as text keys so that they can be a map's.
pub fn answer(
    dataset: &Dataset,
    query: &Query,
    filter: &Filter,
    typed: &dyn Fn(&Measure) -> Filter,
    span: Span,
    rows: &[Fields],
) -> BTreeMap<Vec<String>, Vec<Value>> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Fields>> = BTreeMap::new();
    for row in rows {
        let inside = span.is_all() || matches!(get(row, "at"), Value::Instant(ms) if (span.from..span.to).contains(ms));
        if inside && passes(filter, row) {
            groups.entry(query.by.iter().map(|d| name(&group(d, row))).collect()).or_default().push(row);
        }
    }
    if query.by.is_empty() && groups.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    groups
        .into_iter()
        .map(|(key, rows)| {
            (
                key,
                query
                    .measures
                    .iter()
                    .map(|m| measure(dataset, dataset.measure(m).expect("measure"), typed, &rows))
                    .collect(),
            )
        })
        .collect()
}

pub fn name(value: &Value) -> String {
    if value.is_null() { "∅".into() } else { value.to_text() }
}
