//! What happened in a case: dated events, some for each recipient, and facts.

use crate::error::{ModelError, Result};
use crate::period::plausible;
use chrono::NaiveDate;
use serde_json::Value;
use std::collections::BTreeMap;

/// An event. `date` is missing where it is expected but has not happened (a recipient not served).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub date: Option<NaiveDate>,
    /// Who received it, by role (被告人, 辩护人), where several must.
    pub to: Option<String>,
}

/// The events and facts of one case.
#[derive(Debug, Clone, Default)]
pub struct Events {
    events: Vec<Event>,
    facts: BTreeMap<String, bool>,
}

/// Events that begin and end custody (case_stage codes and names of measures).
const INTO_CUSTODY: [&str; 2] = ["detained", "arrested"];
const OUT_OF_CUSTODY: [&str; 4] = ["released", "measure_changed", "bail", "residential_surveillance"];

impl Events {
    pub fn new(events: impl IntoIterator<Item = Event>, facts: BTreeMap<String, bool>) -> Self {
        let mut events: Vec<_> = events.into_iter().collect();
        events.sort_by_key(|e| e.date);
        Self { events, facts }
    }

    /// From JSON: each key an event (a date, a list of dates, `{"date","to"}`, or an object of
    /// recipients with a date or null) or, where the value is true or false, a fact.
    ///
    /// # Errors
    /// The name of the event whose value is not a date.
    pub fn from_json(events: &serde_json::Map<String, Value>, facts: &BTreeMap<String, bool>) -> Result<Self> {
        let mut out = Vec::new();
        let mut facts = facts.clone();
        for (name, value) in events {
            if let Value::Bool(fact) = value {
                facts.insert(name.clone(), *fact);
            } else {
                read(name, value, None, &mut out)?;
            }
        }
        Ok(Self::new(out, facts))
    }

    /// The dates of any of the events, oldest first, up to `as_of` where given.
    pub fn dates<'a>(&'a self, names: &'a [String], as_of: Option<NaiveDate>) -> impl Iterator<Item = NaiveDate> + 'a {
        self.all(names).filter_map(|e| e.date).filter(move |d| as_of.is_none_or(|limit| *d <= limit))
    }

