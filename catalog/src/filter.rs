//! The filter tree of a query: JSON in, JSON out, never a string template.

use crate::time::Grain;
use crate::value::Value;
use chrono::{Datelike, NaiveDateTime, Timelike};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

/// A condition on the rows of one dataset. A comparison with null is false; `not` is plain
/// negation of the row's truth, so `not {a = 1}` keeps rows in which `a` is null.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Filter {
    #[default]
    True,
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Cmp {
        field: String,
        op: Op,
        value: Value,
    },
    In {
        field: String,
        values: Vec<Value>,
    },
    IsNull {
        field: String,
    },
    /// The hour or weekday of a time, in Asia/Shanghai.
    Clock {
        field: String,
        part: ClockPart,
        values: Vec<i64>,
    },
    /// Answered by the full-text index.
    Text {
        field: String,
        query: String,
    },
}

/// A part of the clock that comes round again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClockPart {
    /// 0 to 23.
    HourOfDay,
    /// 1 (Monday) to 7.
    Weekday,
}

impl ClockPart {
    pub fn name(self) -> &'static str {
        self.grain().name()
    }

    pub fn grain(self) -> Grain {
        match self {
            ClockPart::HourOfDay => Grain::HourOfDay,
            ClockPart::Weekday => Grain::Weekday,
        }
    }

    pub fn of_grain(grain: Grain) -> Option<ClockPart> {
        match grain {
            Grain::HourOfDay => Some(ClockPart::HourOfDay),
            Grain::Weekday => Some(ClockPart::Weekday),
            _ => None,
        }
    }

    fn range(self) -> std::ops::RangeInclusive<i64> {
        match self {
            ClockPart::HourOfDay => 0..=23,
            ClockPart::Weekday => 1..=7,
        }
    }

    /// The part of a local time.
    pub fn of(self, local: NaiveDateTime) -> i64 {
        match self {
            ClockPart::HourOfDay => i64::from(local.hour()),
            ClockPart::Weekday => i64::from(local.weekday().number_from_monday()),
        }
    }

    /// Whether a value of a date or instant field lies in one of the hours or weekdays.
    pub fn holds(self, values: &[i64], value: &Value) -> bool {
        let local = match value {
            Value::Instant(ms) => crate::time::to_local(*ms),
            Value::Date(date) => date.and_time(chrono::NaiveTime::MIN),
            _ => return false,
        };
        values.contains(&self.of(local))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    Eq,
    Gt,
    Gte,
    Lt,
    Lte,
    /// The text starts with the value; on region codes: lies within.
    Prefix,
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Op::Eq => "eq",
            Op::Gt => "gt",
            Op::Gte => "gte",
            Op::Lt => "lt",
            Op::Lte => "lte",
            Op::Prefix => "prefix",
        }
    }
}

const OPERATORS: &str = "eq, ne, in, not_in, gt, gte, lt, lte, prefix, is_null, text, hour_of_day, weekday";

/// Depth at which a filter is refused: nobody writes it, and recursion must end.
const MAX_DEPTH: usize = 32;

impl Filter {
    pub fn is_true(&self) -> bool {
        matches!(self, Filter::True)
    }

    pub fn eq(field: impl Into<String>, value: impl Into<String>) -> Self {
        Filter::Cmp { field: field.into(), op: Op::Eq, value: Value::Text(value.into()) }
    }

    /// Both conditions, flattened.
    pub fn and(self, other: Filter) -> Filter {
        match (self, other) {
            (Filter::True, f) | (f, Filter::True) => f,
            (Filter::And(mut a), Filter::And(b)) => {
                a.extend(b);
                Filter::And(a)
            }
            (Filter::And(mut a), f) => {
                a.push(f);
                Filter::And(a)
            }
            (f, Filter::And(mut a)) => {
                a.insert(0, f);
                Filter::And(a)
            }
            (a, b) => Filter::And(vec![a, b]),
        }
    }

    /// Calls `visit` for every leaf.
    pub fn leaves<'a>(&'a self, visit: &mut dyn FnMut(&'a Filter)) {
        match self {
            Filter::True => {}
            Filter::And(list) | Filter::Or(list) => list.iter().for_each(|f| f.leaves(visit)),
            Filter::Not(inner) => inner.leaves(visit),
            leaf => visit(leaf),
        }
    }

