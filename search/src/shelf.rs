//! One index on disk: its reader, its writer while somebody writes, and what its commits say.

use crate::analyze::{Grams, TOKENIZER};
use crate::error::SearchError;
use crate::rules::Factors;
use crate::schema::{self, FORMAT, Slots};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tantivy::directory::MmapDirectory;
use tantivy::directory::error::LockError;
use tantivy::index::SegmentId;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, SegmentReader, TantivyError};

/// What a commit carries beside the documents: cursors live here, so that documents and the
/// position up to which they are done are written in one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payload {
    #[serde(default)]
    pub datasets: BTreeMap<String, DatasetPayload>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DatasetPayload {
    pub version: u64,
    #[serde(default)]
    pub first: Option<i64>,
    #[serde(default)]
    pub last: Option<i64>,
    /// When the last commit happened, milliseconds since 1970 UTC.
    pub at: i64,
    /// What the rows depend on beside themselves, once all are written so; see [`crate::rebuild`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<u64>,
    /// Rows are being read again from another store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebuilding: bool,
    /// Position by stream, and the version at which it was set.
    #[serde(default)]
    pub cursors: BTreeMap<String, (u64, u64)>,
}

/// Streams of finished imports whose positions are remembered per dataset; older ones are dropped,
/// for the journal of imports knows that they are done.
const STREAMS: usize = 64;

impl DatasetPayload {
    pub fn set_cursor(&mut self, stream: &str, position: u64) {
        self.cursors.insert(stream.to_string(), (position, self.version));
        while self.cursors.len() > STREAMS {
            let imports = self.cursors.iter().filter(|(name, _)| name.starts_with("import:"));
            let Some(oldest) = imports.min_by_key(|(_, (_, version))| *version).map(|(name, _)| name.clone()) else {
                return;
            };
            self.cursors.remove(&oldest);
        }
    }
}

/// How many indexes may be written at once; a writer holds threads and buffers.
#[derive(Debug)]
pub(crate) struct Permits {
    free: Mutex<usize>,
    changed: Condvar,
}

impl Permits {
    pub fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), changed: Condvar::new() }
    }

    pub fn try_take(&self) -> bool {
        let mut free = lock(&self.free);
        let taken = *free > 0;
        *free -= usize::from(taken);
        taken
    }

    pub fn give(&self) {
        *lock(&self.free) += 1;
        self.changed.notify_all();
    }

    pub fn wait(&self, timeout: Duration) {
        let free = lock(&self.free);
        if *free == 0 {
            drop(self.changed.wait_timeout(free, timeout));
        }
    }
}

/// The data behind these locks is valid between any two statements, so a poisoned lock is used.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Desk {
    writer: Option<IndexWriter>,
    /// Somebody has the writer.
    busy: bool,
    last_used: Option<Instant>,
}

/// Returns what the buffers of a closed writer leave in the allocator to the system: glibc keeps
/// freed memory of threads that are gone, which is as much again as the program needs when idle.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: declared as in malloc.h; the function takes any number, locks each arena while
        // it works on it, and releases only pages without live allocations.
        unsafe extern "C" {
            safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        malloc_trim(0);
    }
}

/// How long to wait for the lock of a writer that is ending.
const LOCK_WAIT: Duration = Duration::from_secs(3);

/// One index.
pub(crate) struct Shelf {
    pub name: String,
    pub slots: Slots,
    index: Index,
    reader: IndexReader,
    payload: RwLock<Payload>,
    desk: Mutex<Desk>,
    freed: Condvar,
    /// Factors of scores by segment and by what they come from.
    factors: Mutex<HashMap<(SegmentId, u64), Factors>>,
}

/// Segments whose factors are kept; more than are there at a time.
const KEPT_FACTORS: usize = 256;

/// The folder of an index inside the data directory.
pub(crate) fn folder(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(format!("{name}.{FORMAT}"))
}

impl Shelf {
    /// Opens the index, or makes it where `create` says so. `None`: there is none.
    pub fn open(dir: &Path, name: &str, create: bool) -> Result<Option<Self>, SearchError> {
        let path = folder(dir, name);
        let fail = SearchError::engine(name);
        if !path.join("meta.json").exists() {
            if !create {
                return Ok(None);
            }
            std::fs::create_dir_all(&path)
                .map_err(|source| SearchError::Io { path: path.display().to_string(), source })?;
        }
        let (schema, slots) = schema::schema();
        let directory = MmapDirectory::open(&path).map_err(|e| fail(e.into()))?;
        let index = if create {
            Index::open_or_create(directory, schema).map_err(&fail)?
        } else {
            Index::open(directory).map_err(&fail)?
        };
        Self::over(index, name, slots).map(Some)
    }

    /// Opens an index of an older format for reading. `None`: it lacks fields that are needed.
    pub fn open_older(path: &Path, name: &str) -> Result<Option<Self>, SearchError> {
        let fail = SearchError::engine(name);
        if !path.join("meta.json").exists() {
            return Ok(None);
        }
        let directory = MmapDirectory::open(path).map_err(|e| fail(e.into()))?;
        let index = Index::open(directory).map_err(&fail)?;
        let Some(slots) = Slots::of(&index.schema()) else { return Ok(None) };
        Self::over(index, name, slots).map(Some)
    }

