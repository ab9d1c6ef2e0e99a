//! Warnings by number of events of one organisation within a calendar month or year.

use super::assess::Step;
use super::events::Events;
use super::rule::{Rule, Within};
use chrono::{Datelike, NaiveDate};
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThresholdResult {
    pub rule: String,
    pub version: String,
    pub reached: bool,
    /// Each period that reached the number, with its events.
    pub periods: Vec<Reached>,
    pub explanation: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// `2026-03` or `2026`.
    pub period: String,
    pub dates: Vec<NaiveDate>,
    /// The day the number was reached.
    pub since: NaiveDate,
}

/// Whether the events of one organisation reach the rule's number. `None` for a rule without threshold.
pub fn threshold(rule: &Rule, case: &Events, as_of: NaiveDate) -> Option<ThresholdResult> {
    let threshold = rule.threshold.as_ref()?;
    let mut periods: Vec<(String, Vec<NaiveDate>)> = Vec::new();
    for date in case.dates(std::slice::from_ref(&threshold.event), Some(as_of)) {
        let name = match threshold.within {
            Within::CalendarMonth => format!("{}-{:02}", date.year(), date.month()),
            Within::CalendarYear => date.year().to_string(),
        };
        match periods.last_mut() {
            Some((last, dates)) if *last == name => dates.push(date),
            _ => periods.push((name, vec![date])),
        }
    }
    let needed = threshold.count.max(1);
    let reached: Vec<_> = periods
        .into_iter()
        .filter_map(|(period, dates)| Some(Reached { since: *dates.get(needed - 1)?, period, dates }))
        .collect();
    let explanation = reached
        .iter()
        .map(|r| Step {
            step: format!("{} 内 {} 次,达到 {needed} 次", r.period, r.dates.len()),
            date: Some(r.since),
            basis: threshold.basis.clone(),
        })
        .collect();
    Some(ThresholdResult {
        rule: rule.name.clone(),
        version: rule.version.clone(),
        reached: !reached.is_empty(),
        periods: reached,
        explanation,
    })
}
