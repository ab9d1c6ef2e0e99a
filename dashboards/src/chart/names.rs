//! What dimension values are called on axes, in tips and in tables.

use crate::format;
use crate::pages::Lang;
use zonglan_catalog::query::Dim;
use zonglan_catalog::table::{Column, ColumnRole, ColumnType};
use zonglan_catalog::time::{Grain, to_local};
use zonglan_catalog::{Catalogue, Dataset, Value};

/// The local day of a date or an instant.
pub(super) fn date_of(value: &Value) -> Option<chrono::NaiveDate> {
    match value {
        Value::Date(date) => Some(*date),
        Value::Instant(ms) => Some(to_local(*ms).date()),
        _ => None,
    }
}

/// The short and the full name of a dimension's value.
pub fn value_names(
    catalogue: &Catalogue,
    dataset: &Dataset,
    column: &Column,
    value: &Value,
    lang: Lang,
) -> (String, String) {
    let both = |text: String| (text.clone(), text);
    if value.is_null() {
        return both(lang.t("未知", "unknown").to_string());
    }
    let field = match &column.role {
        ColumnRole::Dimension(Dim::Time(dim)) => return period_names(dim.time, value, lang),
        ColumnRole::Dimension(Dim::Field(name)) => dataset.field(name),
        ColumnRole::Dimension(Dim::Level(level)) => dataset.field(&level.field),
        _ => dataset.field(&column.name),
    };
    let Some(field) = field else { return both(value.to_text()) };
    let full = format::field_text(catalogue, field, value, lang);
    let short = if column.kind == ColumnType::Region { short_region(&full).to_string() } else { full.clone() };
    (short, full)
}

/// 徐汇区 → 徐汇, 浦东新区 → 浦东: everybody knows that they are districts.
pub fn short_region(name: &str) -> &str {
    let short = name.strip_suffix("新区").or_else(|| name.strip_suffix('区'));
    short.filter(|s| s.chars().count() >= 2).unwrap_or(name)
}

fn period_names(grain: Grain, value: &Value, lang: Lang) -> (String, String) {
    const WEEKDAYS: [(&str, &str); 7] = [
        ("周一", "Mon"),
        ("周二", "Tue"),
        ("周三", "Wed"),
        ("周四", "Thu"),
        ("周五", "Fri"),
        ("周六", "Sat"),
        ("周日", "Sun"),
    ];
    let both = |text: String| (text.clone(), text);
    match (grain, value) {
        (Grain::HourOfDay, Value::Int(hour)) => (hour.to_string(), format!("{hour:02}:00–{:02}:00", (hour + 1) % 24)),
        (Grain::Weekday, Value::Int(day @ 1..=7)) => {
            let (zh, en) = WEEKDAYS[(*day - 1) as usize];
            both(lang.t(zh, en).to_string())
        }
        (Grain::Hour, Value::Instant(ms)) => {
            let local = to_local(*ms);
            (local.format("%H:%M").to_string(), local.format("%Y-%m-%d %H:%M").to_string())
        }
        _ => {
            let Some(date) = date_of(value) else { return both(value.to_text()) };
            let zh = lang == Lang::Zh;
            let (short, full) = match grain {
                Grain::Year => return both(date.format(if zh { "%Y年" } else { "%Y" }).to_string()),
                Grain::Quarter => {
                    let quarter = chrono::Datelike::month0(&date) / 3 + 1;
                    return both(format!("{} Q{quarter}", date.format("%Y")));
                }
                Grain::Month if chrono::Datelike::month(&date) == 1 => {
                    ("%Y-%m", if zh { "%Y年%-m月" } else { "%b %Y" })
                }
                Grain::Month => (if zh { "%-m月" } else { "%b" }, if zh { "%Y年%-m月" } else { "%b %Y" }),
                _ => ("%-m-%-d", "%Y-%m-%d"),
            };
            (date.format(short).to_string(), date.format(full).to_string())
        }
    }
}
