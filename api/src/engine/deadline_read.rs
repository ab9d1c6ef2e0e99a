//! Reading the events of a stream: all of them, or those of the cases that something happened to.

use super::deadline_memory::Memory;
use super::running::Running;
use crate::error::Result;
use chrono::NaiveDate;
use std::collections::{BTreeMap, HashMap, HashSet};
use zonglan_catalog::batch::days;
use zonglan_catalog::time::to_local;
use zonglan_catalog::{Dataset, FieldType, Filter};
use zonglan_models::deadline::Stream;
use zonglan_olap::Row;

/// The name of an event that is not known yet.
const TO_COME: &str = "to_come";
/// The day of what is a fact and no event.
pub const FACT: i32 = i32::MIN;
/// Where more than one case in so many is touched, everything is read.
const MOST: usize = 5;

/// An event as read: narrow, because there are many.
#[derive(Clone, Copy)]
pub struct Ev {
    pub case: u32,
    pub day: i32,
    pub name: u16,
    pub to: u16,
}

/// Numbers for texts.
#[derive(Default)]
pub struct Names {
    pub ids: HashMap<Box<str>, u32>,
    pub list: Vec<Box<str>>,
}

impl Names {
    pub fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }

    fn short(&mut self, text: &str) -> u16 {
        u16::try_from(self.id(text)).unwrap_or(u16::MAX)
    }
}

/// What is known of a case beside its events.
#[derive(Clone, Copy, Default)]
pub struct Case {
    pub district: u32,
    /// A hash of its rows, whatever their order.
    pub hash: u64,
    pub rows: u32,
}

/// Events of a stream.
#[derive(Default)]
pub struct Read {
    pub cases: Names,
    pub names: Names,
    pub recipients: Names,
    pub districts: Names,
    pub events: Vec<Ev>,
    pub of_case: Vec<Case>,
    /// Whether these are all cases of the stream.
    pub whole: bool,
    /// Cases that have no rows any more.
    pub lost: Vec<Box<str>>,
}

impl Read {
    pub fn name(&self, case: u32) -> &str {
        &self.cases.list[case as usize]
    }

    pub fn district(&self, case: u32) -> &str {
        &self.districts.list[self.of_case[case as usize].district as usize]
    }
}

/// Reads what has to be read after the last run.
pub fn read(run: &Running, stream: &Stream, before: &Memory, as_of: NaiveDate, full: bool) -> Result<Read> {
    if !full && !before.cases.is_empty() {
        let mut touched: HashSet<Box<str>> = HashSet::new();
        let dataset = run.dataset(&stream.dataset)?;
        let columns = &run.app.columns;
        columns.since(&dataset, &stream.case, &before.marks, &mut |case| {
            if !touched.contains(case) {
                touched.insert(case.into());
            }
        })?;
        let today = days(as_of);
        touched.extend(before.cases.iter().filter(|(_, c)| c.next_change <= today).map(|(name, _)| name.clone()));
        if touched.len() * MOST <= before.cases.len() {
            let mut read = if touched.is_empty() { Read::default() } else { some(run, stream, as_of, Some(&touched))? };
            // Rows that went with a whole segment touch nothing: only the number of rows tells of them.
            let rest: u64 =
                before.cases.iter().filter(|(name, _)| !touched.contains(*name)).map(|(_, c)| u64::from(c.count)).sum();
            let expected = rest + read.of_case.iter().map(|c| u64::from(c.rows)).sum::<u64>();
            if run.number_of(&stream.dataset, &stream.filter)? == Some(expected) {
                touched.retain(|name| before.cases.contains_key(name) && !read.cases.ids.contains_key(name));
                read.lost = touched.into_iter().collect();
                return Ok(read);
            }
        }
    }
    let mut read = some(run, stream, as_of, None)?;
    read.whole = true;
    read.lost = before.cases.keys().filter(|name| !read.cases.ids.contains_key(*name)).cloned().collect();
    Ok(read)
}

/// The day of a date or instant field.
fn day(dataset: &Dataset, field: &str) -> impl Fn(i64) -> i32 + use<> {
    let instant = dataset.field(field).is_some_and(|f| f.kind == FieldType::Instant);
    move |n| if instant { days(to_local(n).date()) } else { i32::try_from(n).unwrap_or(i32::MAX) }
}

