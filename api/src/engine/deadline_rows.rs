//! Rows of `deadline_state`, written column by column: there are millions of them.

use super::deadline::code;
use chrono::NaiveDate;
use std::collections::HashMap;
use zonglan_catalog::batch::{ColumnData, days};
use zonglan_catalog::{Batch, Dataset, RowKey};
use zonglan_models::deadline::{LimitRow, Rule, State, Stream};

/// Rows of a batch.
const ROWS: usize = 65_536;

/// The id of a row: stream, case, rule, limit, spell.
pub fn row_id(stream: &str, case: &str, code: u32, rules: &[&Rule]) -> String {
    let (rule, limit, spell) = ((code >> 16) as usize, (code >> 8 & 0xff) as usize, code & 0xff);
    let rule = rules.get(rule);
    let limit = rule.map_or("", |r| r.of_limit(limit).0);
    format!("{stream}|{case}|{}|{limit}|{spell}", rule.map_or("", |r| r.name.as_str()))
}

/// Batches under way.
pub struct Sheet<'a> {
    dataset: &'a Dataset,
    stream: &'a Stream,
    rules: &'a [&'a Rule],
    place: HashMap<&'a str, usize>,
    batches: Vec<Batch>,
    rows: u64,
}

impl<'a> Sheet<'a> {
    pub fn new(dataset: &'a Dataset, stream: &'a Stream, rules: &'a [&'a Rule]) -> Self {
        let place = dataset.field.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
        Self { dataset, stream, rules, place, batches: Vec::new(), rows: 0 }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Batches that are full; with `all`, every one.
    pub fn take(&mut self, all: bool) -> Vec<Batch> {
        let filling = if all { None } else { self.batches.pop() };
        let full = std::mem::take(&mut self.batches);
        self.batches.extend(filling);
        full
    }

    /// The key of a row by its id, the only key field.
    pub fn key(&self, id: &str) -> RowKey {
        RowKey::of([id])
    }

    pub fn push(&mut self, case: &str, row: &LimitRow, unit: &str, district: &str, as_of: NaiveDate) {
        if self.batches.last().is_none_or(|b| b.len() >= ROWS) {
            self.batches.push(Batch::new(self.dataset));
        }
        let id = row_id(&self.stream.name, case, code(row), self.rules);
        let key = self.key(&id);
        let rule = self.rules[row.rule];
        let Some(batch) = self.batches.last_mut() else { return };
        let place = &self.place;
        let mut text = |field: &str, value: Option<&str>| {
            if let Some(ColumnData::Text(column)) = place.get(field).and_then(|i| batch.columns.get_mut(*i)) {
                column.push(value);
            }
        };
        text("id", Some(&id));
        text("case_id", Some(case));
        text("stream", Some(&self.stream.name));
        text("subject", Some(&self.stream.parent));
        text("rule", Some(&rule.name));
        text("limit", Some(rule.of_limit(row.limit).1));
        text("state", Some(state_code(row.state)));
        text("agency", Some(&rule.agency));
        text("unit", Some(unit).filter(|u| !u.is_empty()));
        text("district", Some(district));
        text("version", Some(&rule.version));
        let mut date = |field: &str, value: Option<NaiveDate>| {
            if let Some(ColumnData::Date(column)) = place.get(field).and_then(|i| batch.columns.get_mut(*i)) {
                column.push(value.map(days));
            }
        };
        date("trigger_on", row.trigger);
        date("due_on", row.due);
        date("ended_on", row.end);
        let late = match (row.due, row.end, row.state) {
            // Days of what is still open grow daily and are not kept.
            (Some(due), Some(end), State::ClosedLate) if end <= as_of => Some((end - due).num_days()),
            _ => None,
        };
        let mut int = |field: &str, value: Option<i64>| {
            if let Some(ColumnData::Int(column)) = place.get(field).and_then(|i| batch.columns.get_mut(*i)) {
                column.push(value);
            }
        };
        int("spell", Some(row.spell as i64));
        int("days_late", late);
        if let Some(ColumnData::Bool(column)) = place.get("estimated").and_then(|i| batch.columns.get_mut(*i)) {
            column.push(Some(row.estimated));
        }
        batch.keys.push(key);
        // A field of a newer definition that this writer does not know is empty.
        let rows = batch.keys.len();
        for column in &mut batch.columns {
            while column.len() < rows {
                column.push_null();
            }
        }
        self.rows += 1;
    }
}

/// The code of a state in the dataset.
pub fn state_code(state: State) -> &'static str {
    match state {
        State::ClosedInTime => "closed_in_time",
        State::Unknown => "unknown",
        State::Running => "running",
        State::ClosedLate => "closed_late",
        State::DueSoon => "due_soon",
        State::DueToday => "due_today",
        State::Overdue => "overdue",
        State::Reached => "reached",
    }
}
