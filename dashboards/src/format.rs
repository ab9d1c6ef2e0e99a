//! Numbers, dates and addresses as people read them: thousands separators, 万 and 亿, percent.

use crate::pages::Lang;
use zonglan_catalog::time::to_local;
use zonglan_catalog::{Catalogue, Field, FieldType, Value};

/// A whole number with thousands separators: `1,234,567`; a true minus sign.
pub fn integer(n: i64) -> String {
    group(&n.unsigned_abs().to_string(), n < 0)
}

fn group(digits: &str, negative: bool) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 3);
    if negative {
        text.push('\u{2212}');
    }
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// A number with at most `digits` decimals and thousands separators. Not finite: `–`.
pub fn decimal(x: f64, digits: usize) -> String {
    if !x.is_finite() {
        return "–".into();
    }
    let text = format!("{:.digits$}", x.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let zero = text.chars().all(|c| c == '0' || c == '.');
    let mut out = group(whole, x < 0.0 && !zero);
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
    out
}

/// The big figure of a panel: the text and what stands before the unit (`万`, `亿` or nothing).
///
/// Whole numbers are exact below one million; above, 万 with two decimals and 亿 with two.
/// English has no 万: thousands separators only.
pub fn figure(value: &Value, lang: Lang) -> (String, &'static str) {
    match value {
        Value::Null => ("–".into(), ""),
        Value::Int(n) if lang == Lang::Zh && n.unsigned_abs() >= 100_000_000 => (decimal(*n as f64 / 1e8, 2), "亿"),
        Value::Int(n) if lang == Lang::Zh && n.unsigned_abs() >= 1_000_000 => (decimal(*n as f64 / 1e4, 2), "万"),
        Value::Int(n) => (integer(*n), ""),
        Value::Decimal { units, scale } => {
            let text = short_decimal(*units, *scale);
            let x = value.as_f64().unwrap_or_default();
            if lang == Lang::Zh && x.abs() >= 1e8 {
                (decimal(x / 1e8, 2), "亿")
            } else if lang == Lang::Zh && x.abs() >= 1e6 {
                (decimal(x / 1e4, 2), "万")
            } else {
                let bare = text.trim_start_matches('-');
                let (whole, part) = bare.split_once('.').unwrap_or((bare, ""));
                let mut out = group(whole, *units < 0);
                if !part.is_empty() {
                    out.push('.');
                    out.push_str(part);
                }
                (out, "")
            }
        }
        Value::Float(x) => (decimal(*x, 2), ""),
        other => (other.to_text(), ""),
    }
}

/// A decimal without digits that say nothing: three and more are kept below ten only, and a
/// fraction of zeros not at all.
fn short_decimal(units: i64, scale: u8) -> String {
    let text = zonglan_catalog::value::decimal_text(units, scale);
    if scale < 3 {
        return text;
    }
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    if part.bytes().all(|b| b == b'0') {
        return whole.to_string();
    }
    let x = units as f64 / 10f64.powi(i32::from(scale));
    if x.abs() < 10.0 { text.clone() } else { format!("{x:.2}") }
}

/// A relative change: `+12.3%`, `−4.0%`; none is `–`.
pub fn percent_change(x: Option<f64>) -> String {
    match x {
        None => "–".into(),
        Some(x) => {
            let text = decimal(x, 1);
            let plus = if x > 0.0 && text.chars().any(|c| ('1'..='9').contains(&c)) { "+" } else { "" };
            format!("{plus}{text}%")
        }
    }
}

/// `2026-03-15 07:30` in Asia/Shanghai.
pub fn minute(ms: i64) -> String {
    to_local(ms).format("%Y-%m-%d %H:%M").to_string()
}

/// A value of a field as a reader wants it: code names, local times, units.
pub fn field_text(catalogue: &Catalogue, field: &Field, value: &Value, lang: Lang) -> String {
    match (field.kind, value) {
        (_, Value::Null) => String::new(),
        (FieldType::Code | FieldType::Region, Value::Text(code)) => {
            let item = catalogue.codes_of(field).and_then(|list| list.get(code));
            item.map_or_else(|| code.clone(), |i| lang.t(&i.zh, &i.en).to_string())
        }
        (_, Value::Bool(b)) => (if *b { lang.t("是", "yes") } else { lang.t("否", "no") }).to_string(),
        (_, Value::Instant(ms)) => minute(*ms),
        (_, Value::Point(x, y)) => format!("{x:.5}, {y:.5}"),
        (_, Value::Int(_) | Value::Decimal { .. } | Value::Float(_)) => {
            let (text, scale) = figure(value, lang);
            format!("{text}{scale}{}", field.unit.as_ref().map(|u| format!(" {u}")).unwrap_or_default())
        }
        (_, other) => other.to_text(),
    }
}

/// Percent-encodes everything but unreserved characters, for a query parameter.
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len() * 3 / 2), |mut out, b| {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(b as char),
            _ => {
                let _ = write!(out, "%{b:02X}");
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_exact_then_rounded_to_wan() {
        let fig = |n| figure(&Value::Int(n), Lang::Zh);
        assert_eq!(fig(0), ("0".into(), ""));
        assert_eq!(fig(-1234), ("−1,234".into(), ""));
        assert_eq!(fig(999_999), ("999,999".into(), ""));
        assert_eq!(fig(24_870_895), ("2,487.09".into(), "万"));
        assert_eq!(fig(123_456_789), ("1.23".into(), "亿"));
        assert_eq!(figure(&Value::Int(24_870_895), Lang::En), ("24,870,895".into(), ""));
        assert_eq!(figure(&Value::Decimal { units: 9_745, scale: 2 }, Lang::Zh), ("97.45".into(), ""));
        assert_eq!(figure(&Value::Decimal { units: -5, scale: 2 }, Lang::Zh), ("−0.05".into(), ""));
        assert_eq!(figure(&Value::Decimal { units: 150_002_000, scale: 3 }, Lang::Zh), ("150,002".into(), ""));
        assert_eq!(figure(&Value::Decimal { units: 12_878_196, scale: 4 }, Lang::Zh), ("1,287.82".into(), ""));
        assert_eq!(figure(&Value::Decimal { units: 1_786, scale: 4 }, Lang::Zh), ("0.1786".into(), ""));
        assert_eq!(figure(&Value::Null, Lang::Zh), ("–".into(), ""));
    }

    #[test]
    fn changes_carry_their_sign() {
        assert_eq!(percent_change(Some(12.345)), "+12.3%");
        assert_eq!(percent_change(Some(-4.0)), "−4.0%");
        assert_eq!(percent_change(Some(0.01)), "0.0%");
        assert_eq!(percent_change(Some(-0.01)), "0.0%");
        assert_eq!(percent_change(None), "–");
    }

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(percent_encode("{\"a\":\"区\"}"), "%7B%22a%22%3A%22%E5%8C%BA%22%7D");
    }
}
