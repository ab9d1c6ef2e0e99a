//! The declared rules: what a file of `deadlines/` may say.

use crate::error::{ModelError, Result};
use crate::period::{MonthEnd, Period};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zonglan_catalog::{Catalogue, Label};

/// A supervision rule. The file's name is its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: String,
    pub version: String,
    pub label: Label,
    /// The kind of agency that must act.
    pub agency: String,
    #[serde(default)]
    pub status: Status,
    /// What is not confirmed, or what users must know.
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default)]
    pub limit: Vec<Limit>,
    #[serde(default)]
    pub threshold: Option<Threshold>,
    /// Chinese names of the events and facts that the rule reads, for timelines and forms.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Rule {
    /// Name, label and basis of a limit; of the threshold, where the rule has no limits.
    pub fn of_limit(&self, limit: usize) -> (&str, &str, &[String]) {
        match (self.limit.get(limit), &self.threshold) {
            (Some(limit), _) => (&limit.name, &limit.label, &limit.basis),
            (None, Some(threshold)) => ("threshold", &self.label.zh, &threshold.basis),
            (None, None) => ("", &self.label.zh, &[]),
        }
    }
}

/// Whether an article gives the period, or a value stands in until somebody confirms it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    #[default]
    #[serde(rename = "已确认")]
    Confirmed,
    #[serde(rename = "未确认")]
    Unconfirmed,
}

/// One period of a rule with its own start and end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub name: String,
    pub label: String,
    /// Any of these events starts the period; its day does not count.
    pub trigger: Vec<String>,
    /// Used where no trigger event is known (the other office's date for one's own).
    #[serde(default)]
    pub stand_in: Vec<String>,
    #[serde(default)]
    pub pick: Pick,
    /// The trigger may lie ahead (a hearing, an expiry). Always so for negative periods.
    #[serde(default)]
    pub backward: bool,
    /// Computes the trigger where no trigger event is known.
    #[serde(default)]
    pub derive: Option<Derive>,
    /// An event that is the due day itself, set by a document; it replaces the period.
    #[serde(default)]
    pub given: Option<String>,
    /// Any of these events ends the period. With `recipients`, the last of all recipients counts.
    pub end: Vec<String>,
    #[serde(default)]
    pub recipients: bool,
    /// Events up to the trigger day after which nothing is owed any more (backward limits).
    #[serde(default)]
    pub moot: Vec<String>,
    pub period: Period,
    #[serde(default)]
    pub roll: Roll,
    #[serde(default)]
    pub month_end: MonthEnd,
    /// Days before the due day from which a case is due soon. Default: 7 for months, 2 for days.
    #[serde(default)]
    pub due_soon: Option<i64>,
    /// At most this many triggers are lawful (second return for investigation, not a third).
    #[serde(default)]
    pub at_most: Option<usize>,
    /// The limit applies only where all of these hold.
    #[serde(default)]
    pub when: Vec<Term>,
    pub basis: Vec<String>,
    /// The first choice whose terms all hold replaces period and roll.
    #[serde(default)]
    pub choice: Vec<Choice>,
    #[serde(default)]
    pub extension: Vec<Extension>,
    #[serde(default)]
    pub excluded: Vec<Excluded>,
    #[serde(default)]
    pub restart: Vec<Restart>,
}

impl Limit {
    pub fn is_backward(&self) -> bool {
        self.backward || self.period.is_backward()
    }

    /// Days before the due day from which a case is due soon.
    pub fn due_soon_days(&self) -> i64 {
        self.due_soon.unwrap_or(if self.period.months == 0 { 2 } else { 7 })
    }
}

/// The name of a fact (true) or of an event that has happened; `!name` for the contrary.
/// `custody` is worked out from the events where it is not stated.
pub type Term = String;

/// Which of several triggers starts the period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    #[default]
    First,
    /// The last one: a hearing that was moved, the recipient served last.
    Last,
    /// Each opens a spell of its own.
    Each,
}

/// Days off at the end of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Roll {
    #[default]
    Never,
    /// To the first working day after; a backward period to the working day before.
    DaysOff,
    /// As `days_off`, but never while the person is in custody (刑事诉讼法 105).
    UnlessCustody,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    pub when: Vec<Term>,
    pub label: String,
    pub period: Period,
    #[serde(default)]
    pub roll: Option<Roll>,
    pub basis: Vec<String>,
}

