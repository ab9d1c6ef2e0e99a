//! Records as documents: how fields are stored, and how input becomes typed fields.

use super::error::StoreError;
use super::vault::{self, Vault};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use zonglan_catalog::batch::{date_of, days};
use zonglan_catalog::dataset::{Dataset, Field, FieldType};
use zonglan_catalog::error::{FieldError, Result};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::value::Value;

/// Typed fields of a record by name; absent is null.
pub type Fields = BTreeMap<String, Value>;

/// Whether a record is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    /// 注销: kept, shown on request, no longer counted.
    Closed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, StoreError> {
        match name {
            "open" => Ok(State::Open),
            "closed" => Ok(State::Closed),
            other => Err(StoreError::Corrupt(format!("state '{other}'"))),
        }
    }
}

/// A field of this name, where a register declares it, holds the record's state; the store keeps it.
pub const STATE_FIELD: &str = "record_state";

/// What columns and index show of a record. Closed records leave them, unless the register
/// declares [`STATE_FIELD`] and so can tell them apart.
pub(super) fn shown(dataset: &Dataset, mut fields: Fields, state: State) -> Option<Fields> {
    if dataset.field(STATE_FIELD).is_some() {
        fields.insert(STATE_FIELD.into(), Value::Text(state.name().into()));
        return Some(fields);
    }
    (state == State::Open).then_some(fields)
}

/// The stored document: names in order of code points, nulls left out, instants as milliseconds
/// since 1970 UTC, decimals as JSON numbers, personal fields sealed. Equal fields of a record give
/// equal bytes as long as the key stays.
pub(super) fn encode(vault: &Vault, dataset: &Dataset, id: &str, fields: &Fields) -> Result<String> {
    let mut map = Map::new();
    for (name, value) in fields.iter().filter(|(_, v)| !v.is_null()) {
        let mut stored = stored(value)?;
        if vault::seals(dataset, name) {
            stored = vault.seal(&dataset.name, name, id, &stored)?;
        }
        map.insert(name.clone(), stored);
    }
    serde_json::to_string(&map).map_err(zonglan_catalog::Error::internal)
}

/// The stored form of one value.
pub(super) fn stored(value: &Value) -> Result<Json> {
    match value {
        Value::Instant(ms) => Ok(Json::from(*ms)),
        other => serde_json::to_value(other).map_err(zonglan_catalog::Error::internal),
    }
}

/// Reads a stored document. Fields that the definition no longer has are left out.
pub(super) fn decode(vault: &Vault, dataset: &Dataset, id: &str, text: &str) -> Result<Fields, StoreError> {
    let map: Map<String, Json> =
        serde_json::from_str(text).map_err(|e| StoreError::Corrupt(format!("document of {}: {e}", dataset.name)))?;
    let mut fields = Fields::new();
    for (name, json) in map {
        if let Some(field) = dataset.field(&name) {
            let json = vault.open(&dataset.name, &name, id, json)?;
            fields.insert(name, decode_value(field, &json));
        }
    }
    Ok(fields)
}

fn decode_value(field: &Field, json: &Json) -> Value {
    let number = || json.as_f64();
    match field.kind {
        FieldType::Int => json.as_i64().or_else(|| number().map(|n| n as i64)).map(Value::Int),
        FieldType::Decimal => number().map(|n| Value::Decimal {
            units: (n * 10f64.powi(i32::from(field.scale))).round() as i64,
            scale: field.scale,
        }),
        FieldType::Bool => json.as_bool().map(Value::Bool),
        FieldType::Date => json.as_str().and_then(|t| t.parse().ok()).map(Value::Date),
        FieldType::Instant => json.as_i64().map(Value::Instant),
        FieldType::Point => json.as_array().and_then(|a| Some(Value::Point(a.first()?.as_f64()?, a.get(1)?.as_f64()?))),
        _ => json.as_str().map(|t| Value::Text(t.to_string())),
    }
    .unwrap_or_default()
}

