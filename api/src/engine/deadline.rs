//! The run of deadline supervision: events of every declared stream judged by its rules, changed
//! results into `deadline_state`, warnings into tasks of the responsible unit.
//!
//! A run reads all events, but judges only the cases whose events differ from the last run or whose
//! own time has come (`next_change`); what it needs to know of the last run lies in a file beside
//! the stores ([`super::deadline_memory`]). Without that file everything is judged again, and the
//! store leaves rows of the same content alone.

use super::deadline_memory::{CaseMemory, Memory};
use super::deadline_rows::{LATE, Sheet, key_of, row_id};
use super::running::Running;
use super::{Model, warn_tasks};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{NewTask, NewWarning};
use chrono::NaiveDate;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use zonglan_catalog::batch::date_of;
use zonglan_catalog::time::{local_midnight, to_local};
use zonglan_catalog::traits::QueryEngine;
use zonglan_catalog::{Dataset, Filter, Label, RowKey};
use zonglan_models::deadline::{CaseResult, Context, Event, Events, LimitRow, Rule, Rules, State, Stream, judge};

/// The name of an event that is not known yet.
const TO_COME: &str = "to_come";
/// Where results go.
pub const STATES: &str = "deadline_state";
/// Tasks that one run gives at most; the rest stay warnings, and a first run on old data drowns nobody.
const MOST_TASKS: usize = 500;

pub struct Deadlines;

impl Model for Deadlines {
    fn name(&self) -> &'static str {
        "deadline"
    }

    fn label(&self) -> Label {
        Label::new("办案期限监督", "Deadline supervision")
    }

    fn inputs(&self) -> Vec<&'static str> {
        vec!["case_event", "case"]
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec![STATES]
    }

    /// A hash of the rule files, the streams and the calendar.
    fn version(&self, app: &App) -> Result<String> {
        let catalogue = app.catalogue();
        let mut hasher = blake3::Hasher::new();
        for kind in ["deadlines", "streams"] {
            for (name, file) in catalogue.files(kind) {
                hasher.update(name.as_bytes());
                hasher.update(file.text.as_bytes());
            }
        }
        let years: Vec<i32> = (2000..2100).filter(|year| catalogue.calendar().knows(*year)).collect();
        hasher.update(format!("{years:?}").as_bytes());
        Ok(hasher.finalize().to_hex()[..12].to_string())
    }

    /// The day of judgment: today unless given. `full`: judge every case.
    fn params(&self, app: &App) -> Json {
        json!({"as_of": to_local(app.clock.now()).date(), "full": false})
    }

    fn every_minutes(&self) -> Option<u32> {
        Some(10)
    }

    fn run(&self, run: &Running) -> Result<()> {
        let as_of = run.param("as_of").unwrap_or_default();
        let as_of: NaiveDate = as_of
            .parse()
            .map_err(|_| Error::user("models.params", format!("as_of: “{as_of}”不是日期，请写成 2026-01-31")))?;
        let rules = run.app.models.rules(&run.catalogue)?;
        let mut notes = Vec::new();
        for stream in Stream::load(&run.catalogue, &rules)? {
            notes.push(one(run, &rules, &stream, as_of)?);
        }
        run.note(notes.join("；"));
        Ok(())
    }
}

/// An event as read: narrow, because there are many.
#[derive(Clone, Copy)]
struct Ev {
    case: u32,
    day: i32,
    name: u16,
    to: u16,
}

/// Numbers for texts.
#[derive(Default)]
struct Names {
    ids: HashMap<Box<str>, u32>,
    list: Vec<Box<str>>,
}

impl Names {
    fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }
}

/// All events of a stream.
struct Read {
    cases: Names,
    names: Names,
    recipients: Names,
    districts: Names,
    events: Vec<Ev>,
    /// District and a hash of all events, by case.
    of_case: Vec<(u32, u64)>,
}

