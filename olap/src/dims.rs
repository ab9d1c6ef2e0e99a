//! Dimensions: the values of groups, and where each row of a segment belongs.

use crate::column::{Code, Codes, Column, with_codes};
use crate::error::{OlapError, Result};
use crate::store::Inner;
use crate::table::View;
use chrono::{Datelike, Days, Months, NaiveDate, Timelike};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use zonglan_catalog::batch::{date_of, days};
use zonglan_catalog::dataset::{Dataset, Field, FieldType, RegionLevel};
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::query::Dim;
use zonglan_catalog::time::{Grain, Span, local_instant, local_midnight, to_local};
use zonglan_catalog::value::Value;

const HOUR: i64 = 3_600_000;
/// Since 1902 the clocks of Shanghai differ from UTC by whole hours (tz database, `Asia/Shanghai`).
const WHOLE_HOURS_FROM: i64 = -2_145_916_800_000;

/// One value of a dimension. Numbers are units, days, milliseconds, or a place on the clock.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DimVal {
    Int(i64),
    Text(Arc<str>),
    Null,
}

/// A dimension with its field resolved.
#[derive(Debug, Clone)]
pub struct DimPlan {
    pub field: usize,
    pub kind: DimKind,
    pub renames: Option<Arc<Renames>>,
}

/// Codes that are no longer given out, and what each is today: rows stored before a change of
/// the code list belong to today's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renames(BTreeMap<String, String>);

impl Renames {
    /// `None` where no code of the field's list was ever replaced.
    pub fn new(catalogue: &Catalogue, field: &Field) -> Option<Arc<Renames>> {
        if !matches!(field.kind, FieldType::Code | FieldType::Region) {
            return None;
        }
        let items = catalogue.codes_of(field)?.item.iter();
        let map: BTreeMap<String, String> =
            items.filter_map(|i| Some((i.code.clone(), i.replaced_by.clone()?))).collect();
        (!map.is_empty()).then(|| Arc::new(Renames(map)))
    }

    /// Today's code. A street of a district that is gone lies in the district that took it over.
    pub fn today<'a>(&'a self, code: &'a str) -> Cow<'a, str> {
        if let Some(new) = self.0.get(code) {
            return new.into();
        }
        match code.get(..6).filter(|d| d.len() < code.len()).and_then(|d| self.0.get(d)) {
            Some(district) => format!("{district}{}", &code[6..]).into(),
            None => code.into(),
        }
    }

