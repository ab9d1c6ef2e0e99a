//! Counting statutory periods: days, months and the roll over days off.
//!
//! Sources: 刑事诉讼法 (2018) art. 105: the first day does not count, and a period whose last day
//! is a day off ends on the first day after it, but never so while the person is in custody.
//! 最高人民法院关于适用《刑事诉讼法》的解释 (法释〔2021〕1号) art. 202: a month runs to the same day
//! of the next month; from the last day of a month to the last day of the next; where the day
//! does not exist, to the last day.

use chrono::{Datelike, Days, Months, NaiveDate};
use zonglan_catalog::calendar::Calendar;

/// The last day of a period of `days` days that starts after `trigger`.
pub fn add_days(trigger: NaiveDate, days: u32) -> NaiveDate {
    trigger + Days::new(u64::from(days))
}

/// The last day of a period of `months` calendar months that starts after `trigger`.
///
/// Extensions are counted from the first trigger, not from the last expiry: 30 December and two
/// months end on 28 February, one more month ends on 30 March.
pub fn add_months(trigger: NaiveDate, months: u32) -> NaiveDate {
    let same_day = trigger + Months::new(months);
    if is_month_end(trigger) { month_end(same_day) } else { same_day }
}

/// The due day after the roll over days off. A person in custody is never held longer for one.
pub fn roll(due: NaiveDate, in_custody: bool, calendar: &Calendar) -> NaiveDate {
    if in_custody {
        return due;
    }
    due.iter_days().find(|day| calendar.is_workday(*day)).unwrap_or(due)
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
        fn months_never_shrink_and_stay_in_the_month(offset in 0u64..20_000, months in 0u32..24) {
            let trigger = day("1990-01-01") + Days::new(offset);
            let due = add_months(trigger, months);
            let expected = trigger.year() * 12 + trigger.month0() as i32 + months as i32;
            prop_assert_eq!(due.year() * 12 + due.month0() as i32, expected);
            prop_assert!(add_months(trigger, months + 1) > due);
            prop_assert!(!is_month_end(trigger) || is_month_end(due));
        }
    }
}
