//! Values as they travel between crates and to clients.

use chrono::{DateTime, NaiveDate, SecondsFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;

/// One value of a row or an answer.
///
/// JSON: null, boolean, number, string; dates as `2025-01-31`, instants as RFC 3339 in
/// Asia/Shanghai, points as `[lon, lat]`. Decimals are scaled integers and print exactly.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// `units / 10^scale`.
    Decimal {
        units: i64,
        scale: u8,
    },
    Float(f64),
    Text(String),
    Date(NaiveDate),
    /// Milliseconds since 1970-01-01 UTC.
    Instant(i64),
    /// Longitude and latitude in degrees, WGS-84.
    Point(f64, f64),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The number, where the value is one.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::Int(i) => Some(i as f64),
            Value::Decimal { units, scale } => Some(units as f64 / 10f64.powi(i32::from(scale))),
            Value::Float(f) => Some(f),
            Value::Bool(b) => Some(f64::from(u8::from(b))),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The text form that files, keys and the change log use. Null is the empty string.
    pub fn to_text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Bool(b) => b.to_string(),
            Value::Int(i) => i.to_string(),
            Value::Decimal { units, scale } => decimal_text(*units, *scale),
            Value::Float(f) => f.to_string(),
            Value::Text(s) => s.clone(),
            Value::Date(d) => d.to_string(),
            Value::Instant(ms) => instant_text(*ms),
            Value::Point(x, y) => format!("{x},{y}"),
        }
    }

    /// Total order for sorting answers: nulls last, numbers by size, text by code point.
    pub fn total_cmp(&self, other: &Value) -> Ordering {
        fn rank(v: &Value) -> u8 {
            match v {
                Value::Bool(_) | Value::Int(_) | Value::Decimal { .. } | Value::Float(_) => 0,
                Value::Date(_) => 1,
                Value::Instant(_) => 2,
                Value::Text(_) => 3,
                Value::Point(..) => 4,
                Value::Null => 9,
            }
        }
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Decimal { units: a, scale: s }, Value::Decimal { units: b, scale: t }) if s == t => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Instant(a), Value::Instant(b)) => a.cmp(b),
            (Value::Point(a, b), Value::Point(c, d)) => a.total_cmp(c).then(b.total_cmp(d)),
            _ => match (self.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                _ => rank(self).cmp(&rank(other)),
            },
        }
    }
}

/// An instant as RFC 3339 with the zone of Asia/Shanghai, to the second unless it has milliseconds.
pub fn instant_text(ms: i64) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(utc) => {
            let format = if ms % 1000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
            utc.with_timezone(&crate::time::ZONE).to_rfc3339_opts(format, false)
        }
        None => String::new(),
    }
}

/// A scaled integer as plain decimal text: `decimal_text(-1205, 2)` is `-12.05`.
pub fn decimal_text(units: i64, scale: u8) -> String {
    if scale == 0 {
        return units.to_string();
    }
    let width = usize::from(scale) + 1;
    let digits = format!("{:0width$}", units.unsigned_abs());
    let (whole, part) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{whole}.{part}")
}

/// Divides and rounds half to even, the rule for every average and ratio of scaled integers.
pub fn div_half_even(numerator: i128, denominator: i128) -> Option<i128> {
    if denominator == 0 {
        return None;
    }
    let (n, d) = if denominator < 0 { (-numerator, -denominator) } else { (numerator, denominator) };
    let floor = n.div_euclid(d);
    let twice = n.rem_euclid(d) * 2;
    Some(match twice.cmp(&d) {
        Ordering::Less => floor,
        Ordering::Greater => floor + 1,
        Ordering::Equal => floor + (floor & 1),
    })
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => s.serialize_unit(),
            Value::Bool(b) => s.serialize_bool(*b),
            Value::Int(i) => s.serialize_i64(*i),
            Value::Decimal { units, scale: 0 } => s.serialize_i64(*units),
            // The shortest decimal that reads back to this f64 is the scaled integer itself
            // for every value under 2^53 units.
            Value::Decimal { .. } => s.serialize_f64(self.as_f64().unwrap_or_default()),
            Value::Float(f) => s.serialize_f64(*f),
            Value::Text(t) => s.serialize_str(t),
            Value::Date(d) => s.collect_str(d),
            Value::Instant(ms) => s.serialize_str(&instant_text(*ms)),
            Value::Point(x, y) => (x, y).serialize(s),
        }
    }
}

/// Reads the JSON form without a schema: dates and instants stay text until a field types them.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let json = serde_json::Value::deserialize(d)?;
        Value::from_json(&json)
            .ok_or_else(|| serde::de::Error::custom("a value is null, true/false, a number, text or [lon, lat]"))
    }
}

impl Value {
    /// The untyped reading of a JSON scalar or `[lon, lat]`; `None` for objects and other arrays.
    pub fn from_json(json: &serde_json::Value) -> Option<Value> {
        Some(match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(i) => Value::Int(i),
                None => Value::Float(n.as_f64()?),
            },
            serde_json::Value::String(s) => Value::Text(s.clone()),
            serde_json::Value::Array(a) if a.len() == 2 => Value::Point(a[0].as_f64()?, a[1].as_f64()?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_even() {
        for (n, d, expect) in [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (1, 3, 0), (2, 3, 1), (-1, 3, 0)] {
            assert_eq!(div_half_even(n, d), Some(expect), "{n}/{d}");
        }
        assert_eq!(div_half_even(1, 0), None);
    }

    #[test]
    fn decimals_print_exactly() {
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(1205, 2), "12.05");
        assert_eq!(serde_json::to_string(&Value::Decimal { units: 1205, scale: 2 }).ok().as_deref(), Some("12.05"));
    }

    #[test]
    fn instants_carry_the_zone() {
        assert_eq!(instant_text(0), "1970-01-01T08:00:00+08:00");
    }
}