/// Reads input by the definition. Every wrong field is told at once. Fields that only actions set
/// are refused unless they are `allowed`.
pub(super) fn read_input(
    catalogue: &Catalogue,
    dataset: &Dataset,
    input: &Map<String, Json>,
    allowed: &[String],
) -> (Fields, Vec<FieldError>) {
    let mut fields = Fields::new();
    let mut errors = Vec::new();
    for (name, json) in input {
        let outcome = match dataset.field(name) {
            Some(_) if name == STATE_FIELD => Err("由系统维护，请用注销、恢复操作".to_string()),
            Some(field) if field.by_action && !allowed.contains(name) => {
                Err("由办理环节填写，不能直接修改 (set by actions only)".to_string())
            }
            Some(field) => read_field(catalogue, field, json),
            None => Err(format!("「{}」没有字段 '{name}'", dataset.label.zh)),
        };
        match outcome {
            Ok(value) => {
                fields.insert(name.clone(), value);
            }
            Err(message) => errors.push(FieldError { field: name.clone(), message }),
        }
    }
    (fields, errors)
}

/// Required fields that are missing after a write and have no error of their own already.
pub(super) fn missing(dataset: &Dataset, fields: &Fields, known: &[FieldError]) -> Vec<FieldError> {
    let told = |f: &Field| known.iter().any(|e| e.field == f.name);
    let absent =
        |f: &&Field| f.required && f.name != STATE_FIELD && !told(f) && fields.get(&f.name).is_none_or(Value::is_null);
    dataset
        .field
        .iter()
        .filter(absent)
        .map(|f| FieldError {
            field: f.name.clone(),
            message: format!("请填写{} ({} is required)", f.label.zh, f.label.en),
        })
        .collect()
}

fn read_field(catalogue: &Catalogue, field: &Field, json: &Json) -> Result<Value, String> {
    let json = match json {
        Json::Null => return Ok(Value::Null),
        // Forms send what was typed.
        Json::String(text) if text.trim().is_empty() => return Ok(Value::Null),
        other => other,
    };
    let value = read_typed(catalogue, field, json)?;
    if let Some(number) = value.as_f64() {
        let unit = field.unit.as_deref().unwrap_or_default();
        if let Some(min) = field.min.filter(|min| number < *min) {
            return Err(format!("不能小于 {min}{unit}"));
        }
        if let Some(max) = field.max.filter(|max| number > *max) {
            return Err(format!("不能大于 {max}{unit}"));
        }
    }
    if let (Value::Text(text), Some(limit)) = (&value, field.max_length) {
        let length = text.chars().count();
        if length > limit {
            return Err(format!("最多 {limit} 个字，现有 {length} 个 (at most {limit} characters)"));
        }
    }
    if let (Value::Text(text), Some(format)) = (&value, field.format) {
        super::checks::check_format(format, text)?;
    }
    Ok(value)
}