fn read(run: &Running, stream: &Stream, as_of: NaiveDate) -> Result<Read> {
    let mut out = Read {
        cases: Names::default(),
        names: Names::default(),
        recipients: Names::default(),
        districts: Names::default(),
        events: Vec::new(),
        of_case: Vec::new(),
    };
    let mut fields = vec![stream.case.as_str(), &stream.event, &stream.date, &stream.district];
    let recipient = stream.recipient.as_deref().map(|f| (fields.len(), fields.push(f)).0);
    let target = stream.target.as_deref().map(|f| (fields.len(), fields.push(f)).0);
    // No recipient is number 0.
    out.recipients.id("");
    let today = i64::from(zonglan_catalog::batch::days(as_of));
    run.each(&stream.dataset, &fields, stream.filter.clone(), &mut |row| {
        let (Some(case), Some(name), Some(day)) = (row.text(0), row.text(1), row.int(2)) else { return };
        let case = out.cases.id(case);
        if case as usize == out.of_case.len() {
            out.of_case.push((out.districts.id(row.text(3).unwrap_or_default()), 0));
        }
        let hash = &mut out.of_case[case as usize].1;
        *hash = hash.wrapping_add(row.content() ^ (row.key() as u64).rotate_left(17));
        // What a document sets for a later day is known from the document's own day on.
        let set = target.and_then(|t| row.int(t));
        if set.is_some() && day > today {
            // Until then only the day counts, on which the case says something else.
            let name = u16::try_from(out.names.id(TO_COME)).unwrap_or(u16::MAX);
            out.events.push(Ev { case, day: i32::try_from(day).unwrap_or(i32::MAX), name, to: 0 });
            return;
        }
        out.events.push(Ev {
            case,
            day: i32::try_from(set.unwrap_or(day)).unwrap_or(i32::MAX),
            name: u16::try_from(out.names.id(name)).unwrap_or(u16::MAX),
            to: recipient.and_then(|r| row.text(r)).map_or(0, |t| u16::try_from(out.recipients.id(t)).unwrap_or(0)),
        });
    })?;
    out.events.sort_unstable_by_key(|e| (e.case, e.day));
    Ok(out)
}

/// The responsible unit of each case by agency, as numbers into a list of names.
struct Units {
    names: Names,
    /// Agency, and the unit of each case.
    by_agency: BTreeMap<String, Vec<u32>>,
}

fn units(run: &Running, stream: &Stream, read: &Read) -> Result<Units> {
    let mut out = Units { names: Names::default(), by_agency: BTreeMap::new() };
    let unknown = out.names.id("");
    let fields: Vec<(&String, &String)> = stream.units.iter().filter(|(_, unit)| !unit.contains('{')).collect();
    let parent = run.dataset(&stream.parent)?;
    let key = parent.key.first().cloned().unwrap_or_else(|| "id".into());
    let mut asked = vec![key.as_str()];
    asked.extend(fields.iter().map(|(_, field)| field.as_str()));
    let mut found: Vec<Vec<u32>> = fields.iter().map(|_| vec![unknown; read.cases.list.len()]).collect();
    run.each(&stream.parent, &asked, Filter::True, &mut |row| {
        let Some(case) = row.text(0).and_then(|id| read.cases.ids.get(id)) else { return };
        for (n, list) in found.iter_mut().enumerate() {
            if let Some(text) = row.text(n + 1) {
                list[*case as usize] = out.names.id(text);
            }
        }
    })?;
    for ((agency, _), list) in fields.into_iter().zip(found) {
        out.by_agency.insert(agency.clone(), list);
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
        let list = read.of_case.iter().map(|(district, _)| of_district[*district as usize]).collect();
        out.by_agency.insert(agency.clone(), list);
    }
    Ok(out)
}

/// What became of one case.
struct Judged {
    case: u32,
    result: CaseResult,
    memory: CaseMemory,
}

