//! Streams of stage events: which rows are the events of which case, and what the rules say of it.
//!
//! A file of `streams/` names a dataset and the rules that supervise it. Either each row is an event
//! (fields for case, event and date), or each row is a case whose date fields are its events
//! (`[[dated]]`); conditions on the row may be facts of the case (`[[fact]]`).

use super::assess::{Context, LimitResult, Spell, State, assess};
use super::events::Events;
use super::rule::{Limit, Rule, Rules};
use super::threshold::threshold;
use crate::error::{ModelError, Result};
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zonglan_catalog::{Catalogue, FieldType, Filter, Label};

/// A declared stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    pub name: String,
    pub label: Label,
    /// The dataset of events, or of cases.
    pub dataset: String,
    /// Its field of the case, and of the district that sees the case.
    pub case: String,
    pub district: String,
    /// The event's code and date, where each row is an event.
    #[serde(default)]
    pub event: Option<String>,
    #[serde(default)]
    pub date: Option<String>,
    /// Date fields that are events, where each row is a case or a part of one.
    #[serde(default)]
    pub dated: Vec<Dated>,
    /// Facts of the case that rules ask for.
    #[serde(default)]
    pub fact: Vec<Fact>,
    /// The receiver, where several must receive it.
    #[serde(default)]
    pub recipient: Option<String>,
    /// A date that the event sets for something else (the hearing): it is then the event's date.
    #[serde(default)]
    pub target: Option<String>,
    /// Which rows belong to the stream.
    #[serde(default, rename = "where")]
    pub filter: Filter,
    pub rules: Vec<String>,
    /// The dataset of the cases, whose key the event's case is; the dataset itself where missing.
    #[serde(default)]
    pub parent: String,
    /// Where results go.
    #[serde(default = "states")]
    pub results: String,
    /// The role that gets the tasks.
    pub role: String,
    /// The page of a case, with `{case}`; the page of its timeline where missing.
    #[serde(default)]
    pub link: Option<String>,
    /// Who must act, by the agency of the rule: a field of the parent, or a text with `{district}`.
    pub units: BTreeMap<String, String>,
}

/// A date field that is an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dated {
    pub event: String,
    /// A field of type date or instant (its day in Asia/Shanghai).
    pub field: String,
    /// Only in rows like this.
    #[serde(default, rename = "where")]
    pub filter: Filter,
}

/// A fact of a case: true where one of its rows is like this.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub name: String,
    #[serde(rename = "where")]
    pub filter: Filter,
}

fn states() -> String {
    "deadline_state".into()
}

impl Stream {
    /// All streams of a catalogue whose datasets are declared.
    ///
    /// # Errors
    /// A file that cannot be read, or a rule that there is not.
    pub fn load(catalogue: &Catalogue, rules: &Rules) -> Result<Vec<Self>> {
        let mut out = Vec::new();
        for (name, file) in catalogue.files("streams") {
            let Some(mut stream) = catalogue.parse_file::<Self>("streams", name)? else { continue };
            if stream.parent.is_empty() {
                stream.parent.clone_from(&stream.dataset);
            }
            for rule in &stream.rules {
                rules.get(rule).map_err(|e| ModelError::RuleFile(format!("{}: {e}", file.path)))?;
            }
            let (Some(events), Some(parent)) = (catalogue.dataset(&stream.dataset), catalogue.dataset(&stream.parent))
            else {
                continue;
            };
            if stream.event.is_some() != stream.date.is_some() || stream.event.is_some() != stream.dated.is_empty() {
                let what = "has event and date, or [[dated]] fields";
                return Err(ModelError::RuleFile(format!("{}: a stream {what}", file.path)));
            }
            let fields = [&stream.case, &stream.district].into_iter().chain(&stream.event).chain(&stream.date);
            let more = stream.recipient.iter().chain(&stream.target).chain(stream.dated.iter().map(|d| &d.field));
            let of_filters = stream.dated.iter().map(|d| &d.filter).chain(stream.fact.iter().map(|f| &f.filter));
            let of_filters: Vec<&str> = of_filters.chain([&stream.filter]).flat_map(Filter::fields).collect();
            let named = fields.chain(more).map(String::as_str).chain(of_filters);
            if let Some(missing) = named.into_iter().find(|f| events.field(f).is_none()) {
                return Err(ModelError::RuleFile(format!("{}: {} has no field '{missing}'", file.path, events.name)));
            }
            let dates = stream.date.iter().chain(stream.dated.iter().map(|d| &d.field));
            let is_day =
                |f: &&String| events.field(f).is_some_and(|f| matches!(f.kind, FieldType::Date | FieldType::Instant));
            if let Some(wrong) = dates.into_iter().find(|f| !is_day(f)) {
                return Err(ModelError::RuleFile(format!("{}: '{wrong}' is not a date", file.path)));
            }
            let is_field = |unit: &str| unit.contains('{') || parent.field(unit).is_some();
            if let Some(missing) = stream.units.values().find(|u| !is_field(u)) {
                return Err(ModelError::RuleFile(format!("{}: {} has no field '{missing}'", file.path, parent.name)));
            }
            out.push(stream);
        }
        Ok(out)
    }