    fn over(index: Index, name: &str, slots: Slots) -> Result<Self, SearchError> {
        let fail = SearchError::engine(name);
        index.tokenizers().register(TOKENIZER, Grams::default());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(16)
            .try_into()
            .map_err(&fail)?;
        let payload = match index.load_metas().map_err(&fail)?.payload {
            Some(text) => serde_json::from_str(&text)
                .map_err(|e| SearchError::Payload { index: name.to_string(), reason: e.to_string() })?,
            None => Payload::default(),
        };
        Ok(Self {
            name: name.to_string(),
            slots,
            index,
            reader,
            payload: RwLock::new(payload),
            desk: Mutex::default(),
            freed: Condvar::new(),
            factors: Mutex::default(),
        })
    }

    pub fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// The factors of every segment, made once for each. Segments do not change.
    pub fn factors(
        &self,
        searcher: &Searcher,
        key: u64,
        make: impl Fn(&SegmentReader) -> tantivy::Result<Factors>,
    ) -> Result<HashMap<SegmentId, Factors>, SearchError> {
        // What is recent changes by the day.
        let key = key ^ (chrono::Utc::now().timestamp().div_euclid(86_400) as u64) << 32;
        let mut found = HashMap::new();
        for segment in searcher.segment_readers() {
            let id = segment.segment_id();
            let known = lock(&self.factors).get(&(id, key)).cloned();
            let factors = match known {
                Some(factors) => factors,
                None => {
                    let made = make(segment).map_err(SearchError::engine(&self.name))?;
                    let mut kept = lock(&self.factors);
                    if kept.len() >= KEPT_FACTORS {
                        kept.clear();
                    }
                    kept.insert((id, key), made.clone());
                    made
                }
            };
            found.insert(id, factors);
        }
        Ok(found)
    }

    pub fn payload(&self) -> Payload {
        self.payload.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn dataset(&self, name: &str) -> Option<DatasetPayload> {
        self.payload.read().unwrap_or_else(PoisonError::into_inner).datasets.get(name).cloned()
    }

    /// Waits until nobody writes, and takes the writer; where none is open, `open` is asked for
    /// a permit first.
    pub fn take_writer(
        self: &Arc<Self>,
        threads: usize,
        memory: usize,
        permit: impl FnOnce() -> Result<(), SearchError>,
        give_back: &Permits,
    ) -> Result<IndexWriter, SearchError> {
        let mut desk = lock(&self.desk);
        while desk.busy {
            desk = self.freed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
        desk.busy = true;
        if let Some(writer) = desk.writer.take() {
            return Ok(writer);
        }
        drop(desk);
        let opened = permit().and_then(|()| {
            self.open_writer(threads, memory).map_err(SearchError::engine(&self.name)).inspect_err(|_| give_back.give())
        });
        if opened.is_err() {
            lock(&self.desk).busy = false;
            self.freed.notify_one();
        }
        opened
    }

    /// A writer that was dropped keeps the folder's lock until its threads have ended, so a
    /// folder in use is tried again for a while.
    fn open_writer(&self, threads: usize, memory: usize) -> tantivy::Result<IndexWriter> {
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match self.index.writer_with_num_threads(threads, memory) {
                Err(TantivyError::LockFailure(LockError::LockBusy, _)) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                done => return done,
            }
        }
    }

    /// Gives the writer back; `None` where it broke.
    pub fn return_writer(&self, writer: Option<IndexWriter>, permits: &Permits) {
        if writer.is_none() {
            permits.give();
        }
        let mut desk = lock(&self.desk);
        desk.writer = writer;
        desk.busy = false;
        desk.last_used = Some(Instant::now());
        drop(desk);
        self.freed.notify_one();
    }

    /// How long the open writer has not been used; `None` where none is open or it is in use.
    pub fn idle(&self) -> Option<Duration> {
        let desk = lock(&self.desk);
        desk.writer.as_ref()?;
        Some(desk.last_used.map_or(Duration::ZERO, |at| at.elapsed()))
    }

    /// Lets merges end and closes the idle writer, which frees its buffers and threads.
    pub fn close_writer(&self, permits: &Permits) {
        let Some(writer) = ({
            let mut desk = lock(&self.desk);
            let writer = desk.writer.take();
            desk.busy |= writer.is_some();
            writer
        }) else {
            return;
        };
        if let Err(error) = writer.wait_merging_threads() {
            tracing::warn!(index = self.name, %error, "merging segments failed; the index is as it was");
        }
        if let Err(error) = self.reader.reload() {
            tracing::warn!(index = self.name, %error, "cannot reload after merging");
        }
        self.return_writer(None, permits);
        give_memory_back();
    }

    /// Commits documents and payload in one step and shows them to readers.
    pub fn commit(&self, writer: &mut IndexWriter, change: impl FnOnce(&mut Payload)) -> Result<(), SearchError> {
        let fail = SearchError::engine(&self.name);
        let mut payload = self.payload();
        change(&mut payload);
        let text = serde_json::to_string(&payload)
            .map_err(|e| SearchError::Payload { index: self.name.clone(), reason: e.to_string() })?;
        let mut prepared = writer.prepare_commit().map_err(&fail)?;
        prepared.set_payload(&text);
        prepared.commit().map_err(&fail)?;
        *self.payload.write().unwrap_or_else(PoisonError::into_inner) = payload;
        self.reader.reload().map_err(&fail)
    }
}
