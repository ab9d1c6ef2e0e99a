//! Counting one period from stated parameters, with every step explained.

use super::assess::Step;
use super::rule::Roll;
use crate::period::{self, MonthEnd, Period};
use chrono::{Datelike, NaiveDate};
use zonglan_catalog::calendar::Calendar;

/// A counted period: before and after the roll.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    pub raw_due: NaiveDate,
    pub due: NaiveDate,
    pub explanation: Vec<Step>,
    pub warnings: Vec<String>,
}

/// Months first, then days, then excluded days, then the roll.
pub fn count(
    trigger: NaiveDate,
    period: Period,
    excluded_days: i32,
    roll: Roll,
    in_custody: bool,
    month_end: MonthEnd,
    calendar: &Calendar,
) -> Counted {
    let mut explanation =
        vec![Step::new(format!("起算日 {trigger},当日不计入"), Some(trigger), &["刑事诉讼法(2018)第105条"])];
    let end = period.end(trigger, month_end, calendar);
    let direction = if period.is_backward() { "向前" } else { "" };
    explanation.push(Step::new(format!("{direction}{period},至 {end}"), Some(end), counting_basis(period)));
    let raw_due = period::add_days(end, excluded_days);
    if excluded_days != 0 {
        explanation.push(Step::new(
            format!("不计入期限 {excluded_days} 日,顺延至 {raw_due}"),
            Some(raw_due),
            &["刑事诉讼法(2018)第149条"],
        ));
    }
    let due = rolled(raw_due, roll, in_custody, period.is_backward(), calendar);
    explanation.extend(roll_step(raw_due, due, roll, in_custody, calendar));
    let mut warnings = Vec::new();
    if period.working_days != 0 {
        warnings.extend(unknown_years(trigger, due, calendar));
    } else if roll != Roll::Never {
        warnings.extend(unknown_years(raw_due, due, calendar));
    }
    Counted { raw_due, due, explanation, warnings }
}

pub(super) fn rolled(raw: NaiveDate, roll: Roll, custody: bool, backward: bool, calendar: &Calendar) -> NaiveDate {
    match roll {
        Roll::Never => raw,
        Roll::UnlessCustody if custody => raw,
        Roll::DaysOff | Roll::UnlessCustody if backward => period::roll_back(raw, calendar),
        Roll::DaysOff | Roll::UnlessCustody => period::roll(raw, false, calendar),
    }
}

pub(super) fn roll_step(
    raw: NaiveDate,
    due: NaiveDate,
    roll: Roll,
    custody: bool,
    calendar: &Calendar,
) -> Option<Step> {
    let article: &[&str] = &["刑事诉讼法(2018)第105条"];
    if due > raw {
        Some(Step::new(format!("{raw} 为节假日,以其后第一个工作日 {due} 为期满日"), Some(due), article))
    } else if due < raw {
        Some(Step::new(format!("{raw} 为节假日,倒计期间提前至 {due},以免缩短期间"), Some(due), &[]))
    } else if custody && roll == Roll::UnlessCustody && !calendar.is_workday(raw) {
        Some(Step::new("在押期间不得因节假日延长".into(), None, article))
    } else {
        None
    }
}

pub(super) fn counting_basis(period: Period) -> &'static [&'static str] {
    if period.months != 0 { &["法释〔2021〕1号第202条"] } else { &[] }
}

/// A warning for each year between two days whose holidays are not known.
pub(super) fn unknown_years(a: NaiveDate, b: NaiveDate, calendar: &Calendar) -> Vec<String> {
    (a.min(b).year()..=a.max(b).year())
        .filter(|year| !calendar.knows(*year))
        .map(|year| format!("{year} 年节假日安排未录入,只按周末推算(估算)"))
        .collect()
}