fn one(run: &Running, rules: &Arc<Rules>, stream: &Stream, as_of: NaiveDate) -> Result<String> {
    let dataset = run.dataset(STATES)?;
    let began = Instant::now();
    run.progress(0.02, "读取环节");
    let read = read(run, stream, as_of)?;
    run.check()?;
    run.progress(0.3, format!("{} 个案件", read.cases.list.len()));
    let units = units(run, stream, &read)?;
    let kept = QueryEngine::state(&run.app.columns, STATES).version;
    let path = run.app.folder("models").map_err(Error::internal)?.join(format!("deadline-{}.memory", stream.name));
    let full = run.params().get("full").is_some_and(|f| f == true || f == "true");
    let before = Memory::load(&path)
        .filter(|m| m.version == run.record.version && m.kept == kept && m.as_of <= as_of)
        .unwrap_or_default();
    let known = stream.rules(rules)?;
    let todo: Vec<u32> = (0..read.cases.list.len() as u32)
        .filter(|case| {
            let (_, hash) = read.of_case[*case as usize];
            let last = before.cases.get(&key_of(&read.cases.list[*case as usize]));
            full || last.is_none_or(|l| l.events != hash || l.next_change <= zonglan_catalog::batch::days(as_of))
        })
        .collect();
    run.progress(0.4, format!("{} 个案件需要重新判断", todo.len()));
    let judged = judge_all(run, rules, &known, &read, &todo, as_of)?;
    run.check()?;
    run.count(|c| c.evaluated += judged.len() as u64);
    run.progress(0.8, "写入变化的结果");

    // Rows of cases whose result is another one, and keys of rows that hold no longer.
    let mut sheet = Sheet::new(&dataset, &stream.name, &known);
    let mut gone: Vec<RowKey> = Vec::new();
    let mut changed: Vec<&Judged> = Vec::new();
    let case_name = |case: u32| &*read.cases.list[case as usize];
    for one in &judged {
        let last = before.cases.get(&key_of(case_name(one.case)));
        if last.is_some_and(|l| l.result == one.memory.result) {
            continue;
        }
        let (district, _) = read.of_case[one.case as usize];
        for row in &one.result.rows {
            let unit = units
                .by_agency
                .get(&known[row.rule].agency)
                .map_or("", |list| &*units.names.list[list[one.case as usize] as usize]);
            sheet.push(case_name(one.case), row, unit, &read.districts.list[district as usize], as_of);
        }
        let now: HashSet<u32> = one.memory.rows.iter().copied().collect();
        let before = last.iter().flat_map(|l| &l.rows).filter(|row| !now.contains(row));
        gone.extend(before.map(|row| sheet.key(&row_id(&stream.name, case_name(one.case), *row, &known))));
        changed.push(one);
    }
    let rows = sheet.rows();
    let batches = sheet.finish();
    let mut cases = before.cases;
    if cases.is_empty() {
        gone.extend(left_over(run, &dataset, stream, &batches)?);
    } else {
        // Cases that have no events any more.
        let all: HashSet<u128> = read.cases.list.iter().map(|c| key_of(c)).collect();
        let known = cases.len();
        cases.retain(|key, _| all.contains(key));
        if cases.len() < known {
            gone.extend(left_over_of_lost(run, &dataset, stream, &read)?);
        }
    }
    if rows > 0 || !gone.is_empty() {
        run.write(&dataset, &batches, &gone)?;
    }
    drop(batches);
    let told = tell(run, stream, &known, &read, &units, &changed, as_of)?;

    let (cases_total, evaluated) = (read.cases.list.len(), judged.len());
    for one in judged {
        cases.insert(key_of(&read.cases.list[one.case as usize]), one.memory);
    }
    let kept = QueryEngine::state(&run.app.columns, STATES).version;
    Memory { version: run.record.version.clone(), kept, as_of, cases }.save(&path).map_err(Error::internal)?;
    crate::memory::give_back();
    let calendar = run.catalogue.calendar();
    let year = chrono::Datelike::year(&as_of);
    let unknown = if calendar.knows(year) {
        String::new()
    } else {
        format!("，{year} 年节假日安排未录入，期满日为估算")
    };
    Ok(format!(
        "{}：{cases_total} 个案件，判断 {evaluated} 个，变化 {rows} 项期限，预警 {told} 条，{:.1} 秒{unknown}",
        stream.label.zh,
        began.elapsed().as_secs_f64()
    ))
}