    /// The events of these names, oldest first; those without a date come first.
    pub fn all<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Event> + 'a {
        self.events.iter().filter(move |e| names.contains(&e.name))
    }

    pub fn first(&self, name: &str, as_of: NaiveDate) -> Option<NaiveDate> {
        self.events.iter().filter(|e| e.name == name).find_map(|e| e.date.filter(|d| *d <= as_of))
    }

    /// Whether a term of a rule holds: a stated fact, else whether the event has happened.
    pub fn holds(&self, term: &str, as_of: NaiveDate) -> bool {
        let (name, wanted) = term.strip_prefix('!').map_or((term, true), |rest| (rest, false));
        let is = match self.facts.get(name) {
            Some(fact) => *fact,
            None if name == "custody" => self.in_custody(as_of),
            None => self.first(name, as_of).is_some(),
        };
        is == wanted
    }

    pub fn fact(&self, name: &str) -> Option<bool> {
        self.facts.get(name).copied()
    }

    /// Whether the person is in custody on a day: as stated, else by the last measure up to then.
    pub fn in_custody(&self, day: NaiveDate) -> bool {
        if let Some(stated) = self.facts.get("custody") {
            return *stated;
        }
        let last = |names: &[&str]| {
            self.events.iter().filter(|e| names.contains(&e.name.as_str())).filter_map(|e| e.date).rfind(|d| *d <= day)
        };
        match (last(&INTO_CUSTODY), last(&OUT_OF_CUSTODY)) {
            (Some(into), Some(out)) => into > out,
            (into, _) => into.is_some(),
        }
    }

    /// The first day after `as_of` on which something happens.
    pub fn next_after(&self, as_of: NaiveDate) -> Option<NaiveDate> {
        self.events.iter().filter_map(|e| e.date).find(|d| *d > as_of)
    }

    /// Whether a span has begun and not ended on a day.
    pub fn is_open(&self, from: &str, to: &str, as_of: NaiveDate) -> bool {
        let begun = self.events.iter().filter(|e| e.name == from).filter_map(|e| e.date).rfind(|d| *d <= as_of);
        begun.is_some_and(|from| {
            let ends = self.events.iter().filter(|e| e.name == to).filter_map(|e| e.date);
            !ends.into_iter().any(|d| d >= from && d <= as_of)
        })
    }

    /// The case as it was known before a day.
    pub fn before(&self, day: NaiveDate) -> Self {
        let events = self.events.iter().filter(|e| e.date.is_some_and(|d| d < day)).cloned().collect();
        Self { events, facts: self.facts.clone() }
    }

    /// When all recipients had it: the last of each recipient's first date. Dates without a
    /// recipient count each. `None` where one is still missing or nothing has happened.
    pub fn received_by_all(&self, names: &[String], as_of: NaiveDate) -> Option<NaiveDate> {
        let mut by_recipient: BTreeMap<&str, Option<NaiveDate>> = BTreeMap::new();
        let mut last = None;
        for event in self.all(names) {
            let date = event.date.filter(|d| *d <= as_of);
            match event.to.as_deref() {
                Some(to) => {
                    let first = by_recipient.entry(to).or_default();
                    *first = first.or(date);
                }
                None if date.is_none() => return None,
                None => last = last.max(date),
            }
        }
        for date in by_recipient.into_values() {
            last = last.max(Some(date?));
        }
        last
    }

    /// Recipients that have not received it yet.
    pub fn missing_recipients(&self, names: &[String], as_of: NaiveDate) -> Vec<String> {
        let has = |to: &str| self.all(names).any(|e| e.to.as_deref() == Some(to) && e.date.is_some_and(|d| d <= as_of));
        let mut missing: Vec<_> = self.all(names).filter_map(|e| e.to.clone()).filter(|to| !has(to)).collect();
        missing.sort();
        missing.dedup();
        missing
    }
}

fn read(name: &str, value: &Value, to: Option<&str>, out: &mut Vec<Event>) -> Result<()> {
    match value {
        Value::Null => out.push(Event { name: name.into(), date: None, to: to.map(Into::into) }),
        Value::String(text) => {
            let date = date(text).map_err(|e| ModelError::input(format!("events.{name}: {e}")))?;
            out.push(Event { name: name.into(), date: Some(date), to: to.map(Into::into) });
        }
        Value::Array(items) => {
            for item in items {
                read(name, item, to, out)?;
            }
        }
        Value::Object(map) => match map.get("date") {
            Some(date) => {
                let to = map.get("to").and_then(Value::as_str).or(to);
                read(name, date, to, out)?;
            }
            None => {
                for (recipient, date) in map {
                    read(name, date, Some(recipient), out)?;
                }
            }
        },
        Value::Bool(_) | Value::Number(_) => {
            return Err(ModelError::input(format!("events.{name}: 应为日期(如 2026-01-10)、日期列表或 收件人:日期")));
        }
    }
    Ok(())
}

/// A date, or the date of an ISO 8601 instant (its first ten characters: the zone is Asia/Shanghai).
pub(crate) fn date(text: &str) -> std::result::Result<NaiveDate, String> {
    let day = text.get(..10).filter(|_| text.len() == 10 || text.as_bytes().get(10) == Some(&b'T')).unwrap_or(text);
    match day.parse::<NaiveDate>() {
        Ok(date) if plausible(date) => Ok(date),
        Ok(_) => Err(format!("日期 {text} 不在 1900 年至 2200 年之间")),
        Err(_) => Err(format!("“{text}”不是日期,请写成 2026-01-10")),
    }
}
