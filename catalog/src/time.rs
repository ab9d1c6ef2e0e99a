//! Time: the zone, grains, and ranges written as dates or relative to the data.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeZone, Timelike, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The zone of every date without one. IANA rules, so 1986 to 1991 have summer time.
pub const ZONE: chrono_tz::Tz = chrono_tz::Asia::Shanghai;

/// A period length, or a cyclic part of the clock (`hour_of_day`, `weekday`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    Hour,
    Day,
    /// From Monday.
    Week,
    Month,
    Quarter,
    Year,
    /// 0 to 23.
    HourOfDay,
    /// 1 (Monday) to 7.
    Weekday,
}

impl Grain {
    pub fn name(self) -> &'static str {
        match self {
            Grain::Hour => "hour",
            Grain::Day => "day",
            Grain::Week => "week",
            Grain::Month => "month",
            Grain::Quarter => "quarter",
            Grain::Year => "year",
            Grain::HourOfDay => "hour_of_day",
            Grain::Weekday => "weekday",
        }
    }

    pub fn is_cyclic(self) -> bool {
        matches!(self, Grain::HourOfDay | Grain::Weekday)
    }

    /// The first day of the period that holds `date`. Hours and cyclic grains: the day itself.
    pub fn floor_date(self, date: NaiveDate) -> NaiveDate {
        match self {
            Grain::Week => date.week(Weekday::Mon).first_day(),
            Grain::Month => date.with_day(1).unwrap_or(date),
            Grain::Quarter => {
                let month = date.month0() / 3 * 3 + 1;
                NaiveDate::from_ymd_opt(date.year(), month, 1).unwrap_or(date)
            }
            Grain::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1).unwrap_or(date),
            Grain::Hour | Grain::Day | Grain::HourOfDay | Grain::Weekday => date,
        }
    }

    /// The first day of the next period.
    pub fn next_date(self, start: NaiveDate) -> NaiveDate {
        match self {
            Grain::Week => start + Days::new(7),
            Grain::Month => start + Months::new(1),
            Grain::Quarter => start + Months::new(3),
            Grain::Year => start + Months::new(12),
            Grain::Hour | Grain::Day | Grain::HourOfDay | Grain::Weekday => start + Days::new(1),
        }
    }
}

/// Milliseconds since 1970 UTC of local midnight. Where midnight does not exist, the first
/// instant after it.
pub fn local_midnight(date: NaiveDate) -> i64 {
    local_instant(date.and_time(chrono::NaiveTime::MIN))
}

/// The instant of a local wall-clock time in Asia/Shanghai: the earlier of two, and for times
/// that the clocks skipped, the instant an hour later.
pub fn local_instant(local: NaiveDateTime) -> i64 {
    match ZONE.from_local_datetime(&local).earliest() {
        Some(instant) => instant.timestamp_millis(),
        None => ZONE
            .from_local_datetime(&(local + chrono::Duration::hours(1)))
            .earliest()
            .map_or_else(|| local.and_utc().timestamp_millis() - 8 * 3_600_000, |i| i.timestamp_millis()),
    }
}

/// The local wall-clock time of an instant.
pub fn to_local(ms: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().with_timezone(&ZONE).naive_local()
}

/// The range of a query: half-open, in days of Asia/Shanghai, or relative to a moment.
///
/// `{"from":"2025-01-01","to":"2026-01-01"}`, either end may be left out; or
/// `{"last":"30d"}` (d, w, m, y: whole days up to the end of the day of the data time), or
/// `{"this":"month"}` (today, week, month, quarter, year: from its first day to the data time's day end),
/// or `{"previous":"month"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Bound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Bound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this: Option<Grain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Grain>,
}

/// A date (local midnight) or an instant with zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    Date(NaiveDate),
    Instant(DateTime<chrono::FixedOffset>),
}

impl Bound {
    pub fn millis(self) -> i64 {
        match self {
            Bound::Date(date) => local_midnight(date),
            Bound::Instant(instant) => instant.timestamp_millis(),
        }
    }
}

/// A range with its ends fixed, in milliseconds since 1970 UTC; `from <= t < to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Span {
    pub from: i64,
    pub to: i64,
}

impl Span {
    pub const ALL: Span = Span { from: i64::MIN, to: i64::MAX };

    pub fn is_all(self) -> bool {
        self == Span::ALL
    }

    /// The local days of the ends; `to` is the first day after. Needs both ends.
    pub fn days(self) -> (NaiveDate, NaiveDate) {
        let to = to_local(self.to);
        let last = if to.num_seconds_from_midnight() == 0 { to.date() } else { to.date() + Days::new(1) };
        (to_local(self.from).date(), last)
    }

