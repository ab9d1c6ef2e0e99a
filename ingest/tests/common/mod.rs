//! A store in memory, and a small catalogue.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use zonglan_catalog::load::SourceFile;
use zonglan_catalog::traits::{Cancel, Committed, Cursor, RowSink, SinkTxn};
use zonglan_catalog::{Batch, Catalogue, Dataset, Error, ErrorClass, Result, RowKey, Value};
use zonglan_ingest::{ImportOptions, ImportReport, ImportRequest, Journal, Mapping, import};

pub type Rows = BTreeMap<RowKey, Vec<Value>>;

#[derive(Default)]
pub struct State {
    pub rows: HashMap<String, Rows>,
    pub cursors: HashMap<(String, String), u64>,
    pub commits: u64,
}

pub struct Memory {
    name: &'static str,
    pub state: Arc<Mutex<State>>,
    /// The next commit fails.
    pub fail_commit: Arc<AtomicBool>,
}

impl Memory {
    pub fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, state: Arc::default(), fail_commit: Arc::default() })
    }

    pub fn rows(&self, dataset: &str) -> Rows {
        self.state.lock().expect("lock").rows.get(dataset).cloned().unwrap_or_default()
    }

    pub fn count(&self, dataset: &str) -> usize {
        self.state.lock().expect("lock").rows.get(dataset).map_or(0, Rows::len)
    }

    /// Rows as texts, in the order of the first column.
    pub fn texts(&self, dataset: &str) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> =
            self.rows(dataset).values().map(|r| r.iter().map(Value::to_text).collect()).collect();
        rows.sort();
        rows
    }
}

struct Txn {
    state: Arc<Mutex<State>>,
    dataset: Arc<Dataset>,
    changed: BTreeMap<RowKey, Option<Vec<Value>>>,
    fail: Arc<AtomicBool>,
}

impl RowSink for Memory {
    fn name(&self) -> &'static str {
        self.name
    }

    fn accepts(&self, _: &Dataset) -> bool {
        true
    }

    fn cursor(&self, dataset: &Dataset, stream: &str) -> Result<Option<u64>> {
        let state = self.state.lock().expect("lock");
        Ok(state.cursors.get(&(dataset.name.clone(), stream.to_string())).copied())
    }

    fn begin(&self, dataset: &Arc<Dataset>) -> Result<Box<dyn SinkTxn>> {
        Ok(Box::new(Txn {
            state: self.state.clone(),
            dataset: dataset.clone(),
            changed: BTreeMap::new(),
            fail: self.fail_commit.clone(),
        }))
    }
}

impl SinkTxn for Txn {
    fn upsert(&mut self, batch: &Batch) -> Result<()> {
        assert!(batch.columns.iter().all(|c| c.len() == batch.len()), "columns of one length");
        for row in 0..batch.len() {
            let values = (0..batch.columns.len()).map(|c| batch.value(&self.dataset, c, row)).collect();
            self.changed.insert(batch.keys[row], Some(values));
        }
        Ok(())
    }

    fn delete(&mut self, keys: &[RowKey]) -> Result<()> {
        self.changed.extend(keys.iter().map(|k| (*k, None)));
        Ok(())
    }

    fn commit(self: Box<Self>, cursor: Option<&Cursor>) -> Result<Committed> {
        if self.fail.swap(false, Ordering::Relaxed) {
            return Err(Error::new(ErrorClass::Unavailable, "test.full", "disk full"));
        }
        let mut state = self.state.lock().expect("lock");
        let rows = state.rows.entry(self.dataset.name.clone()).or_default();
        let mut done = Committed::default();
        for (key, values) in self.changed {
            let before = rows.get(&key);
            match values {
                Some(values) if before == Some(&values) => done.unchanged += 1,
                Some(values) => {
                    if before.is_some() {
                        done.updated += 1
                    } else {
                        done.inserted += 1
                    }
                    rows.insert(key, values);
                }
                None => done.deleted += u64::from(rows.remove(&key).is_some()),
            }
        }
        state.commits += 1;
        done.version = state.commits;
        if let Some(cursor) = cursor {
            state.cursors.insert((self.dataset.name.clone(), cursor.stream.clone()), cursor.position);
        }
        Ok(done)
    }
}