    /// The fields that the filter reads.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        self.leaves(&mut |leaf| {
            if let Some(field) = leaf.field()
                && !fields.contains(&field)
            {
                fields.push(field);
            }
        });
        fields
    }

    /// The field of a leaf.
    pub fn field(&self) -> Option<&str> {
        match self {
            Filter::Cmp { field, .. }
            | Filter::In { field, .. }
            | Filter::IsNull { field }
            | Filter::Clock { field, .. }
            | Filter::Text { field, .. } => Some(field),
            _ => None,
        }
    }

    pub fn from_json(json: &Json) -> Result<Filter, String> {
        parse(json, 0)
    }

    pub fn to_json(&self) -> Json {
        match self {
            Filter::True => json!({}),
            Filter::And(list) => json!({"and": list.iter().map(Filter::to_json).collect::<Vec<_>>()}),
            Filter::Or(list) => json!({"or": list.iter().map(Filter::to_json).collect::<Vec<_>>()}),
            Filter::Not(inner) => json!({"not": inner.to_json()}),
            Filter::Cmp { field, op, value } => json!({field: {op.name(): value}}),
            Filter::In { field, values } => json!({field: {"in": values}}),
            Filter::IsNull { field } => json!({field: {"is_null": true}}),
            Filter::Clock { field, part, values } => json!({field: {part.name(): values}}),
            Filter::Text { field, query } => json!({field: {"text": query}}),
        }
    }
}

fn parse(json: &Json, depth: usize) -> Result<Filter, String> {
    if depth > MAX_DEPTH {
        return Err(format!("a filter may be {MAX_DEPTH} levels deep at most"));
    }
    let Json::Object(map) = json else {
        return Err("a filter is an object such as {\"category\":{\"in\":[\"theft\"]}}".into());
    };
    let mut parts = Vec::new();
    for (name, inner) in map {
        parts.push(match name.as_str() {
            "and" => Filter::And(parse_list(name, inner, depth)?),
            "or" => Filter::Or(parse_list(name, inner, depth)?),
            "not" => Filter::Not(Box::new(parse(inner, depth + 1)?)),
            field => parse_field(field, inner)?,
        });
    }
    Ok(match parts.len() {
        0 => Filter::True,
        1 => parts.swap_remove(0),
        _ => Filter::And(parts),
    })
}

fn parse_list(name: &str, json: &Json, depth: usize) -> Result<Vec<Filter>, String> {
    let Json::Array(list) = json else {
        return Err(format!("'{name}' takes a list of filters"));
    };
    list.iter().map(|f| parse(f, depth + 1)).collect()
}

fn parse_field(field: &str, json: &Json) -> Result<Filter, String> {
    let operators: &Map<String, Json> = match json {
        Json::Object(map) if !map.is_empty() => map,
        _ => {
            return Err(format!(
                "field '{field}' takes an operator, as in {{\"{field}\":{{\"eq\":…}}}}; operators: {OPERATORS}"
            ));
        }
    };
    let mut parts = Vec::new();
    for (op, operand) in operators {
        let scalar = || {
            Value::from_json(operand)
                .filter(|v| !v.is_null())
                .ok_or_else(|| format!("'{op}' of field '{field}' takes one value; use is_null for missing values"))
        };
        let cmp = |op| Ok::<_, String>(Filter::Cmp { field: field.into(), op, value: scalar()? });
        let list = || match operand {
            Json::Array(values) => values
                .iter()
                .map(|v| {
                    Value::from_json(v)
                        .ok_or_else(|| format!("'{op}' of field '{field}' takes a list of single values"))
                })
                .collect::<Result<Vec<_>, _>>(),
            _ => Err(format!("'{op}' of field '{field}' takes a list")),
        };
        parts.push(match op.as_str() {
            "eq" => cmp(Op::Eq)?,
            "ne" => Filter::Not(Box::new(cmp(Op::Eq)?)),
            "gt" => cmp(Op::Gt)?,
            "gte" => cmp(Op::Gte)?,
            "lt" => cmp(Op::Lt)?,
            "lte" => cmp(Op::Lte)?,
            "prefix" => cmp(Op::Prefix)?,
            "in" => Filter::In { field: field.into(), values: list()? },
            "not_in" => Filter::Not(Box::new(Filter::In { field: field.into(), values: list()? })),
            "is_null" => match operand {
                Json::Bool(true) => Filter::IsNull { field: field.into() },
                Json::Bool(false) => Filter::Not(Box::new(Filter::IsNull { field: field.into() })),
                _ => return Err(format!("'is_null' of field '{field}' takes true or false")),
            },
            "hour_of_day" => clock(field, ClockPart::HourOfDay, operand)?,
            "weekday" => clock(field, ClockPart::Weekday, operand)?,
            "text" => match operand {
                Json::String(query) if !query.trim().is_empty() => {
                    Filter::Text { field: field.into(), query: query.clone() }
                }
                _ => return Err(format!("'text' of field '{field}' takes the words to find")),
            },
            other => return Err(format!("unknown operator '{other}' on field '{field}'; operators: {OPERATORS}")),
        });
    }
    Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Filter::And(parts) })
}

