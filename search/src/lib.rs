//! The full-text index, its Chinese analyser and query language.
//!
//! [`Indexes`] is the sink that rows are written to, the index that searches are asked of, and
//! the resolver of text conditions for other engines.

pub mod analyze;
mod asked;
pub mod attached;
mod clause;
mod collect;
mod condition;
mod ends;
mod error;
pub mod eval;
mod highlight;
mod hit;
mod keys;
pub mod learned;
mod lexicon;
mod near;
mod plain;
mod plan;
pub mod query;
mod rebuild;
mod rules;
mod schema;
mod search;
mod shelf;
mod similar;
mod sink;
mod sound;
mod spans;
mod suggest;

pub use error::SearchError;
pub use search::Document;

use crate::rules::Knowledge;
use crate::schema::{REGISTERS, index_of};
use crate::shelf::{Permits, Shelf, lock};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use tantivy::IndexWriter;
use zonglan_catalog::Catalogue;
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::Result;
use zonglan_catalog::traits::DatasetState;

/// How much the indexes may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of buffers of a writer of imported texts; freed when it has been idle.
    pub writer_memory: usize,
    /// Threads of such a writer.
    pub writer_threads: usize,
    /// Indexes that may be open for writing at a time.
    pub writers: usize,
    /// After this time without a write a writer is closed.
    pub idle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { writer_memory: 128 << 20, writer_threads: 2, writers: 4, idle: Duration::from_secs(15) }
    }
}

/// Buffers of the writer of the registers, whose commits are small.
const REGISTER_MEMORY: usize = 20 << 20;

/// All full-text indexes of an instance. Cheap to clone.
#[derive(Clone)]
pub struct Indexes(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    dir: PathBuf,
    options: Options,
    read_only: bool,
    catalogue: RwLock<Arc<Catalogue>>,
    shelves: Mutex<HashMap<String, Arc<Shelf>>>,
    /// Indexes of older formats that answer until new ones are complete.
    older: Mutex<HashMap<String, Arc<Shelf>>>,
    permits: Permits,
    knowledge: RwLock<Arc<Knowledge>>,
    attachments: RwLock<Option<Arc<dyn attached::Attachments>>>,
    /// Counts what was known; see [`Knowledge::key`].
    known: AtomicU64,
}

impl Indexes {
    /// Opens the indexes under `dir` for reading and writing; they are made when first written to.
    pub fn open(dir: &Path, catalogue: Arc<Catalogue>, options: Options) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|source| SearchError::Io { path: dir.display().to_string(), source })?;
        let indexes = Self::new(dir, catalogue, options, false);
        let inner = Arc::downgrade(&indexes.0);
        std::thread::Builder::new()
            .name("search-idle".into())
            .spawn(move || close_idle(&inner))
            .map_err(|source| SearchError::Io { path: dir.display().to_string(), source })?;
        Ok(indexes)
    }

    /// Opens the indexes as they were last committed, beside a running program.
    pub fn read_only(dir: &Path, catalogue: Arc<Catalogue>) -> Self {
        Self::new(dir, catalogue, Options::default(), true)
    }

    fn new(dir: &Path, catalogue: Arc<Catalogue>, options: Options, read_only: bool) -> Self {
        let indexes = Self(Arc::new(Inner {
            dir: dir.to_path_buf(),
            knowledge: RwLock::default(),
            attachments: RwLock::default(),
            known: AtomicU64::new(0),
            read_only,
            catalogue: RwLock::new(catalogue),
            shelves: Mutex::default(),
            older: Mutex::new(rebuild::open_older(dir)),
            permits: Permits::new(options.writers.max(1)),
            options,
        }));
        indexes.0.learn();
        indexes
    }

    /// Takes labels of codes from a newer catalogue from now on.
    pub fn set_catalogue(&self, catalogue: Arc<Catalogue>) {
        *self.0.catalogue.write().unwrap_or_else(PoisonError::into_inner) = catalogue;
        self.0.learn();
    }

    /// Waits for merges and closes all writers that nobody uses; for an orderly end.
    pub fn close(&self) {
        for shelf in self.0.open_shelves() {
            shelf.close_writer(&self.0.permits);
        }
    }

    pub(crate) fn state_of(&self, dataset: &str) -> DatasetState {
        let catalogue = self.0.catalogue();
        let Some(dataset) = catalogue.dataset(dataset) else { return DatasetState::default() };
        let Ok(Some(shelf)) = self.0.serving(dataset) else { return DatasetState::default() };
        let Some(payload) = shelf.dataset(&dataset.name) else { return DatasetState::default() };
        DatasetState {
            version: payload.version,
            rows: sink::row_count(&shelf, &dataset.name),
            first_event: payload.first,
            watermark: payload.last,
            loaded_at: Some(payload.at),
        }
    }
}

impl Inner {
    /// Reads rules, synonyms and what was learned; where they are wrong, what is known stays in force.
    pub fn learn(&self) {
        let key = self.known.fetch_add(1, Ordering::Relaxed) + 1;
        match Knowledge::of(&self.catalogue(), &self.dir, key) {
            Ok(knowledge) => {
                *self.knowledge.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(knowledge);
            }
            Err(error) => tracing::error!(%error, "search rules are not taken; those before stay"),
        }
    }

    pub fn knowledge(&self) -> Arc<Knowledge> {
        self.knowledge.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn attachments(&self) -> Option<Arc<dyn attached::Attachments>> {
        self.attachments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The index of a dataset. `None`: it was never written and `create` is not set.
    pub fn shelf(&self, dataset: &Dataset, create: bool) -> Result<Option<Arc<Shelf>>, SearchError> {
        let name = index_of(dataset);
        let mut shelves = lock(&self.shelves);
        if let Some(shelf) = shelves.get(name) {
            return Ok(Some(shelf.clone()));
        }
        let Some(shelf) = Shelf::open(&self.dir, name, create && !self.read_only)? else { return Ok(None) };
        let shelf = Arc::new(shelf);
        shelves.insert(name.to_string(), shelf.clone());
        Ok(Some(shelf))
    }

    fn open_shelves(&self) -> Vec<Arc<Shelf>> {
        lock(&self.shelves).values().cloned().collect()
    }

    /// The writer of an index; waits while another transaction has it. Where too many are open,
    /// the one unused for the longest is closed.
    pub fn writer(&self, shelf: &Arc<Shelf>) -> Result<IndexWriter, SearchError> {
        let (threads, memory) = match shelf.name.as_str() {
            REGISTERS => (1, REGISTER_MEMORY),
            _ => (self.options.writer_threads.max(1), self.options.writer_memory),
        };
        // tantivy refuses less than 15 MB a thread.
        let memory = memory.max(threads * (16 << 20));
        shelf.take_writer(threads, memory, || self.permit(), &self.permits)
    }

    fn permit(&self) -> Result<(), SearchError> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if self.permits.try_take() {
                return Ok(());
            }
            let idle =
                self.open_shelves().into_iter().filter_map(|s| Some((s.idle()?, s))).max_by_key(|(idle, _)| *idle);
            match idle {
                Some((_, shelf)) => shelf.close_writer(&self.permits),
                None => self.permits.wait(Duration::from_millis(200)),
            }
        }
        Err(SearchError::Busy)
    }
}

/// Closes writers that have been idle, until the indexes are dropped.
fn close_idle(inner: &Weak<Inner>) {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let Some(inner) = inner.upgrade() else { return };
        for shelf in inner.open_shelves() {
            if shelf.idle().is_some_and(|idle| idle >= inner.options.idle) {
                shelf.close_writer(&inner.permits);
            }
        }
    }
}