pub const EVENT: &str = r#"
name = "event"
label = { zh = "事件", en = "Event" }
source = "import"
owner = "t"
shared = true
key = ["id"]
time = "at"
place = "location"
region = "district"
field = [
  { name = "id", label = { zh = "编号", en = "No" }, type = "text" },
  { name = "at", label = { zh = "时间", en = "Time" }, type = "instant", required = true },
  { name = "kind", label = { zh = "类别", en = "Kind" }, type = "code", codes = "kind" },
  { name = "amount", label = { zh = "金额", en = "Amount" }, type = "decimal", scale = 2, min = 0.0, max = 1000000.0 },
  { name = "count", label = { zh = "数量", en = "Count" }, type = "int" },
  { name = "open", label = { zh = "未结", en = "Open" }, type = "bool" },
  { name = "location", label = { zh = "位置", en = "Location" }, type = "point" },
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district" },
  { name = "note", label = { zh = "说明", en = "Note" }, type = "text", max_length = 20 },
]
"#;

const KINDS: &str = r#"
name = "kind"
label = { zh = "类别", en = "Kind" }
basis = "test"
item = [
  { code = "theft", zh = "盗窃", en = "Theft", alias = ["偷窃"] },
  { code = "fire", zh = "火灾", en = "Fire" },
  { code = "old", zh = "旧类", en = "Old", replaced_by = "fire" },
]
"#;

const REGIONS: &str = r#"
name = "region"
label = { zh = "区划", en = "Region" }
basis = "test"
item = [
  { code = "310101", zh = "黄浦区", en = "Huangpu" },
  { code = "310115", zh = "浦东新区", en = "Pudong" },
]
"#;

pub fn catalogue(datasets: &[&str]) -> Catalogue {
    let file = |path: &str, text: &str| SourceFile { path: path.to_string(), text: text.to_string() };
    let mut files = vec![file("t/codes/kind.toml", KINDS), file("t/codes/region.toml", REGIONS)];
    files.extend(datasets.iter().map(|d| file("t/datasets/d.toml", d)));
    Catalogue::parse(&files).expect("catalogue")
}

/// Everything an import needs, in a folder of its own.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub catalogue: Catalogue,
    pub journal: Journal,
    pub sinks: Vec<Arc<Memory>>,
}

impl Bench {
    pub fn new(catalogue: Catalogue) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let journal = Journal::open(dir.path().join("journal")).expect("journal");
        Self { dir, catalogue, journal, sinks: vec![Memory::new("columns"), Memory::new("index")] }
    }

    pub fn dyn_sinks(&self) -> Vec<Arc<dyn RowSink>> {
        self.sinks.iter().map(|s| s.clone() as Arc<dyn RowSink>).collect()
    }

    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("write");
        path
    }

    pub fn load(&self, path: &Path, dataset: &str, mapping: Option<Mapping>) -> zonglan_ingest::Result<ImportReport> {
        let dataset = self.catalogue.dataset(dataset).expect("dataset").clone();
        let report = import(ImportRequest {
            file: path,
            file_name: &path.file_name().expect("name").to_string_lossy(),
            mapping: mapping.unwrap_or_else(|| Mapping::identity(&dataset)),
            dataset,
            catalogue: &self.catalogue,
            journal: &self.journal,
            sinks: &self.dyn_sinks(),
            progress: &|_| {},
            cancel: &Cancel::default(),
            options: ImportOptions::default(),
        })?;
        assert_eq!(report.read, report.loaded + report.duplicates + report.quarantined, "reconciles");
        Ok(report)
    }
}