    /// The page of a case.
    pub fn link(&self, case: &str) -> String {
        match &self.link {
            Some(link) => link.replace("{case}", case),
            None => format!("/cases/{case}?dataset={}", self.parent),
        }
    }

    /// The rules of the stream, in its order.
    ///
    /// # Errors
    /// A rule that there is not.
    pub fn rules<'a>(&self, all: &'a Rules) -> Result<Vec<&'a Rule>> {
        self.rules.iter().map(|name| all.get(name)).collect()
    }
}

/// One limit of one spell of a case: a row of the dataset of deadlines.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitRow {
    /// Place of the rule in the stream, of the limit in the rule, of the spell in the limit.
    pub rule: usize,
    pub limit: usize,
    pub spell: usize,
    pub trigger: Option<NaiveDate>,
    pub due: Option<NaiveDate>,
    pub end: Option<NaiveDate>,
    pub state: State,
    /// A holiday calendar was missing.
    pub estimated: bool,
}

/// What the rules say of a case on a day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaseResult {
    pub rows: Vec<LimitRow>,
    /// The next day on which it may say something else without any new event.
    pub next_change: Option<NaiveDate>,
}

/// Judges a case by the rules of its stream. Limits whose trigger is missing have a row only where
/// their end has happened: then something is missing in the file.
pub fn judge(rules: &[&Rule], case: &Events, context: Context<'_>) -> CaseResult {
    let as_of = context.as_of;
    let mut out = CaseResult::default();
    let mut next: Option<NaiveDate> = case.next_after(as_of);
    for (r, rule) in rules.iter().enumerate() {
        if let Some(found) = threshold(rule, case, as_of) {
            out.rows.extend(found.periods.iter().enumerate().map(|(n, period)| LimitRow {
                rule: r,
                limit: 0,
                spell: n + 1,
                trigger: period.dates.first().copied(),
                due: Some(period.since),
                end: None,
                state: State::Reached,
                estimated: false,
            }));
            continue;
        }
        let assessed = assess(rule, case, context);
        for result in &assessed.limits {
            let Some(l) = rule.limit.iter().position(|limit| limit.name == result.limit) else { continue };
            let limit = &rule.limit[l];
            let ended = || case.dates(&limit.end, Some(as_of)).next().filter(|_| is_own(rules, limit));
            if result.spells.is_empty()
                && let Some(end) = ended()
            {
                out.rows.push(missing(r, l, Some(end)));
            }
            for (s, spell) in result.spells.iter().enumerate() {
                out.rows.push(LimitRow {
                    rule: r,
                    limit: l,
                    spell: s + 1,
                    trigger: spell.trigger,
                    due: Some(spell.due),
                    end: spell.end,
                    state: spell.state,
                    estimated: assessed.estimated,
                });
                next = earlier(next, changes(limit, result, spell, case, as_of));
            }
        }
    }
    out.next_change = next;
    out
}

/// Whether the ends of a limit belong to it alone: only then does an end without a beginning say
/// that something is missing in the file, and not that the limit does not concern the case.
fn is_own(rules: &[&Rule], limit: &Limit) -> bool {
    let others = || rules.iter().flat_map(|r| &r.limit).filter(|other| !std::ptr::eq(*other, limit));
    let of_all = |name: &String| name == "end";
    limit
        .end
        .iter()
        .filter(|name| !of_all(name))
        .all(|name| !others().any(|o| o.end.contains(name) || o.trigger.contains(name) || o.stand_in.contains(name)))
}

