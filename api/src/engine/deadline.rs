//! The runs of deadline supervision: events of every declared stream judged by its rules, changed
//! results into the dataset of the stream, warnings into tasks of the responsible unit.
//!
//! A run reads the cases that something happened to since the last one, and those whose own time has
//! come (`next_change`); what it needs to know of the last run lies in a file beside the stores
//! ([`super::deadline_memory`]). Without that file everything is read and judged again, and the
//! store leaves rows of the same content alone. Cases are judged and written in portions.

use super::Model;
use super::deadline_memory::{CaseMemory, Memory};
use super::deadline_read::{Ev, FACT, Read, Units, read, units};
use super::deadline_rows::{Sheet, row_id};
use super::deadline_tell::Tell;
use super::running::Running;
use crate::app::App;
use crate::error::{Error, Result};
use chrono::NaiveDate;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use zonglan_catalog::batch::{date_of, days};
use zonglan_catalog::time::to_local;
use zonglan_catalog::traits::QueryEngine;
use zonglan_catalog::{Catalogue, Filter, Label, RowKey};
use zonglan_models::deadline::{CaseResult, Context, Event, Events, LimitRow, Rule, Rules, Stream, judge};

/// Cases judged and written at a time.
const PORTION: usize = 65_536;

/// Supervision of the streams whose results go to one dataset: who reads it differs.
pub struct Deadlines {
    name: &'static str,
    label: [&'static str; 2],
    results: &'static str,
}

/// Criminal cases.
pub const CASES: Deadlines =
    Deadlines { name: "deadline", label: ["办案期限监督", "Deadline supervision"], results: "deadline_state" };

/// Administrative matters.
pub const MATTERS: Deadlines =
    Deadlines {
        name: "matter-deadline", label: ["办事期限监督", "Deadlines of matters"], results: "matter_deadline"
    };

impl Deadlines {
    fn streams(&self, catalogue: &Catalogue, rules: &Rules) -> Result<Vec<Stream>> {
        let mut streams = Stream::load(catalogue, rules)?;
        streams.retain(|s| s.results == self.results);
        Ok(streams)
    }
}

impl Model for Deadlines {
    fn name(&self) -> &'static str {
        self.name
    }

    fn label(&self) -> Label {
        Label::new(self.label[0], self.label[1])
    }

    fn inputs(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn reads(&self, catalogue: &Catalogue) -> Vec<String> {
        let streams = Rules::load(catalogue).map_err(Error::from).and_then(|rules| self.streams(catalogue, &rules));
        let all = streams.unwrap_or_default().into_iter().flat_map(|s| [s.dataset, s.parent]);
        all.collect::<BTreeSet<String>>().into_iter().collect()
    }

    fn outputs(&self) -> Vec<&'static str> {
        vec![self.results]
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
        let (mut notes, mut memories) = (Vec::new(), Vec::new());
        let kept = QueryEngine::state(&run.app.columns, self.results).version;
        for stream in self.streams(&run.catalogue, &rules)? {
            let path =
                run.app.folder("models").map_err(Error::internal)?.join(format!("deadline-{}.memory", stream.name));
            let (note, memory) = one(run, &rules, &stream, as_of, kept, &path)?;
            notes.push(note);
            memories.push((path, memory));
        }
        // All streams have written: this is the version that the next run finds.
        let kept = QueryEngine::state(&run.app.columns, self.results).version;
        for (path, mut memory) in memories {
            memory.kept = kept;
            memory.save(&path).map_err(Error::internal)?;
        }
        crate::memory::give_back();
        let year = chrono::Datelike::year(&as_of);
        if !run.catalogue.calendar().knows(year) {
            notes.push(format!("{year} 年节假日安排未录入，期满日为估算"));
        }
        run.note(notes.join("；"));
        Ok(())
    }
}

/// What became of one case.
struct Judged {
    case: u32,
    result: CaseResult,
    memory: CaseMemory,
}