    /// Each old code with its own replacement.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(old, new)| (old.as_str(), new.as_str()))
    }

    /// Changes with every entry.
    pub fn fingerprint(&self) -> String {
        self.0.iter().map(|(old, new)| format!("{old}>{new};")).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DimKind {
    Field,
    Level(RegionLevel),
    Time(Grain),
}

impl DimPlan {
    pub fn of(catalogue: &Catalogue, dataset: &Dataset, field: usize, kind: DimKind) -> Self {
        Self { field, kind, renames: Renames::new(catalogue, &dataset.field[field]) }
    }

    pub fn new(catalogue: &Catalogue, dataset: &Dataset, dim: &Dim, own: bool) -> Result<Self> {
        let place = |name: &str| {
            dataset
                .field_index(name)
                .ok_or_else(|| OlapError::Query(format!("数据集 {} 没有字段 '{name}'", dataset.name)))
        };
        Ok(match dim {
            Dim::Field(name) => Self::of(catalogue, dataset, place(name)?, DimKind::Field),
            Dim::Level(level) => Self::of(catalogue, dataset, place(&level.field)?, DimKind::Level(level.level)),
            Dim::Time(time) => {
                let name = time.field.as_ref().filter(|_| own).or(dataset.time.as_ref());
                let name = name.ok_or_else(|| OlapError::Query(format!("数据集 {} 没有时间字段", dataset.name)))?;
                Self::of(catalogue, dataset, place(name)?, DimKind::Time(time.time))
            }
        })
    }
}

/// The value of a cell of an answer.
pub fn to_value(dim: &Dim, dataset: &Dataset, value: &DimVal) -> Value {
    match (dim, value) {
        (_, DimVal::Null) => Value::Null,
        (_, DimVal::Text(text)) => Value::Text(text.to_string()),
        (Dim::Time(time), DimVal::Int(v)) => match time.time {
            Grain::Hour => Value::Instant(*v),
            grain if grain.is_cyclic() => Value::Int(*v),
            _ => Value::Date(date_of(*v as i32)),
        },
        (Dim::Field(name), DimVal::Int(v)) => match dataset.field(name).map(|f| (f.kind, f.scale)) {
            Some((FieldType::Decimal, scale)) => Value::Decimal { units: *v, scale },
            Some((FieldType::Bool, _)) => Value::Bool(*v != 0),
            Some((FieldType::Date, _)) => Value::Date(date_of(*v as i32)),
            Some((FieldType::Instant, _)) => Value::Instant(*v),
            _ => Value::Int(*v),
        },
        (Dim::Level(_), DimVal::Int(v)) => Value::Int(*v),
    }
}

/// Numbers for values that all segments share.
#[derive(Debug, Default)]
pub struct Domain {
    ids: HashMap<DimVal, u32>,
    pub values: Vec<DimVal>,
}

impl Domain {
    pub fn id(&mut self, value: DimVal) -> u32 {
        if let Some(id) = self.ids.get(&value) {
            return *id;
        }
        let id = self.values.len() as u32;
        self.values.push(value.clone());
        self.ids.insert(value, id);
        id
    }
}

/// How a row's place in a dimension is found, in one segment.
#[derive(Debug)]
pub enum Places {
    /// The code itself.
    Code(Arc<Column>),
    /// By code.
    Table(Arc<Column>, Vec<u32>),
    /// By hour since `first` (milliseconds); the last entry is null.
    Hours {
        column: Arc<Column>,
        first: i64,
        table: Vec<u32>,
    },
    /// By row.
    Rows(Vec<u32>),
    Same,
}

/// A dimension in one segment: places `0..values.len()` and the value of each.
#[derive(Debug)]
pub struct LocalDim {
    pub places: Places,
    pub values: Vec<DimVal>,
}

impl LocalDim {
    pub fn new(inner: &Inner, view: &View, dataset: &Dataset, plan: &DimPlan) -> Result<Self> {
        let field = &dataset.field[plan.field];
        let column = inner.column(&view.segment, field)?;
        let c = column.clone();
        let today = |code: &str| match &plan.renames {
            Some(renames) => DimVal::Text(renames.today(code).into()),
            None => DimVal::Text(code.into()),
        };
        Ok(match (&*column, plan.kind) {
            (Column::Missing | Column::Point(_), _) => Self { places: Places::Same, values: vec![DimVal::Null] },
            (Column::Dict { dict, .. }, DimKind::Level(level)) => {
                let mut values = Domain::default();
                let mut table: Vec<u32> = dict
                    .iter()
                    .map(|code| match today(code) {
                        DimVal::Text(code) => values.id(at_level(&code, level)),
                        other => values.id(other),
                    })
                    .collect();
                table.push(values.id(DimVal::Null));
                Self { places: Places::Table(c, table), values: values.values }
            }
            (Column::Dict { dict, .. }, _) => {
                let mut values: Vec<DimVal> = dict.iter().map(today).collect();
                values.push(DimVal::Null);
                Self { places: Places::Code(c), values }
            }
            (Column::Int { .. }, DimKind::Time(grain)) => time_places(column, field.kind, grain),
            (Column::Int { codes, base, step, null }, _) => match codes {
                Codes::U8(_) | Codes::U16(_) => {
                    let top = with_codes!(codes, c => c.iter().map(|v| v.wide()).max()).unwrap_or(0);
                    let values = (0..=top)
                        .map(|code| if code == *null { DimVal::Null } else { DimVal::Int(base + step * code) })
                        .collect();
                    Self { places: Places::Code(c), values }
                }
                _ => {
                    let mut values = Domain::default();
                    let rows =
                        (0..codes.len()).map(|r| values.id(column.int(r).map_or(DimVal::Null, DimVal::Int))).collect();
                    Self { places: Places::Rows(rows), values: values.values }
                }
            },
        })
    }

    /// Adds this dimension's place to the group of each selected row: `group * places + place`.
    pub fn add(&self, rows: &[u32], groups: &mut [u64]) {
        let count = self.values.len() as u64;
        match &self.places {
            Places::Same => {}
            Places::Code(column) => match &**column {
                Column::Dict { codes, .. } | Column::Int { codes, .. } => with_codes!(codes, c => {
                    for (group, row) in groups.iter_mut().zip(rows) {
                        *group = *group * count + c[*row as usize].place() as u64;
                    }
                }),
                _ => {}
            },
            Places::Table(column, table) => match &**column {
                Column::Dict { codes, .. } | Column::Int { codes, .. } => with_codes!(codes, c => {
                    for (group, row) in groups.iter_mut().zip(rows) {
                        *group = *group * count + u64::from(table[c[*row as usize].place()]);
                    }
                }),
                _ => {}
            },
            Places::Hours { column, first, table } => {
                if let Column::Int { codes, base, step, null } = &**column {
                    let (offset, last) = (base - first, table.len() - 1);
                    with_codes!(codes, c => {
                        for (group, row) in groups.iter_mut().zip(rows) {
                            let code = c[*row as usize].wide();
                            let place = if code == *null { last } else { ((offset + step * code) as u64 / HOUR as u64) as usize };
                            *group = *group * count + u64::from(table[place]);
                        }
                    });
                }
            }
            Places::Rows(places) => {
                for (group, row) in groups.iter_mut().zip(rows) {
                    *group = *group * count + u64::from(places[*row as usize]);
                }
            }
        }
    }
}

/// A region code cut to a level; null where it is not that fine.
fn at_level(code: &str, level: RegionLevel) -> DimVal {
    let cut = match level {
        RegionLevel::City => return DimVal::Text("310000".into()),
        RegionLevel::District => code.get(..6),
        RegionLevel::Street => code.get(..9),
        RegionLevel::Neighbourhood => code.get(..12),
        RegionLevel::Grid => Some(code),
    };
    cut.map_or(DimVal::Null, |c| DimVal::Text(c.into()))
}

/// The period of a moment: days or milliseconds of its start, or its place on the clock.
pub fn period_of_instant(ms: i64, grain: Grain) -> i64 {
    let local = to_local(ms);
    match grain {
        Grain::Hour => {
            ms - (i64::from(local.minute()) * 60 + i64::from(local.second())) * 1000
                - i64::from(local.and_utc().timestamp_subsec_millis())
        }
        Grain::HourOfDay => i64::from(local.hour()),
        _ => period_of_date(local.date(), grain),
    }
}

pub fn period_of_date(date: NaiveDate, grain: Grain) -> i64 {
    match grain {
        Grain::HourOfDay => 0,
        Grain::Weekday => i64::from(date.weekday().number_from_monday()),
        Grain::Hour => local_midnight(date),
        _ => i64::from(days(grain.floor_date(date))),
    }
}

fn time_places(column: Arc<Column>, kind: FieldType, grain: Grain) -> LocalDim {
    let mut values = Domain::default();
    let Column::Int { codes, base, step, null } = &*column else {
        return LocalDim { places: Places::Same, values: vec![DimVal::Null] };
    };
    let mut range: Option<(i64, i64)> = None;
    with_codes!(codes, c => for v in c {
        let v = v.wide();
        if v != *null {
            range = Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))));
        }
    });
    let Some((low, high)) = range else { return LocalDim { places: Places::Same, values: vec![DimVal::Null] } };
    let (first, last) = (base + step * low, base + step * high);
    if kind == FieldType::Date {
        if !matches!(codes, Codes::I64(_)) {
            let table = (0..=high.max(*null))
                .map(|code| {
                    if code == *null {
                        values.id(DimVal::Null)
                    } else {
                        values.id(DimVal::Int(period_of_date(date_of((base + step * code) as i32), grain)))
                    }
                })
                .collect();
            let places = Places::Table(column.clone(), table);
            return LocalDim { places, values: values.values };
        }
    } else if first >= WHOLE_HOURS_FROM && (last - first) / HOUR < 4_000_000 {
        let from = first.div_euclid(HOUR) * HOUR;
        let mut table: Vec<u32> =
            hours(from, (last - from) / HOUR + 1, grain).into_iter().map(|v| values.id(DimVal::Int(v))).collect();
        if codes_hold(codes, *null) {
            table.push(values.id(DimVal::Null));
        } else {
            table.push(0);
        }
        let places = Places::Hours { column: column.clone(), first: from, table };
        return LocalDim { places, values: values.values };
    }
    let one = |v: i64| {
        if kind == FieldType::Date { period_of_date(date_of(v as i32), grain) } else { period_of_instant(v, grain) }
    };
    let rows =
        (0..codes.len()).map(|r| values.id(column.int(r).map_or(DimVal::Null, |v| DimVal::Int(one(v))))).collect();
    LocalDim { places: Places::Rows(rows), values: values.values }
}