/// Judges cases on all processors.
fn judge_all(
    run: &Running,
    rules: &Rules,
    known: &[&Rule],
    read: &Read,
    todo: &[u32],
    as_of: NaiveDate,
) -> Result<Vec<Judged>> {
    // Where each case's events begin.
    let mut starts = vec![0u32; read.cases.list.len() + 1];
    for event in &read.events {
        starts[event.case as usize + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    let context = Context { rules, calendar: run.catalogue.calendar(), as_of, explain: false };
    let judge_one = |case: u32| {
        let (from, to) = (starts[case as usize] as usize, starts[case as usize + 1] as usize);
        let events = read.events[from..to].iter().map(|e| Event {
            name: read.names.list[e.name as usize].to_string(),
            date: Some(date_of(e.day)),
            to: (e.to > 0).then(|| read.recipients.list[e.to as usize].to_string()),
        });
        let result = judge(known, &Events::new(events, BTreeMap::new()), context);
        let memory = CaseMemory::new(read.of_case[case as usize].1, &result);
        Judged { case, result, memory }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from).max(1);
    let chunk = todo.len().div_ceil(threads).max(1);
    let parts: Vec<Result<Vec<Judged>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = todo
            .chunks(chunk)
            .map(|part| {
                scope.spawn(|| {
                    let mut out = Vec::with_capacity(part.len());
                    for (n, case) in part.iter().enumerate() {
                        if n % 10_000 == 0 {
                            run.check()?;
                        }
                        out.push(judge_one(*case));
                    }
                    Ok(out)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|_| Err(Error::internal("a judging thread panicked"))))
            .collect()
    });
    let mut out = Vec::with_capacity(todo.len());
    for part in parts {
        out.extend(part?);
    }
    Ok(out)
}

/// Keys of rows of the stream that a full run no longer writes.
fn left_over(
    run: &Running,
    dataset: &Arc<Dataset>,
    stream: &Stream,
    batches: &[zonglan_catalog::Batch],
) -> Result<Vec<RowKey>> {
    let written: HashSet<u128> = batches.iter().flat_map(|b| &b.keys).map(|k| k.0).collect();
    let mut gone = Vec::new();
    run.each(&dataset.name, &["stream"], Filter::True, &mut |row| {
        if row.text(0) == Some(stream.name.as_str()) && !written.contains(&row.key()) {
            gone.push(RowKey(row.key()));
        }
    })?;
    Ok(gone)
}

/// Keys of rows of cases that have no events any more.
fn left_over_of_lost(run: &Running, dataset: &Arc<Dataset>, stream: &Stream, read: &Read) -> Result<Vec<RowKey>> {
    let mut gone = Vec::new();
    run.each(&dataset.name, &["stream", "case_id"], Filter::True, &mut |row| {
        let lost = row.text(1).is_some_and(|case| !read.cases.ids.contains_key(case));
        if row.text(0) == Some(stream.name.as_str()) && lost {
            gone.push(RowKey(row.key()));
        }
    })?;
    Ok(gone)
}

/// Raises warnings for limits that are due soon or overdue, closes those that are over, and gives
/// tasks to the responsible units. Returns the number of new warnings.
fn tell(
    run: &Running,
    stream: &Stream,
    rules: &[&Rule],
    read: &Read,
    units: &Units,
    changed: &[&Judged],
    as_of: NaiveDate,
) -> Result<u64> {
    let (mut warnings, mut tasks, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for one in changed {
        let case = &*read.cases.list[one.case as usize];
        let district = &*read.districts.list[read.of_case[one.case as usize].0 as usize];
        for row in &one.result.rows {
            let id = row_id(&stream.name, case, code(row), rules);
            let (soon, late) = (format!("{id}|soon"), format!("{id}|late"));
            let (rule, Some(due)) = (rules[row.rule], row.due) else { continue };
            let key = match row.state {
                State::DueSoon | State::DueToday => soon,
                State::Overdue => late,
                State::ClosedInTime | State::ClosedLate => {
                    over.extend([soon, late]);
                    continue;
                }
                State::Running | State::Unknown => continue,
            };
            let unit = units
                .by_agency
                .get(&rule.agency)
                .map_or("", |list| &*units.names.list[list[one.case as usize] as usize]);
            let limit = &rule.limit[row.limit].label;
            let when = match row.state {
                State::Overdue => format!("{due} 期满，已超期 {} 天", (as_of - due).num_days()),
                State::DueToday => format!("{due} 今日到期"),
                _ => format!("{due} 到期，还剩 {} 天", (due - as_of).num_days()),
            };
            let link = format!("/cases/{case}?dataset={}", stream.parent);
            let title = format!("{case} {limit}：{when}（{unit}）");
            tasks.push(NewTask {
                key: Some(format!("deadline:{key}")),
                kind: "deadline".into(),
                title: format!("{case} {limit}{}", row.state.zh()),
                detail: Some(format!(
                    "{}；责任单位：{unit}；{when}；依据：{}",
                    rule.label.zh,
                    rule.limit[row.limit].basis.join("、")
                )),
                dataset: Some(stream.parent.clone()),
                record: Some(case.to_string()),
                link: Some(link.clone()),
                district: Some(district.chars().take(6).collect()),
                role: Some("legal".into()),
                due_at: Some(local_midnight(due) + 86_400_000),
                urgency: if row.state == State::Overdue { "urgent".into() } else { "normal".into() },
                source: "model".into(),
                rule: Some(rule.name.clone()),
                ..NewTask::default()
            });
            warnings.push(NewWarning { key, title, region: district.to_string(), link });
        }
    }
    let open: HashSet<String> = run.wait(run.app.store.runs.open_warnings(&run.record.model))?.into_iter().collect();
    over.retain(|key| open.contains(key));
    run.close_warnings(over)?;
    let fresh = run.warn(warnings)?;
    // The most pressing first: overdue, then by the day they run out.
    tasks.sort_by_key(|t| (t.urgency != LATE, t.due_at));
    tasks.truncate(MOST_TASKS);
    warn_tasks(run, tasks)?;
    Ok(fresh)
}

/// Rule, limit and spell as one number.
pub(super) fn code(row: &LimitRow) -> u32 {
    (row.rule as u32) << 16 | (row.limit as u32 & 0xff) << 8 | (row.spell as u32).min(255)
}
