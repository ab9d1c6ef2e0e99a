//! Checks of a whole record: formats with check digits, conditions between fields, references.

use super::error::db;
use super::list::Row as Stored;
use super::rules::matches;
use super::tables::{is_kept, table};
use super::values::Fields;
use sqlx::SqliteConnection;
use std::cmp::Ordering;
use zonglan_catalog::bind::typed_filter;
use zonglan_catalog::dataset::{Dataset, Field};
use zonglan_catalog::error::{FieldError, Result};
use zonglan_catalog::filter::Filter;
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::register::{Format, Operand, Rule};
use zonglan_catalog::time::{local_midnight, to_local};
use zonglan_catalog::value::Value;

/// Whether a record meets a filter of its definition.
pub(super) fn meets(catalogue: &Catalogue, dataset: &Dataset, filter: &Filter, fields: &Fields) -> Result<bool> {
    if filter.is_true() {
        return Ok(true);
    }
    Ok(matches(&typed_filter(catalogue, dataset, filter)?, fields))
}

/// What is wrong with the record as it would be; fields that have an error already are left out.
pub(super) fn check(
    catalogue: &Catalogue,
    dataset: &Dataset,
    fields: &Fields,
    known: &[FieldError],
    now: i64,
) -> Result<Vec<FieldError>> {
    let mut errors: Vec<FieldError> = Vec::new();
    let told = |errors: &[FieldError], name: &str| known.iter().chain(errors).any(|e| e.field == name);
    for field in &dataset.field {
        let filled = fields.get(&field.name).is_some_and(|v| !v.is_null());
        if !filled
            && !field.required_when.is_true()
            && !told(&errors, &field.name)
            && meets(catalogue, dataset, &field.required_when, fields)?
        {
            errors.push(error(field, format!("请填写{} ({} is required)", field.label.zh, field.label.en)));
        }
    }
    for rule in dataset.register.iter().flat_map(|r| &r.check) {
        let involved = rule.rule.as_deref().and_then(|r| Rule::parse(r).ok());
        // A value that could not be read has been told; conditions on it would only confuse.
        if told(&errors, &rule.field) || involved.iter().flat_map(Rule::fields).any(|f| told(known, f)) {
            continue;
        }
        if !meets(catalogue, dataset, &rule.when, fields)? {
            continue;
        }
        let holds = involved.as_ref().is_none_or(|r| holds(r, fields, now));
        if !holds || !meets(catalogue, dataset, &rule.must, fields)? {
            let message = format!("{} ({})", rule.message.zh, rule.message.en);
            errors.push(FieldError { field: rule.field.clone(), message });
        }
    }
    Ok(errors)
}

fn error(field: &Field, message: String) -> FieldError {
    FieldError { field: field.name.clone(), message }
}

fn holds(rule: &Rule<'_>, fields: &Fields, now: i64) -> bool {
    let (Some(left), Some(right)) = (value(&rule.left, fields, now), value(&rule.right, fields, now)) else {
        return true;
    };
    compare(&left, &right).is_none_or(|o| rule.accepts(o))
}

fn value(operand: &Operand<'_>, fields: &Fields, now: i64) -> Option<Value> {
    match operand {
        Operand::Field(name) => fields.get(*name).filter(|v| !v.is_null()).cloned(),
        Operand::Today => Some(Value::Date(to_local(now).date())),
        Operand::Now => Some(Value::Instant(now)),
        Operand::Number(n) => Some(Value::Float(*n)),
        Operand::Text(text) => Some(Value::Text((*text).into())),
    }
}

/// Numbers with numbers, moments with days, texts with texts.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        // A day against a moment: the moment's day counts.
        (Value::Date(day), Value::Instant(at)) => Some(day.cmp(&to_local(*at).date())),
        (Value::Instant(at), Value::Date(day)) => Some(to_local(*at).date().cmp(day)),
        (Value::Date(_), Value::Date(_)) | (Value::Instant(_), Value::Instant(_)) => Some(a.total_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// The moment that a date or instant begins.
pub(super) fn moment(value: &Value) -> Option<i64> {
    match value {
        Value::Instant(at) => Some(*at),
        Value::Date(day) => Some(local_midnight(*day)),
        _ => None,
    }
}

/// Whether a text has the form that a field declares.
pub(super) fn check_format(format: Format, text: &str) -> Result<(), &'static str> {
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let fine = match format {
        Format::IdNumber => return id_number(text),
        Format::CreditCode => return credit_code(text),
        Format::Phone => {
            let plain: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
            digits(&plain)
                && (plain.len() == 11 && plain.starts_with('1')
                    || (plain.starts_with('0') && (10..=12).contains(&plain.len())))
        }
        Format::Plate => {
            let chars: Vec<char> = text.chars().collect();
            (7..=8).contains(&chars.len())
                && !chars[0].is_ascii()
                && chars[1].is_ascii_uppercase()
                && chars[2..]
                    .iter()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "警学港澳领挂".contains(*c))
        }
        Format::Postcode => text.len() == 6 && digits(text),
        Format::Email => text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && host.contains('.') && !host.starts_with('.') && !text.contains(char::is_whitespace)
        }),
        // The account itself is looked up where the record is written.
        Format::User => !text.is_empty(),
    };
    let wrong = match format {
        Format::Phone => "不是有效的电话号码 (not a telephone number)",
        Format::Plate => "不是有效的车牌号 (not a number plate)",
        Format::Postcode => "邮政编码为六位数字 (six digits)",
        Format::Email => "不是有效的邮箱地址 (not an e-mail address)",
        _ => "格式不正确 (wrong format)",
    };
    if fine { Ok(()) } else { Err(wrong) }
}

