//! The durable journal of imports: what was loaded, from which file, how far each store has it.

use crate::error::{IngestError, Result};
use crate::mapping::Mapping;
use crate::quarantine::sync_dir;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use zonglan_catalog::traits::Committed;

/// One import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// `20260131T093000123-1f2e3d4c-0`; sorts by start.
    pub id: String,
    /// Milliseconds since 1970 UTC.
    pub started_at: i64,
    pub updated_at: i64,
    pub file_name: String,
    /// Where the spooled file lies, for a redo after a crash.
    pub file: PathBuf,
    /// blake3 of the file in hex.
    pub file_hash: String,
    pub file_bytes: u64,
    pub dataset: String,
    pub mapping: Mapping,
    pub state: BatchState,
    /// The stores that have committed it.
    pub sinks: BTreeMap<String, SinkRecord>,
    pub read: u64,
    pub loaded: u64,
    pub duplicates: u64,
    pub quarantined: u64,
    pub quarantine: Option<PathBuf>,
    pub seconds: f64,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Being loaded, or interrupted: [`crate::resume`] redoes it.
    Running,
    Done,
    Failed,
    Cancelled,
}

/// What a store's commit did. `recovered`: the commit was found after a crash that lost its counts;
/// all rows are counted as inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkRecord {
    pub committed: Committed,
    #[serde(default)]
    pub recovered: bool,
}

/// A folder with one JSON file an import; each is replaced atomically and synced.
#[derive(Debug, Clone)]
pub struct Journal {
    dir: PathBuf,
    /// Imports that run in this process.
    active: Arc<Mutex<BTreeSet<String>>>,
}

/// An import is not resumed while this lives.
pub(crate) struct Active {
    journal: Journal,
    id: String,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.journal.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Journal {
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        std::fs::create_dir_all(&dir).map_err(|e| IngestError::io(&dir, e))?;
        Ok(Self { dir, active: Arc::default() })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the quarantine file of a batch lies.
    pub fn quarantine_path(&self, id: &str) -> PathBuf {
        self.dir.join("quarantine").join(format!("{id}.csv"))
    }

    /// Every import, oldest first. A file that cannot be read is an error: the journal is ours alone.
    pub fn list(&self) -> Result<Vec<BatchRecord>> {
        let mut records = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(|e| IngestError::io(&self.dir, e))? {
            let path = entry.map_err(|e| IngestError::io(&self.dir, e))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                records.push(read(&path)?);
            }
        }
        records.sort_by(|a: &BatchRecord, b| a.id.cmp(&b.id));
        Ok(records)
    }

    pub fn get(&self, id: &str) -> Result<BatchRecord> {
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let path = self.path(id);
        if !plain || !path.is_file() {
            return Err(IngestError::NoBatch(id.to_string()));
        }
        read(&path)
    }

    /// Imports that were interrupted, oldest first.
    pub fn unfinished(&self) -> Result<Vec<BatchRecord>> {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(self.list()?.into_iter().filter(|r| r.state == BatchState::Running && !active.contains(&r.id)).collect())
    }

    /// Stores a record durably.
    pub(crate) fn put(&self, record: &BatchRecord) -> Result<()> {
        let path = self.path(&record.id);
        let part = path.with_extension("part");
        let fail = |e| IngestError::io(&part, e);
        let json = serde_json::to_vec_pretty(record).map_err(|e| IngestError::Internal(e.to_string()))?;
        let mut file = File::create(&part).map_err(fail)?;
        file.write_all(&json).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        std::fs::rename(&part, &path).map_err(fail)?;
        sync_dir(&path)
    }

    pub(crate) fn activate(&self, id: &str) -> Active {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_string());
        Active { journal: self.clone(), id: id.to_string() }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

fn read(path: &Path) -> Result<BatchRecord> {
    let text = std::fs::read(path).map_err(|e| IngestError::io(path, e))?;
    serde_json::from_slice(&text).map_err(|e| IngestError::io(path, e.into()))
}

/// A new id: time, file, and a count within the process.
pub(crate) fn new_id(now_ms: i64, file_hash: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
    format!("{}-{}-{count}", time.format("%Y%m%dT%H%M%S%3f"), file_hash.get(..8).unwrap_or("0"))
}

/// blake3 of a file in hex, and its length.
pub(crate) fn hash_file(path: &Path) -> Result<(String, u64)> {
    let mut file = File::open(path).map_err(|e| IngestError::io(path, e))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0u8; 1 << 20];
    let mut length = 0u64;
    loop {
        let n = crate::source::read_fully(&mut file, &mut buffer).map_err(|e| IngestError::io(path, e))?;
        hasher.update(&buffer[..n]);
        length += n as u64;
        if n < buffer.len() {
            return Ok((hasher.finalize().to_hex().to_string(), length));
        }
    }
}