fn some(run: &Running, stream: &Stream, as_of: NaiveDate, wanted: Option<&HashSet<Box<str>>>) -> Result<Read> {
    let dataset = run.dataset(&stream.dataset)?;
    let mut out = Read::default();
    // No recipient is number 0.
    out.recipients.id("");
    let among = |case: &str| wanted.is_none_or(|w| w.contains(case));
    let pick: Option<&dyn Fn(&str) -> bool> = wanted.map(|_| &among as &dyn Fn(&str) -> bool);
    let mut fields = vec![stream.case.as_str(), &stream.district];
    let by_event = stream.event.as_deref().zip(stream.date.as_deref());
    let event = by_event.map(|(event, date)| (put(&mut fields, event), put(&mut fields, date), day(&dataset, date)));
    let recipient = stream.recipient.as_deref().map(|f| put(&mut fields, f));
    let target = stream.target.as_deref().map(|f| (put(&mut fields, f), day(&dataset, f)));
    let always = stream.dated.iter().filter(|d| d.filter.is_true());
    let dated: Vec<_> =
        always.map(|d| (put(&mut fields, &d.field), day(&dataset, &d.field), out.names.short(&d.event))).collect();
    let to_come = out.names.short(TO_COME);
    let today = days(as_of);
    run.each_picked(&stream.dataset, &fields, stream.filter.clone(), pick, &mut |row| {
        let Some(case) = row.text(0) else { return };
        let case = out.cases.id(case);
        if case as usize == out.of_case.len() {
            let district = out.districts.id(row.text(1).unwrap_or_default());
            out.of_case.push(Case { district, ..Case::default() });
        }
        let known = &mut out.of_case[case as usize];
        known.rows += 1;
        known.hash = known.hash.wrapping_add(row.content() ^ (row.key() as u64).rotate_left(17));
        for (at, day, name) in &dated {
            if let Some(n) = row.int(*at) {
                out.events.push(Ev { case, day: day(n), name: *name, to: 0 });
            }
        }
        let Some((name, date, day)) = &event else { return };
        let (Some(name), Some(on)) = (row.text(*name), row.int(*date).map(day)) else { return };
        // What a document sets for a later day is known from the document's own day on.
        let set = target.as_ref().and_then(|(at, day)| row.int(*at).map(day));
        if set.is_some() && on > today {
            // Until then only the day counts, on which the case says something else.
            out.events.push(Ev { case, day: on, name: to_come, to: 0 });
            return;
        }
        let to = recipient.and_then(|r| row.text(r)).map_or(0, |t| out.recipients.short(t));
        out.events.push(Ev { case, day: set.unwrap_or(on), name: out.names.short(name), to });
    })?;
    // Dates and facts that hold in some rows only: the store knows which.
    for dated in stream.dated.iter().filter(|d| !d.filter.is_true()) {
        let (name, day) = (out.names.short(&dated.event), day(&dataset, &dated.field));
        let filter = stream.filter.clone().and(dated.filter.clone());
        let (cases, events) = (&out.cases, &mut out.events);
        run.each_picked(&stream.dataset, &[&stream.case, &dated.field], filter, pick, &mut |row| {
            if let (Some(case), Some(n)) = (case_of(cases, row), row.int(1)) {
                events.push(Ev { case, day: day(n), name, to: 0 });
            }
        })?;
    }
    for fact in &stream.fact {
        let name = out.names.short(&fact.name);
        let filter = stream.filter.clone().and(fact.filter.clone());
        let (cases, events) = (&out.cases, &mut out.events);
        run.each_picked(&stream.dataset, &[&stream.case], filter, pick, &mut |row| {
            events.extend(case_of(cases, row).map(|case| Ev { case, day: FACT, name, to: 0 }));
        })?;
    }
    out.events.sort_unstable_by_key(|e| (e.case, e.day));
    Ok(out)
}

/// The place of a field among those asked for; a field may be several events.
fn put<'a>(fields: &mut Vec<&'a str>, field: &'a str) -> usize {
    fields.iter().position(|known| *known == field).unwrap_or_else(|| {
        fields.push(field);
        fields.len() - 1
    })
}

fn case_of(cases: &Names, row: &Row<'_>) -> Option<u32> {
    row.text(0).and_then(|case| cases.ids.get(case)).copied()
}

/// The responsible unit of each case by agency, as numbers into a list of names.
pub struct Units {
    names: Names,
    /// Agency, and the unit of each case.
    by_agency: BTreeMap<String, Vec<u32>>,
}

impl Units {
    pub fn of(&self, agency: &str, case: u32) -> &str {
        self.by_agency.get(agency).map_or("", |list| &self.names.list[list[case as usize] as usize])
    }
}

/// The units of the cases that were read.
pub fn units(run: &Running, stream: &Stream, read: &Read) -> Result<Units> {
    let mut out = Units { names: Names::default(), by_agency: BTreeMap::new() };
    let unknown = out.names.id("");
    let fields: Vec<(&String, &String)> = stream.units.iter().filter(|(_, unit)| !unit.contains('{')).collect();
    if !fields.is_empty() && !read.cases.list.is_empty() {
        let parent = run.dataset(&stream.parent)?;
        // Rows that are cases name them themselves.
        let key = if stream.parent == stream.dataset {
            stream.case.clone()
        } else {
            parent.key.first().cloned().unwrap_or_else(|| "id".into())
        };
        let mut asked = vec![key.as_str()];
        asked.extend(fields.iter().map(|(_, field)| field.as_str()));
        let mut found: Vec<Vec<u32>> = fields.iter().map(|_| vec![unknown; read.cases.list.len()]).collect();
        let among = |case: &str| read.cases.ids.contains_key(case);
        let pick: Option<&dyn Fn(&str) -> bool> = if read.whole { None } else { Some(&among) };
        run.each_picked(&stream.parent, &asked, Filter::True, pick, &mut |row| {
            let Some(case) = case_of(&read.cases, row) else { return };
            for (n, list) in found.iter_mut().enumerate() {
                if let Some(text) = row.text(n + 1) {
                    list[case as usize] = out.names.id(text);
                }
            }
        })?;
        for ((agency, _), list) in fields.into_iter().zip(found) {
            out.by_agency.insert(agency.clone(), list);
        }
    }
    let regions = run.catalogue.codes("region");
    for (agency, template) in stream.units.iter().filter(|(_, unit)| unit.contains('{')) {
        let of_district: Vec<u32> = read
            .districts
            .list
            .iter()
            .map(|code| {
                let name = regions.and_then(|r| r.get(code)).map_or(&**code, |item| item.zh.as_str());
                out.names.id(&template.replace("{district}", name))
            })
            .collect();
        let list = read.of_case.iter().map(|case| of_district[case.district as usize]).collect();
        out.by_agency.insert(agency.clone(), list);
    }
    Ok(out)
}