/// Replaces the period (counted from the same trigger) once granted before the current expiry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Events that grant it. A request alone extends nothing.
    pub event: Vec<String>,
    pub label: String,
    pub total: Period,
    pub basis: Vec<String>,
}

/// Days from one event to another do not count.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    pub from: String,
    pub to: String,
    pub label: String,
    pub basis: Vec<String>,
}

/// The period starts anew after an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    pub event: String,
    pub label: String,
    /// The clock had not run before it (identity unknown), so it counts after expiry too.
    #[serde(default)]
    pub always: bool,
    pub basis: Vec<String>,
}

/// A trigger computed from other events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derive {
    /// From the last of these events, for all recipients: appeal periods.
    #[serde(default)]
    pub after: Vec<String>,
    #[serde(default)]
    pub period: Option<Period>,
    #[serde(default)]
    pub choice: Vec<Choice>,
    #[serde(default)]
    pub roll: Roll,
    /// Days after the period's last day.
    #[serde(default)]
    pub plus: i64,
    /// Where one of these has happened nothing can be derived.
    #[serde(default)]
    pub unless: Vec<String>,
    /// The due day of another rule, as it stood before the last of the events `before`.
    #[serde(default)]
    pub due_of: Option<String>,
    #[serde(default)]
    pub before: Vec<String>,
    pub label: String,
    pub basis: Vec<String>,
}

/// A warning by number of events, such as two penalties of one carrier in a calendar month.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    pub event: String,
    pub count: usize,
    pub within: Within,
    pub basis: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    CalendarMonth,
    CalendarYear,
}

/// All rules of a catalogue, parsed once.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: BTreeMap<String, Rule>,
}

impl Rules {
    /// # Errors
    /// A file that cannot be read as a rule, with file and line.
    pub fn load(catalogue: &Catalogue) -> Result<Self> {
        let mut rules = BTreeMap::new();
        for (name, file) in catalogue.files("deadlines") {
            if let Some(mut rule) = catalogue.parse_file::<Rule>("deadlines", name)? {
                check(&rule).map_err(|what| ModelError::RuleFile(format!("{}: {what}", file.path)))?;
                // Callers that do not know the rule's events may say `trigger` and `end`.
                for limit in &mut rule.limit {
                    limit.trigger.push("trigger".into());
                    limit.end.push("end".into());
                }
                rules.insert(rule.name.clone(), rule);
            }
        }
        for rule in rules.values() {
            let wanted = rule.limit.iter().filter_map(|l| l.derive.as_ref()?.due_of.as_ref());
            let derives = |r: &Rule| r.limit.iter().any(|l| l.derive.as_ref().is_some_and(|d| d.due_of.is_some()));
            if let Some(bad) = wanted.into_iter().find(|n| rules.get(*n).is_none_or(derives)) {
                let what = "is not a rule, or is derived itself";
                return Err(ModelError::RuleFile(format!("{}: due_of = '{bad}' {what}", rule.name)));
            }
        }
        Ok(Self { rules })
    }

    pub fn get(&self, name: &str) -> Result<&Rule> {
        self.rules.get(name).ok_or_else(|| ModelError::UnknownRule {
            what: "期限规则",
            name: name.to_string(),
            known: self.rules.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }
}

fn check(rule: &Rule) -> std::result::Result<(), String> {
    if rule.limit.is_empty() == rule.threshold.is_none() {
        return Err("a rule has limits or a threshold".into());
    }
    for limit in &rule.limit {
        if limit.basis.is_empty() {
            return Err(format!("limit '{}' names no basis", limit.name));
        }
        if limit.trigger.is_empty() && limit.derive.is_none() && limit.given.is_none() {
            return Err(format!("limit '{}' has no trigger", limit.name));
        }
        let periods = limit.choice.iter().map(|c| &c.period).chain(limit.extension.iter().map(|e| &e.total));
        if let Some(bad) = std::iter::once(&limit.period).chain(periods).find_map(|p| p.check().err()) {
            return Err(format!("limit '{}': {bad}", limit.name));
        }
        if let Some(derive) = &limit.derive
            && derive.due_of.is_none()
            && (derive.after.is_empty() || derive.period.is_none())
        {
            return Err(format!("limit '{}': derive needs due_of, or after and period", limit.name));
        }
    }
    Ok(())
}
