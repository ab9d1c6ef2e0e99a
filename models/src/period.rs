//! Counting statutory periods: days, months and the roll over days off.
//!
//! Sources: 刑事诉讼法 (2018) art. 105: the first day does not count, and a period whose last day
//! is a day off ends on the first day after it, but never so while the person is in custody.
//! 最高人民法院关于适用《刑事诉讼法》的解释 (法释〔2021〕1号) art. 202: a month runs to the same day
//! of the next month; from the last day of a month to the last day of the next; where the day
//! does not exist, to the last day.

use chrono::{Datelike, Days, Months, NaiveDate};
use serde::{Deserialize, Serialize};
use zonglan_catalog::calendar::Calendar;

/// A length of time as the law states it. Months are counted first, then days. Negative lengths
/// run backward (at the latest ten days before the hearing). Working days stand alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    #[serde(default)]
    pub months: i32,
    #[serde(default)]
    pub days: i32,
    #[serde(default)]
    pub working_days: i32,
}

/// To which day a month runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonthEnd {
    /// The same day of the target month (法释〔2021〕1号 art. 202).
    #[default]
    SameDay,
    /// The day before it: a practice of some offices, no text found.
    DayBefore,
}

/// Days that do not count: from the first day, up to the second (still running where `None`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excluded {
    pub from: NaiveDate,
    pub to: Option<NaiveDate>,
}

/// Dates outside 1900 to 2200 are typing errors; within, no sum below can leave the calendar.
pub fn plausible(date: NaiveDate) -> bool {
    (1900..=2200).contains(&date.year())
}

impl Period {
    pub fn months(months: i32) -> Self {
        Self { months, ..Self::default() }
    }

    pub fn days(days: i32) -> Self {
        Self { days, ..Self::default() }
    }

    pub fn is_backward(self) -> bool {
        self.months < 0 || self.days < 0 || self.working_days < 0
    }

    /// # Errors
    /// A period that has no meaning: both directions, working days mixed with others, over a century.
    pub fn check(self) -> Result<(), String> {
        let parts = [self.months, self.days, self.working_days];
        if parts.iter().any(|n| *n < 0) && parts.iter().any(|n| *n > 0) {
            return Err("期间不能同时向前又向后".into());
        }
        if self.working_days != 0 && (self.months != 0 || self.days != 0) {
            return Err("工作日不能与月、日并用".into());
        }
        if self.months.abs() > 1_200 || self.days.abs() > 36_500 || self.working_days.abs() > 36_500 {
            return Err("期间超过一百年".into());
        }
        Ok(())
    }

    /// The last day of the period after (or before) `trigger`, whose own day does not count.
    pub fn end(self, trigger: NaiveDate, month_end: MonthEnd, calendar: &Calendar) -> NaiveDate {
        if self.working_days != 0 {
            return add_working_days(trigger, self.working_days, &[], calendar);
        }
        let by_month = add_months(trigger, self.months);
        let shift = match month_end {
            MonthEnd::DayBefore if self.months > 0 => -1,
            MonthEnd::DayBefore | MonthEnd::SameDay => 0,
        };
        add_days(by_month, self.days + shift)
    }

    /// As [`Self::end`], with the excluded days left out. A span that begins after the period has
    /// ended changes nothing. A span still running counts up to `until`.
    pub fn end_without(
        self,
        trigger: NaiveDate,
        month_end: MonthEnd,
        spans: &[Excluded],
        until: NaiveDate,
        calendar: &Calendar,
    ) -> NaiveDate {
        if self.working_days > 0 && !spans.is_empty() {
            let closed: Vec<_> = spans.iter().map(|s| (s.from, s.to.unwrap_or(until))).collect();
            return add_working_days(trigger, self.working_days, &closed, calendar);
        }
        let mut due = self.end(trigger, month_end, calendar);
        let mut counted_to = trigger;
        let mut sorted = spans.to_vec();
        sorted.sort_unstable();
        for span in sorted {
            let from = span.from.max(counted_to);
            let to = span.to.unwrap_or(until);
            if span.from <= due && to > from {
                due += to - from;
                counted_to = to;
            }
        }
        due
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [(self.months, "个月"), (self.days, "日"), (self.working_days, "个工作日")];
        let mut written = false;
        for (n, unit) in parts.into_iter().filter(|(n, _)| *n != 0) {
            write!(f, "{}{}{unit}", if written { "零" } else { "" }, n.abs())?;
            written = true;
        }
        if written { Ok(()) } else { f.write_str("当日") }
    }
}