/// The period of each of `count` hours. Clocks change at most once within a week, so where both
/// ends of a week have one offset from UTC, the hours between need no look into the zone's rules.
fn hours(from: i64, count: i64, grain: Grain) -> Vec<i64> {
    const BLOCK: i64 = 7 * 24;
    let offset = |ms: i64| to_local(ms).and_utc().timestamp_millis() - ms;
    let mut out = Vec::with_capacity(count as usize);
    let mut known = (i64::MIN, 0);
    for block in (0..count).step_by(BLOCK as usize) {
        let first = from + block * HOUR;
        let length = BLOCK.min(count - block);
        let (start, end) = (offset(first), offset(first + length * HOUR));
        for hour in 0..length {
            let utc = first + hour * HOUR;
            if start != end {
                out.push(period_of_instant(utc, grain));
                continue;
            }
            let local = utc + start;
            let day = local.div_euclid(24 * HOUR);
            out.push(match grain {
                Grain::Hour => utc,
                Grain::HourOfDay => local.rem_euclid(24 * HOUR) / HOUR,
                _ => {
                    if known.0 != day {
                        known = (day, period_of_date(date_of(day as i32), grain));
                    }
                    known.1
                }
            });
        }
    }
    out
}

fn codes_hold(codes: &Codes, code: i64) -> bool {
    code != -1 && with_codes!(codes, c => c.iter().any(|v| v.wide() == code))
}