    /// The span before this one that a comparison reads: the same dates `months` earlier.
    pub fn months_earlier(self, months: u32) -> Span {
        let shift = |ms: i64| {
            let local = to_local(ms);
            local.checked_sub_months(Months::new(months)).map_or(ms, local_instant)
        };
        Span { from: shift(self.from), to: shift(self.to) }
    }

    /// The same number of days directly before.
    pub fn previous(self) -> Span {
        Span { from: self.from - (self.to - self.from), to: self.from }
    }
}

impl Range {
    pub fn days(from: NaiveDate, to: NaiveDate) -> Self {
        Self { from: Some(Bound::Date(from)), to: Some(Bound::Date(to)), ..Self::default() }
    }

    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }

    /// Fixes a relative range at `now` (milliseconds UTC): the data time of the dataset.
    pub fn resolve(&self, now: i64) -> Result<Span, String> {
        let forms = [
            self.from.is_some() || self.to.is_some(),
            self.last.is_some(),
            self.this.is_some(),
            self.previous.is_some(),
        ];
        if forms.iter().filter(|set| **set).count() > 1 {
            return Err("a range takes one of from/to, last, this or previous".into());
        }
        let today = to_local(now).date();
        let span = |from: NaiveDate, to: NaiveDate| Span { from: local_midnight(from), to: local_midnight(to) };
        if let Some(last) = &self.last {
            let tomorrow = today + Days::new(1);
            let bad = || format!("range 'last' takes a number and d, w, m or y, such as 30d; got '{last}'");
            let unit = last.chars().last().ok_or_else(bad)?;
            let count: u32 = last
                .strip_suffix(unit)
                .and_then(|n| n.parse().ok())
                .filter(|n| (1..=40_000).contains(n))
                .ok_or_else(bad)?;
            let from = match unit {
                'd' => tomorrow.checked_sub_days(Days::new(u64::from(count))),
                'w' => tomorrow.checked_sub_days(Days::new(u64::from(count) * 7)),
                'm' => tomorrow.checked_sub_months(Months::new(count)),
                'y' => tomorrow.checked_sub_months(Months::new(count.saturating_mul(12))),
                _ => None,
            };
            return Ok(span(from.ok_or_else(bad)?, tomorrow));
        }
        if let Some(grain) = self.this.or(self.previous) {
            if grain.is_cyclic() || grain == Grain::Hour {
                return Err("range 'this' and 'previous' take day, week, month, quarter or year".into());
            }
            let start = grain.floor_date(today);
            return Ok(if self.this.is_some() {
                span(start, today + Days::new(1))
            } else {
                span(grain.floor_date(start - Days::new(1)), start)
            });
        }
        let span =
            Span { from: self.from.map_or(i64::MIN, Bound::millis), to: self.to.map_or(i64::MAX, Bound::millis) };
        if span.from > span.to {
            return Err("range: 'from' lies after 'to'".into());
        }
        Ok(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("date")
    }

    #[test]
    fn ranges_resolve_in_local_days() {
        let now = local_instant(day("2026-03-15").and_hms_opt(7, 30, 0).expect("time"));
        let check = |json: &str, from: &str, to: &str| {
            let range: Range = serde_json::from_str(json).expect(json);
            let span = range.resolve(now).expect(json);
            assert_eq!(span.days(), (day(from), day(to)), "{json}");
        };
        check(r#"{"last":"30d"}"#, "2026-02-14", "2026-03-16");
        check(r#"{"this":"month"}"#, "2026-03-01", "2026-03-16");
        check(r#"{"this":"week"}"#, "2026-03-09", "2026-03-16");
        check(r#"{"previous":"quarter"}"#, "2025-10-01", "2026-01-01");
        check(r#"{"from":"2025-01-01","to":"2026-01-01"}"#, "2025-01-01", "2026-01-01");
        for bad in [
            r#"{"last":"30"}"#,
            r#"{"last":"xd"}"#,
            r#"{"last":"1d","this":"day"}"#,
            r#"{"from":"2026-01-02","to":"2026-01-01"}"#,
        ] {
            assert!(serde_json::from_str::<Range>(bad).expect(bad).resolve(now).is_err(), "{bad}");
        }
    }

    #[test]
    fn summer_time_of_1986_is_honoured() {
        // 1986-05-04 02:00 became 03:00; the day has 23 hours.
        let length = local_midnight(day("1986-05-05")) - local_midnight(day("1986-05-04"));
        assert_eq!(length, 23 * 3_600_000);
    }

    #[test]
    fn year_earlier_keeps_the_date() {
        let span = Span { from: local_midnight(day("2024-02-29")), to: local_midnight(day("2024-03-01")) };
        assert_eq!(span.months_earlier(12).days(), (day("2023-02-28"), day("2023-03-01")));
    }
}
