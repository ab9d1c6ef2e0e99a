//! The timeline of a case: what happened, and every limit with its beginning, end and state, in one
//! value that search, boards and case files draw.

use super::assess::{Context, State, Step, assess};
use super::events::Events;
use super::rule::{Rule, Status};
use chrono::NaiveDate;
use serde::Serialize;

/// One limit as a bar from its trigger to its due day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineLimit {
    pub rule: String,
    pub version: String,
    pub rule_label: String,
    pub limit: String,
    /// The kind of agency that must act.
    pub agency: String,
    pub trigger: Option<NaiveDate>,
    /// Before the roll over days off.
    pub raw_due: NaiveDate,
    pub due: NaiveDate,
    pub end: Option<NaiveDate>,
    pub state: State,
    /// Days from the day of judgment to the due day; negative once it has passed. `None` where ended.
    pub days_left: Option<i64>,
    /// Receivers who do not have it yet.
    pub missing_recipients: Vec<String>,
    /// The steps that lead to the due day, each with its articles; of the last spell.
    pub explanation: Vec<Step>,
    /// 未确认: no text gives the days.
    pub status: Status,
    pub estimated: bool,
}

/// All limits of a case on a day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timeline {
    pub as_of: NaiveDate,
    /// By due day; open ones before closed ones.
    pub limits: Vec<TimelineLimit>,
    pub warnings: Vec<String>,
}

/// The limits of a case under rules, with their explanations.
pub fn timeline(rules: &[&Rule], case: &Events, context: Context<'_>) -> Timeline {
    let mut out = Timeline { as_of: context.as_of, limits: Vec::new(), warnings: Vec::new() };
    for rule in rules {
        let assessed = assess(rule, case, Context { explain: true, ..context });
        for limit in assessed.limits {
            let last = limit.spells.len();
            for (n, spell) in limit.spells.iter().enumerate() {
                out.limits.push(TimelineLimit {
                    rule: rule.name.clone(),
                    version: rule.version.clone(),
                    rule_label: rule.label.zh.clone(),
                    limit: limit.label.clone(),
                    agency: rule.agency.clone(),
                    trigger: spell.trigger,
                    raw_due: spell.raw_due,
                    due: spell.due,
                    end: spell.end,
                    state: spell.state,
                    days_left: spell.end.is_none().then(|| (spell.due - context.as_of).num_days()),
                    missing_recipients: if n + 1 == last { limit.missing_recipients.clone() } else { Vec::new() },
                    explanation: if n + 1 == last { limit.explanation.clone() } else { Vec::new() },
                    status: rule.status,
                    estimated: assessed.estimated,
                });
            }
        }
        out.warnings.extend(assessed.warnings);
    }
    out.warnings.sort();
    out.warnings.dedup();
    out.limits.sort_by(|a, b| (a.end.is_some(), a.due, &a.rule).cmp(&(b.end.is_some(), b.due, &b.rule)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::{Event, Rules, Stream};
    use std::collections::BTreeMap;
    use zonglan_catalog::Catalogue;

    #[test]
    fn a_case_shows_its_limits_with_articles() {
        let catalogue = Catalogue::builtin().expect("the packs are valid");
        let rules = Rules::load(&catalogue).expect("valid");
        let stream = Stream::load(&catalogue, &rules).expect("valid").remove(0);
        let day = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let event = |name: &str, on: &str| Event { name: name.into(), date: Some(day(on)), to: None };
        let events = [event("arrested", "2026-01-10"), event("execution_receipt_served", "2026-01-16")];
        let case = Events::new(events, BTreeMap::new());
        let context =
            Context { rules: &rules, calendar: catalogue.calendar(), as_of: day("2026-03-05"), explain: false };
        let found = timeline(&stream.rules(&rules).expect("known"), &case, context);
        let of = |rule: &str| found.limits.iter().find(|l| l.rule == rule).expect("has a limit");
        let custody = of("R1");
        assert_eq!((custody.due, custody.state, custody.days_left), (day("2026-03-10"), State::DueSoon, Some(5)));
        assert!(custody.explanation.iter().any(|s| s.basis.iter().any(|b| b.contains("第156条"))), "{custody:?}");
        // 13 January was a Tuesday: three days, no roll, served three days late.
        assert_eq!((of("R2").due, of("R2").state), (day("2026-01-13"), State::ClosedLate));
        assert!(found.limits[0].end.is_none(), "open limits come first");
    }
}