/// The day `days` days after `trigger` (before it where negative).
pub fn add_days(trigger: NaiveDate, days: i32) -> NaiveDate {
    let n = Days::new(u64::from(days.unsigned_abs()));
    if days < 0 { trigger - n } else { trigger + n }
}

/// The last day of a period of `months` calendar months that starts after `trigger`.
///
/// Extensions are counted from the first trigger, not from the last expiry: 30 December and two
/// months end on 28 February, one more month ends on 30 March.
pub fn add_months(trigger: NaiveDate, months: i32) -> NaiveDate {
    if months == 0 {
        return trigger;
    }
    let n = Months::new(months.unsigned_abs());
    let same_day = if months < 0 { trigger - n } else { trigger + n };
    if is_month_end(trigger) { month_end(same_day) } else { same_day }
}

/// The n-th working day after (or before) `trigger`; days of `spans` (after the first, up to the second) do not count.
pub fn add_working_days(
    trigger: NaiveDate,
    n: i32,
    spans: &[(NaiveDate, NaiveDate)],
    calendar: &Calendar,
) -> NaiveDate {
    let mut day = trigger;
    let mut left = n.unsigned_abs();
    while left > 0 {
        day = add_days(day, n.signum());
        let excluded = spans.iter().any(|(from, to)| *from < day && day <= *to);
        left -= u32::from(calendar.is_workday(day) && !excluded);
    }
    day
}

/// The due day after the roll over days off. A person in custody is never held longer for one.
pub fn roll(due: NaiveDate, in_custody: bool, calendar: &Calendar) -> NaiveDate {
    if in_custody {
        return due;
    }
    due.iter_days().find(|day| calendar.is_workday(*day)).unwrap_or(due)
}

/// The working day at or before `due`: a backward period must not be shortened by a day off.
pub fn roll_back(due: NaiveDate, calendar: &Calendar) -> NaiveDate {
    let mut day = due;
    while !calendar.is_workday(day) {
        day = add_days(day, -1);
    }
    day
}

fn is_month_end(date: NaiveDate) -> bool {
    date.succ_opt().is_none_or(|next| next.month() != date.month())
}

fn month_end(date: NaiveDate) -> NaiveDate {
    date.iter_days().take(31).find(|day| is_month_end(*day)).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zonglan_catalog::Catalogue;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    /// Worked examples on the calendar of 2026 (Spring Festival 02-15 to 02-23, Labour Day to 05-05).
    #[test]
    fn worked_examples() {
        let months = [
            ("2026-01-10", 2, "2026-03-10"),
            ("2026-01-10", 3, "2026-04-10"),
            ("2026-01-10", 7, "2026-08-10"),
            ("2025-12-31", 2, "2026-02-28"),
            ("2025-12-30", 2, "2026-02-28"),
            ("2025-12-30", 3, "2026-03-30"),
            ("2026-02-28", 2, "2026-04-30"),
            ("2026-01-31", 1, "2026-02-28"),
        ];
        for (trigger, n, due) in months {
            assert_eq!(add_months(day(trigger), n), day(due), "{trigger} + {n} months");
        }
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let days = [
            ("2026-02-13", 3, false, "2026-02-24"),
            ("2026-02-10", 7, true, "2026-02-17"),
            ("2026-02-03", 15, false, "2026-02-24"),
            ("2026-02-11", 7, false, "2026-02-24"),
            ("2026-04-24", 10, false, "2026-05-06"),
            ("2026-09-28", 5, false, "2026-10-08"),
        ];
        for (trigger, n, custody, due) in days {
            let rolled = roll(add_days(day(trigger), n), custody, catalogue.calendar());
            assert_eq!(rolled, day(due), "{trigger} + {n} days");
        }
    }

    proptest! {
        #[test]
        fn months_never_shrink_and_stay_in_the_month(offset in 0u64..20_000, months in 0i32..24) {
            let trigger = day("1990-01-01") + Days::new(offset);
            let due = add_months(trigger, months);
            let expected = trigger.year() * 12 + trigger.month0() as i32 + months;
            prop_assert_eq!(due.year() * 12 + due.month0() as i32, expected);
            prop_assert!(add_months(trigger, months + 1) > due);
            prop_assert!(!is_month_end(trigger) || is_month_end(due));
        }
    }
}