fn one(
    run: &Running,
    rules: &Arc<Rules>,
    stream: &Stream,
    as_of: NaiveDate,
    kept: u64,
    path: &Path,
) -> Result<(String, Memory)> {
    let dataset = run.dataset(&stream.results)?;
    let began = Instant::now();
    run.progress(0.02, format!("{}：读取环节", stream.label.zh));
    let full = run.params().get("full").is_some_and(|f| f == true || f == "true");
    let before = Memory::load(path)
        .filter(|m| m.version == run.record.version && m.kept == kept && m.as_of <= as_of)
        .unwrap_or_default();
    // Before anything is read: what comes meanwhile is looked at again.
    let marks = run.app.columns.marks(&stream.dataset);
    let read = read(run, stream, &before, as_of, full)?;
    run.check()?;
    run.progress(0.3, format!("{}：{} 个案件", stream.label.zh, read.cases.list.len()));
    let units = units(run, stream, &read)?;
    let known = stream.rules(rules)?;
    let first = before.cases.is_empty();
    let today = days(as_of);
    let todo: Vec<u32> = (0..read.cases.list.len() as u32)
        .filter(|case| {
            let last = before.cases.get(read.name(*case));
            full || last.is_none_or(|l| l.events != read.of_case[*case as usize].hash || l.next_change <= today)
        })
        .collect();
    run.progress(0.4, format!("{}：{} 个案件需要重新判断", stream.label.zh, todo.len()));

    // Rows of cases whose result is another one, and keys of rows that hold no longer.
    let mut sheet = Sheet::new(&dataset, stream, &known);
    let mut writer = None;
    let mut told = Tell::new(run, stream, &known, as_of)?;
    let mut gone: Vec<RowKey> = Vec::new();
    let mut cases = before.cases;
    // After a run that left no memory, results may be there that hold no longer.
    let mut written = (first && QueryEngine::state(&run.app.columns, &stream.results).rows > 0).then(HashSet::new);
    let starts = starts(&read);
    for portion in todo.chunks(PORTION) {
        let judged = judge_all(run, rules, &known, (&read, &units), &starts, portion, as_of)?;
        run.check()?;
        run.count(|c| c.evaluated += judged.len() as u64);
        for one in judged {
            let name = read.name(one.case);
            let last = cases.get(name);
            if last.is_none_or(|l| l.result != one.memory.result) {
                for row in &one.result.rows {
                    sheet.push(name, row, units.of(&known[row.rule].agency, one.case), read.district(one.case), as_of);
                    told.row(row, one.case, &read, &units);
                }
                let now: HashSet<u32> = one.memory.rows.iter().copied().collect();
                for row in last.iter().flat_map(|l| l.rows.iter()).filter(|row| !now.contains(row)) {
                    let id = row_id(&stream.name, name, *row, &known);
                    told.gone(&id);
                    gone.push(sheet.key(&id));
                }
            }
            cases.insert(name.into(), one.memory);
        }
        for batch in sheet.take(false) {
            if let Some(written) = &mut written {
                written.extend(batch.keys.iter().copied());
            }
            open(run, &dataset, &mut writer)?.upsert(&batch)?;
        }
    }
    run.progress(0.9, format!("{}：写入变化的结果", stream.label.zh));
    let rows = sheet.rows();
    for batch in sheet.take(true) {
        if let Some(written) = &mut written {
            written.extend(batch.keys.iter().copied());
        }
        open(run, &dataset, &mut writer)?.upsert(&batch)?;
    }
    for name in &read.lost {
        let rows = cases.remove(name).map(|lost| lost.rows).unwrap_or_default();
        for row in &rows {
            let id = row_id(&stream.name, name, *row, &known);
            told.gone(&id);
            gone.push(RowKey::of([id.as_str()]));
        }
    }
    if let Some(written) = written {
        run.each(&dataset.name, &["stream"], Filter::True, &mut |row| {
            if row.text(0) == Some(stream.name.as_str()) && !written.contains(&RowKey(row.key())) {
                gone.push(RowKey(row.key()));
            }
        })?;
    }
    if !gone.is_empty() {
        open(run, &dataset, &mut writer)?.delete(&gone)?;
    }
    if let Some(writer) = writer {
        writer.commit()?;
    }
    let fresh = told.send()?;
    let note = format!(
        "{}：{} 个案件，读取 {} 个，判断 {} 个，变化 {rows} 项期限，预警 {fresh} 条，{:.1} 秒",
        stream.label.zh,
        cases.len(),
        read.cases.list.len(),
        todo.len(),
        began.elapsed().as_secs_f64()
    );
    Ok((note, Memory { version: run.record.version.clone(), kept, as_of, marks, cases }))
}

/// The writer of the results, opened with the first row that changes.
fn open<'a, 'b>(
    run: &'a Running,
    dataset: &Arc<zonglan_catalog::Dataset>,
    writer: &'b mut Option<super::running::Writer<'a>>,
) -> Result<&'b mut super::running::Writer<'a>> {
    Ok(match writer {
        Some(writer) => writer,
        None => writer.insert(run.writer(dataset)?),
    })
}

/// Where each case's events begin.
fn starts(read: &Read) -> Vec<u32> {
    let mut starts = vec![0u32; read.cases.list.len() + 1];
    for event in &read.events {
        starts[event.case as usize + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    starts
}

/// Judges cases on all processors.
fn judge_all(
    run: &Running,
    rules: &Rules,
    known: &[&Rule],
    (read, units): (&Read, &Units),
    starts: &[u32],
    todo: &[u32],
    as_of: NaiveDate,
) -> Result<Vec<Judged>> {
    let context = Context { rules, calendar: run.catalogue.calendar(), as_of, explain: false };
    let judge_one = |case: u32| {
        let (from, to) = (starts[case as usize] as usize, starts[case as usize + 1] as usize);
        let name = |e: &Ev| read.names.list[e.name as usize].to_string();
        let (facts, events): (Vec<&Ev>, Vec<&Ev>) = read.events[from..to].iter().partition(|e| e.day == FACT);
        let events = events.into_iter().map(|e| Event {
            name: name(e),
            date: Some(date_of(e.day)),
            to: (e.to > 0).then(|| read.recipients.list[e.to as usize].to_string()),
        });
        let facts: BTreeMap<String, bool> = facts.into_iter().map(|e| (name(e), true)).collect();
        let result = judge(known, &Events::new(events, facts), context);
        let about = read.of_case[case as usize];
        let place = [read.district(case)].into_iter().chain(known.iter().map(|r| units.of(&r.agency, case)));
        let memory = CaseMemory::new(about.hash, about.rows, &result, place);
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

/// Rule, limit and spell as one number.
pub(super) fn code(row: &LimitRow) -> u32 {
    (row.rule as u32) << 16 | (row.limit as u32 & 0xff) << 8 | (row.spell as u32).min(255)
}