/// Starts of the periods that a span touches, oldest first; for cyclic grains all places of the
/// clock. `None`: the span is open, or has more than `limit` periods.
pub fn periods(span: Span, grain: Grain, limit: usize) -> Option<Vec<i64>> {
    match grain {
        Grain::HourOfDay => return Some((0..24).collect()),
        Grain::Weekday => return Some((1..=7).collect()),
        _ if span.from == i64::MIN || span.to == i64::MAX => return None,
        _ => {}
    }
    let mut starts = Vec::new();
    if grain == Grain::Hour {
        let mut at = period_of_instant(span.from, grain);
        while at < span.to {
            starts.push(at);
            at = next_period(at, grain);
            if starts.len() > limit {
                return None;
            }
        }
        return Some(starts);
    }
    let (first, end) = span.days();
    let mut date = grain.floor_date(first);
    while date < end && span.from < span.to {
        starts.push(i64::from(days(date)));
        date = grain.next_date(date);
        if starts.len() > limit {
            return None;
        }
    }
    Some(starts)
}

/// The local day on which a period starts.
pub fn date_of_period(start: i64, grain: Grain) -> NaiveDate {
    match grain {
        Grain::Hour => to_local(start).date(),
        _ => date_of(start as i32),
    }
}

/// The start of the period after one.
pub fn next_period(start: i64, grain: Grain) -> i64 {
    match grain {
        Grain::Hour => start + HOUR,
        Grain::HourOfDay | Grain::Weekday => start + 1,
        _ => i64::from(days(grain.next_date(date_of(start as i32)))),
    }
}

/// The moment at which a period ends, in milliseconds.
pub fn period_end(start: i64, grain: Grain) -> i64 {
    match grain {
        Grain::Hour => start + HOUR,
        _ => local_midnight(date_of(next_period(start, grain) as i32)),
    }
}

/// The start of the period that a comparison sets beside this one: a year earlier (weeks: 52
/// weeks), or the period before.
pub fn earlier_period(start: i64, grain: Grain, year: bool) -> i64 {
    let date = || date_of(start as i32);
    let back =
        |date: NaiveDate, months: u32| i64::from(days(date.checked_sub_months(Months::new(months)).unwrap_or(date)));
    match (grain, year) {
        (Grain::HourOfDay | Grain::Weekday, _) => start,
        (Grain::Hour, true) => to_local(start).checked_sub_months(Months::new(12)).map_or(start, local_instant),
        (Grain::Hour, false) => start - HOUR,
        (Grain::Week, true) => start - 364,
        (_, true) => back(date(), 12),
        (Grain::Day, false) => start - 1,
        (Grain::Week, false) => start - 7,
        (Grain::Month, false) => back(date(), 1),
        (Grain::Quarter, false) => back(date(), 3),
        (Grain::Year, false) => back(date(), 12),
    }
}

/// A span moved back by whole days of the local clock.
pub fn days_earlier(span: Span, count: u64) -> Span {
    let shift = |ms: i64| {
        if ms == i64::MIN || ms == i64::MAX {
            ms
        } else {
            to_local(ms).checked_sub_days(Days::new(count)).map_or(ms, local_instant)
        }
    };
    Span { from: shift(span.from), to: shift(span.to) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_follow_the_zone() {
        // Through the summer times of 1986 to 1991, and an ordinary year.
        for year in [1986, 1988, 1991, 2024] {
            let from = local_midnight(NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default());
            for grain in [
                Grain::Hour,
                Grain::Day,
                Grain::Week,
                Grain::Month,
                Grain::Quarter,
                Grain::Year,
                Grain::HourOfDay,
                Grain::Weekday,
            ] {
                for (hour, period) in (0..).zip(hours(from, 366 * 24, grain)) {
                    assert_eq!(period, period_of_instant(from + hour * HOUR, grain), "{year} {grain:?} {hour}");
                }
            }
        }
    }
}