/// 公民身份号码: 17 digits and a check character by ISO 7064 MOD 11-2 (GB 11643-1999); the date of
/// birth must exist.
fn id_number(text: &str) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 18
        && bytes[..17].iter().all(u8::is_ascii_digit)
        && (bytes[17].is_ascii_digit() || bytes[17] == b'X');
    if !shape {
        return Err("身份证号为 18 位，末位可为大写 X (18 characters)");
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u32>().unwrap_or_default();
    if chrono::NaiveDate::from_ymd_opt(number(6, 10) as i32, number(10, 12), number(12, 14)).is_none() {
        return Err("身份证号中的出生日期不存在 (no such date of birth)");
    }
    let sum: u32 = bytes[..17].iter().enumerate().map(|(i, b)| u32::from(b - b'0') * (1 << (17 - i)) % 11).sum();
    let expected = b"10X98765432"[(sum % 11) as usize];
    if bytes[17] == expected { Ok(()) } else { Err("身份证号校验位不正确，请核对 (wrong check digit)") }
}

/// 统一社会信用代码: 18 characters without I, O, S, V, Z and a check character by weights 3^i mod 31
/// (GB 32100-2015).
fn credit_code(text: &str) -> Result<(), &'static str> {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let values: Option<Vec<usize>> = text.chars().map(|c| ALPHABET.find(c)).collect();
    let Some(values) = values.filter(|v| v.len() == 18) else {
        return Err("统一社会信用代码为 18 位数字和大写字母 (18 characters)");
    };
    let mut weight = 1;
    let mut sum = 0;
    for value in &values[..17] {
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    if values[17] == (31 - sum % 31) % 31 {
        Ok(())
    } else {
        Err("统一社会信用代码校验位不正确，请核对 (wrong check digit)")
    }
}

/// References that lead nowhere. Against `old`, only changed ones.
pub(super) async fn references(
    conn: &mut SqliteConnection,
    catalogue: &Catalogue,
    dataset: &Dataset,
    fields: &Fields,
    old: Option<&Stored>,
) -> Result<Vec<FieldError>> {
    let mut errors = Vec::new();
    let parent = dataset.parent.as_ref().map(|p| p.field.as_str());
    for field in dataset.field.iter().filter(|f| f.refers.is_some() && Some(f.name.as_str()) != parent) {
        let Some(id) = fields.get(&field.name).and_then(Value::as_str) else { continue };
        if old.is_some_and(|o| o.fields.get(&field.name).and_then(Value::as_str) == Some(id)) {
            continue;
        }
        let Some(other) = field.refers.as_ref().and_then(|n| catalogue.dataset(n)).filter(|d| is_kept(d)) else {
            continue;
        };
        let sql = format!("SELECT 1 FROM {} WHERE id = ? AND state = 'open'", table(other));
        let found: Option<i64> = sqlx::query_scalar(&sql).bind(id).fetch_optional(&mut *conn).await.map_err(db)?;
        if found.is_none() {
            errors.push(error(field, format!("「{}」没有编号为 {id} 的记录 (no such record)", other.label.zh)));
        }
    }
    for field in dataset.field.iter().filter(|f| f.format == Some(Format::User)) {
        let Some(name) = fields.get(&field.name).and_then(Value::as_str) else { continue };
        if old.is_some_and(|o| o.fields.get(&field.name).and_then(Value::as_str) == Some(name)) {
            continue;
        }
        let sql = "SELECT 1 FROM users WHERE username = ? AND disabled = 0";
        let found: Option<i64> = sqlx::query_scalar(sql).bind(name).fetch_optional(&mut *conn).await.map_err(db)?;
        if found.is_none() {
            errors.push(error(field, format!("没有用户 '{name}' (no such account)")));
        }
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_those_of_the_standards() {
        // The example of GB 11643-1999, appendix.
        assert_eq!(check_format(Format::IdNumber, "11010519491231002X"), Ok(()));
        assert!(check_format(Format::IdNumber, "110105194912310021").is_err());
        assert!(check_format(Format::IdNumber, "11010519490230002X").is_err());
        assert!(check_format(Format::IdNumber, "身份证号码一二三").is_err());
        // Computed by the weights of GB 32100-2015.
        assert_eq!(check_format(Format::CreditCode, "91350100M000100Y43"), Ok(()));
        assert!(check_format(Format::CreditCode, "91350100M000100Y44").is_err());
        for (good, bad, format) in [
            ("13800001234", "1380000123", Format::Phone),
            ("021-62345678", "62345678", Format::Phone),
            ("沪A12345", "A12345", Format::Plate),
            ("沪AD12345", "沪a12345", Format::Plate),
            ("200030", "20003", Format::Postcode),
            ("a@b.cn", "a@b", Format::Email),
        ] {
            assert_eq!(check_format(format, good), Ok(()), "{good}");
            assert!(check_format(format, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_compare_days_with_moments_and_let_gaps_pass() {
        let now = local_midnight("2026-03-15".parse().expect("a day")) + 3_600_000;
        let day = |t: &str| Value::Date(t.parse().expect("a day"));
        let fields = Fields::from([("a".to_string(), day("2026-03-14")), ("b".to_string(), day("2026-03-13"))]);
        let holds = |rule: &str| holds(&Rule::parse(rule).expect("reads"), &fields, now);
        assert!(holds("a <= today") && !holds("a <= b") && holds("a > b") && holds("a <= now") && holds("c < a"));
        assert!(!holds("a != a") && holds("a == a"));
    }
}