fn read_typed(catalogue: &Catalogue, field: &Field, json: &Json) -> Result<Value, String> {
    let text = || match json {
        Json::String(text) => Ok(text.trim()),
        _ => Err("需要文字 (text needed)".to_string()),
    };
    Ok(match field.kind {
        FieldType::Int => {
            let number = match json {
                Json::Number(n) => {
                    n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64))
                }
                Json::String(t) => t.trim().parse().ok(),
                _ => None,
            };
            Value::Int(number.ok_or("需要整数 (a whole number)")?)
        }
        FieldType::Decimal => {
            let digits = match json {
                Json::Number(n) => n.to_string(),
                Json::String(t) => t.trim().to_string(),
                _ => return Err("需要数字 (a number)".into()),
            };
            Value::Decimal { units: decimal_units(&digits, field.scale)?, scale: field.scale }
        }
        FieldType::Bool => Value::Bool(match json {
            Json::Bool(b) => *b,
            Json::String(t) => match t.trim() {
                "true" | "1" | "是" | "on" => true,
                "false" | "0" | "否" => false,
                _ => return Err("需要是或否 (yes or no)".into()),
            },
            _ => return Err("需要是或否 (yes or no)".into()),
        }),
        FieldType::Date => {
            let date: chrono::NaiveDate = text()?.parse().map_err(|_| "需要日期，如 2025-01-31".to_string())?;
            // The same range as columns hold.
            Value::Date(date_of(days(date)))
        }
        FieldType::Instant => {
            Value::Instant(read_instant(text()?).ok_or("需要时间，如 2025-01-31T08:00:00+08:00 或 2025-01-31 08:00")?)
        }
        FieldType::Point => {
            let point = match json {
                Json::Array(a) if a.len() == 2 => a[0].as_f64().zip(a[1].as_f64()),
                Json::String(t) => t
                    .split_once([',', '，', ' '])
                    .and_then(|(x, y)| Some((x.trim().parse().ok()?, y.trim().parse().ok()?))),
                _ => None,
            };
            let (x, y) = point.ok_or("需要经纬度 [经度, 纬度]")?;
            if !(-180.0..=180.0).contains(&x) || !(-90.0..=90.0).contains(&y) {
                return Err("经度应在 -180 到 180 之间，纬度应在 -90 到 90 之间".into());
            }
            Value::Point(x, y)
        }
        FieldType::Code | FieldType::Region => {
            let text = match json {
                Json::Number(n) => n.to_string(),
                _ => text()?.to_string(),
            };
            match catalogue.codes_of(field) {
                Some(codes) => match codes.resolve(&text) {
                    Some(item) => Value::Text(item.code.clone()),
                    // A code list names some levels of regions; finer codes lie within a named one.
                    None if field.kind == FieldType::Region
                        && finer_region(&text, |code| codes.get(code).is_some()) =>
                    {
                        Value::Text(text)
                    }
                    None => return Err(format!("'{text}' 不在代码表「{}」中", codes.label.zh)),
                },
                None => Value::Text(text),
            }
        }
        FieldType::Text | FieldType::File | FieldType::Ref => match json {
            Json::String(t) => Value::Text(t.trim().to_string()),
            Json::Number(n) => Value::Text(n.to_string()),
            _ => return Err("需要文字 (text needed)".into()),
        },
    })
}

/// Nine and twelve digits whose first six or nine are a listed code.
fn finer_region(text: &str, listed: impl Fn(&str) -> bool) -> bool {
    matches!(text.len(), 9 | 12)
        && text.bytes().all(|b| b.is_ascii_digit())
        && (listed(&text[..6]) || listed(&text[..9]))
}

/// Milliseconds since 1970 UTC; without a zone it is the time of Shanghai.
pub fn read_instant(text: &str) -> Option<i64> {
    if let Ok(instant) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(instant.timestamp_millis());
    }
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let local = formats.iter().find_map(|f| chrono::NaiveDateTime::parse_from_str(text, f).ok());
    local
        .map(zonglan_catalog::time::local_instant)
        .or_else(|| text.parse().ok().map(zonglan_catalog::time::local_midnight))
}

/// Exact: no way through binary fractions.
fn decimal_units(digits: &str, scale: u8) -> Result<i64, String> {
    let bad = || "需要数字 (a number)".to_string();
    let (negative, rest) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    let (whole, part) = rest.split_once('.').unwrap_or((rest, ""));
    let part = part.trim_end_matches('0');
    if whole.is_empty() || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    if part.len() > usize::from(scale) {
        return Err(format!("最多 {scale} 位小数"));
    }
    let all = format!("{whole}{part:0<width$}", width = usize::from(scale));
    // JSON carries decimals as f64, exact to 2^53 units.
    let units = all.parse::<i64>().ok().filter(|u| *u < 1 << 53).ok_or("数字太大")?;
    Ok(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal_units("12.05", 2), Ok(1205));
        assert_eq!(decimal_units("-0.1", 2), Ok(-10));
        assert_eq!(decimal_units("7", 2), Ok(700));
        assert_eq!(decimal_units("7.100", 1), Ok(71));
        for bad in ["", ".", "1.234", "1e3", "x", "9007199254740993", "--1"] {
            assert!(decimal_units(bad, 2).is_err(), "{bad}");
        }
    }

    #[test]
    fn instants_without_zone_are_local() {
        assert_eq!(read_instant("1970-01-01 08:00"), Some(0));
        assert_eq!(read_instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(read_instant("1970-01-01"), Some(-8 * 3_600_000));
        assert_eq!(read_instant("yesterday"), None);
    }
}