/// One number or a list of them, within the part's range.
fn clock(field: &str, part: ClockPart, operand: &Json) -> Result<Filter, String> {
    let one = |v: &Json| v.as_i64().filter(|v| part.range().contains(v));
    let values = match operand {
        Json::Array(list) => list.iter().map(one).collect::<Option<Vec<_>>>(),
        single => one(single).map(|v| vec![v]),
    };
    let (first, last) = (part.range().start().to_owned(), part.range().end().to_owned());
    let values = values.ok_or_else(|| {
        format!("'{}' of field '{field}' takes numbers from {first} to {last}, one or a list", part.name())
    })?;
    Ok(Filter::Clock { field: field.into(), part, values })
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Filter::from_json(&Json::deserialize(d)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_design_reads() {
        let json = json!({"and":[{"category":{"in":["theft"]}},{"not":{"status":{"eq":"closed"}}},
            {"narrative":{"text":"电动车"}},{"minutes":{"gte":5,"lt":30}}]});
        let filter = Filter::from_json(&json).expect("valid");
        assert_eq!(filter.fields(), ["category", "status", "narrative", "minutes"]);
    }

    #[test]
    fn errors_name_the_field_and_the_operators() {
        let error = Filter::from_json(&json!({"a":{"like":"x"}})).expect_err("unknown operator");
        assert!(error.contains("'like'") && error.contains("'a'") && error.contains("prefix"), "{error}");
        assert!(Filter::from_json(&json!({"a": 1})).is_err());
        assert!(Filter::from_json(&json!({"a": {"eq": null}})).is_err());
        assert!(Filter::from_json(&json!({"a": {"weekday": [1, 8]}})).expect_err("no such day").contains("1 to 7"));
        let one = Filter::from_json(&json!({"a": {"hour_of_day": 8}})).expect("an hour");
        assert_eq!(one.to_json(), json!({"a": {"hour_of_day": [8]}}));
    }

    fn filters() -> impl Strategy<Value = Filter> {
        let leaf = prop_oneof![
            ("[a-d]", -9i64..9).prop_map(|(field, v)| Filter::Cmp { field, op: Op::Gte, value: Value::Int(v) }),
            ("[a-d]", "[a-z]{1,3}").prop_map(|(field, v)| Filter::In { field, values: vec![Value::Text(v)] }),
            "[a-d]".prop_map(|field| Filter::IsNull { field }),
            ("[a-d]", prop::collection::vec(0i64..24, 0..4)).prop_map(|(field, values)| Filter::Clock {
                field,
                part: ClockPart::HourOfDay,
                values
            }),
            ("[a-d]", "[一-三]{1,3}").prop_map(|(field, query)| Filter::Text { field, query }),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
                inner.prop_map(|f| Filter::Not(Box::new(f))),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_round_trip(filter in filters()) {
            prop_assert_eq!(Filter::from_json(&filter.to_json()).expect("own output"), filter);
        }
    }
}