fn missing(rule: usize, limit: usize, end: Option<NaiveDate>) -> LimitRow {
    LimitRow { rule, limit, spell: 0, trigger: None, due: None, end, state: State::Unknown, estimated: false }
}

fn earlier(a: Option<NaiveDate>, b: Option<NaiveDate>) -> Option<NaiveDate> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The next day on which an open spell changes its state by itself.
fn changes(limit: &Limit, result: &LimitResult, spell: &Spell, case: &Events, as_of: NaiveDate) -> Option<NaiveDate> {
    // Days that do not count move the end of the limit, whether it has been kept or not.
    if limit.excluded.iter().any(|span| case.is_open(&span.from, &span.to, as_of)) {
        return as_of.succ_opt();
    }
    if spell.end.is_some() && result.missing_recipients.is_empty() {
        return None;
    }
    let soon = Days::new(limit.due_soon_days().unsigned_abs());
    [spell.due.checked_sub_days(soon), Some(spell.due), spell.due.succ_opt()]
        .into_iter()
        .flatten()
        .filter(|day| *day > as_of)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Event;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().expect("the packs are valid"));
    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::load(&CATALOGUE).expect("valid"));

    fn stream() -> Stream {
        Stream::load(&CATALOGUE, &RULES).expect("valid").into_iter().find(|s| s.name == "criminal").expect("declared")
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn case(events: &[(&str, &str)]) -> Events {
        let event = |(name, date): &(&str, &str)| Event { name: (*name).into(), date: Some(day(date)), to: None };
        Events::new(events.iter().map(event), BTreeMap::new())
    }

    fn judged(events: &Events, as_of: NaiveDate) -> CaseResult {
        let stream = stream();
        let rules = stream.rules(&RULES).expect("known");
        judge(&rules, events, Context { rules: &RULES, calendar: CATALOGUE.calendar(), as_of, explain: false })
    }

    #[test]
    fn a_case_says_when_it_will_say_something_else() {
        let events =
            case(&[("detained", "2026-01-05"), ("arrest_requested", "2026-01-08"), ("arrested", "2026-01-10")]);
        let result = judged(&events, day("2026-02-20"));
        let stream = stream();
        let rule = |name: &str| stream.rules.iter().position(|r| r == name).expect("in the stream");
        let custody = result.rows.iter().find(|r| r.rule == rule("R1")).expect("judged");
        assert_eq!((custody.due, custody.state), (Some(day("2026-03-10")), State::Running));
        // R6 asks for the request seven days before the expiry, and is due soon two days before that.
        assert_eq!(result.next_change, Some(day("2026-03-01")));
        let soon = judged(&events, day("2026-03-01"));
        assert!(soon.rows.iter().any(|r| r.rule == rule("R6") && r.state == State::DueSoon), "{soon:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Between a day and the next change nothing changes: what makes incremental runs right.
        #[test]
        fn nothing_changes_before_the_next_change(
            gaps in prop::collection::vec(0u64..40, 9),
            chosen in prop::collection::vec(0usize..12, 1..9),
            wait in 0u64..60,
        ) {
            const NAMES: [&str; 12] = ["detained", "arrest_requested", "arrested", "transferred", "under_review",
                "returned_for_investigation", "resubmitted", "indicted", "accepted", "released", "psychiatric_entrusted",
                "psychiatric_opinion"];
            let mut at = day("2026-01-02");
            let mut events = Vec::new();
            for (gap, name) in gaps.iter().zip(&chosen) {
                at = at + Days::new(*gap);
                events.push(Event { name: NAMES[*name].into(), date: Some(at), to: None });
            }
            let events = Events::new(events, BTreeMap::new());
            let as_of = day("2026-01-20") + Days::new(wait);
            let now = judged(&events, as_of);
            let until = now.next_change.unwrap_or(as_of + Days::new(90)).min(as_of + Days::new(90));
            let mut next = as_of.succ_opt().expect("a day");
            while next < until {
                prop_assert_eq!(&judged(&events, next).rows, &now.rows, "on {} after {}", next, as_of);
                next = next.succ_opt().expect("a day");
            }
        }
    }
}
