//! The store: a folder a dataset, one cache of columns, and the doors for rows and queries.

use crate::cache::ColumnCache;
use crate::clickhouse::ddl::Step;
use crate::clickhouse::{Remote, RemoteTxn, Server};
use crate::column::Column;
use crate::compact;
use crate::error::{OlapError, Result};
use crate::hash;
use crate::rollup::{self, Keeper};
use crate::segment::Segment;
use crate::table::{Snapshot, Table};
use crate::txn::Txn;
use chrono::NaiveDate;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use zonglan_catalog::dataset::{Dataset, Field};
use zonglan_catalog::error::Error;
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::traits::{Changes, Cursor, DatasetState, RowSink, SinkTxn, TextResolver};

/// How a store uses the machine.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of decoded columns kept in memory.
    pub memory_budget: usize,
    /// Threads that scan.
    pub threads: usize,
    /// Whether declared rollups are kept and used.
    pub rollups: bool,
    /// Datasets with fewer rows are read row by row: that is as fast.
    pub rollup_min_rows: u64,
    /// Rows lie on a ClickHouse server instead of in the data directory.
    pub server: Option<Server>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_budget: 512 << 20,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            rollups: true,
            rollup_min_rows: 50_000,
            server: None,
        }
    }
}

/// The embedded columnar store: takes rows ([`RowSink`]) and answers logical queries
/// ([`zonglan_catalog::traits::QueryEngine`]). Clones share everything.
///
/// Under `<dir>/columns/<dataset>/` lie immutable Parquet segments with a sidecar each and a
/// manifest that is replaced atomically: a commit is durable and visible with one rename.
/// Codes of text columns are numbers in Parquet; their texts are in the sidecar.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    root: PathBuf,
    read_only: bool,
    tables: RwLock<BTreeMap<String, Arc<Table>>>,
    catalogue: RwLock<Arc<Catalogue>>,
    resolver: OnceLock<Arc<dyn TextResolver>>,
    pub cache: ColumnCache,
    pub pool: rayon::ThreadPool,
    pub threads: usize,
    pub options: Options,
    pub keeper: Keeper,
    /// The server that has the rows, where they do not lie here.
    pub remote: Option<Remote>,
    /// Figures about people, as they were when first asked for on a day.
    today: Mutex<BTreeMap<String, (NaiveDate, Arc<Snapshot>)>>,
}

impl Store {
    /// Opens the store of a data directory for writing and reading; makes it where there is
    /// none. Only one writer may have a directory open (the program's lock file sees to it).
    pub fn open(dir: &Path, options: Options, catalogue: Arc<Catalogue>) -> Result<Self> {
        Self::open_with(dir, &options, catalogue, false)
    }

    /// Opens the last committed state for reading, also while a server writes beside it. Later
    /// commits are not seen.
    pub fn read_only(dir: &Path, options: Options, catalogue: Arc<Catalogue>) -> Result<Self> {
        Self::open_with(dir, &options, catalogue, true)
    }

    fn open_with(dir: &Path, options: &Options, catalogue: Arc<Catalogue>, read_only: bool) -> Result<Self> {
        let root = dir.join("columns");
        if !read_only && options.server.is_none() {
            std::fs::create_dir_all(&root).map_err(OlapError::io(&root))?;
        }
        let mut tables = BTreeMap::new();
        if root.is_dir() && options.server.is_none() {
            for entry in std::fs::read_dir(&root).map_err(OlapError::io(&root))? {
                let entry = entry.map_err(OlapError::io(&root))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.path().is_dir() {
                    tables.insert(name.clone(), Arc::new(Table::open(&entry.path(), &name, read_only)?));
                }
            }
        }
        let threads = options.threads.max(1);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("olap-{i}"))
            .build()
            .map_err(|e| OlapError::Internal(e.to_string()))?;
        let store = Self(Arc::new(Inner {
            root,
            read_only,
            tables: RwLock::new(tables),
            catalogue: RwLock::new(catalogue),
            resolver: OnceLock::new(),
            cache: ColumnCache::new(options.memory_budget),
            pool,
            threads,
            options: options.clone(),
            keeper: Keeper::default(),
            remote: options.server.clone().map(Remote::new),
            today: Mutex::default(),
        }));
        for (dataset, _) in store.0.all_tables() {
            rollup::after_commit(&store.0, &dataset);
        }
        Ok(store)
    }

    /// Who answers text conditions; without it they are refused. The first one set stays.
    pub fn set_text_resolver(&self, resolver: Arc<dyn TextResolver>) {
        // A second resolver would be the same index.
        let _ = self.0.resolver.set(resolver);
    }

    /// Takes over an edited catalogue. Segments stay as they are: fields that joined read as null.
    pub fn set_catalogue(&self, catalogue: Arc<Catalogue>) {
        *self.0.catalogue.write().unwrap_or_else(PoisonError::into_inner) = catalogue;
        for (dataset, _) in self.0.all_tables() {
            rollup::after_commit(&self.0, &dataset);
        }
    }

    /// Number of rows, and a hash of all keys and contents that does not depend on their order.
    ///
    /// # Errors
    /// On a ClickHouse server, which is read back, when it cannot be asked.
    pub fn checksum(&self, dataset: &str) -> zonglan_catalog::Result<(u64, String)> {
        let (mut rows, mut sum) = (0, 0u128);
        if let Some(remote) = &self.0.remote {
            let catalogue = self.0.catalogue();
            if let Some(definition) = catalogue.dataset(dataset) {
                (rows, sum) = remote.checksum(definition)?;
            }
        } else if let Some(snapshot) = self.0.snapshot(dataset) {
            for view in &snapshot.views {
                for (row, key, content) in view.segment.sidecar.iter() {
                    if view.is_live(row as usize) {
                        rows += 1;
                        sum = sum.wrapping_add(hash::row(key, content));
                    }
                }
            }
        }
        Ok((rows, format!("{sum:032x}")))
    }

    /// Merges segments and drops deleted rows now, in this thread.
    pub fn compact(&self, dataset: &str) -> Result<()> {
        if self.0.read_only {
            return Err(OlapError::ReadOnly);
        }
        let definition = self
            .0
            .catalogue()
            .dataset(dataset)
            .cloned()
            .ok_or_else(|| OlapError::Query(format!("no dataset '{dataset}'")))?;
        if let Some(remote) = &self.0.remote {
            return remote.compact(&definition);
        }
        if let Some(table) = self.0.table(dataset) {
            compact::run(&table, &definition, true)?;
            self.0.forget_dead();
        }
        Ok(())
    }

    /// What the tables on the ClickHouse server lack for the catalogue; `None` without a server.
    /// Tables that are missing are made, and fields that joined added, when rows come; a field
    /// with another type is refused until somebody loads the dataset anew.
    pub fn server_plan(&self) -> Result<Option<Vec<Step>>> {
        let Some(remote) = &self.0.remote else { return Ok(None) };
        let catalogue = self.0.catalogue();
        remote.plan(catalogue.datasets().map(|d| &**d)).map(Some)
    }

    /// Lets figures about people follow the rows before the day is over: after a correction that
    /// must not wait.
    pub fn refresh_people(&self) {
        if let Some(remote) = &self.0.remote {
            remote.refresh_people();
        }
        self.0.today.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Segments of a dataset, and bytes on disk.
    pub fn segments(&self, dataset: &str) -> (usize, u64) {
        self.0.snapshot(dataset).map_or((0, 0), |s| (s.views.len(), s.views.iter().map(|v| v.segment.meta.bytes).sum()))
    }

    /// Bytes of decoded columns in memory.
    pub fn cached_bytes(&self) -> usize {
        self.0.cache.bytes()
    }

    /// What the store holds of a dataset.
    pub fn state(&self, dataset: &str) -> DatasetState {
        if let Some(remote) = &self.0.remote {
            return remote.state(dataset);
        }
        self.0.snapshot(dataset).map(|s| s.state.clone()).unwrap_or_default()
    }
}

impl Inner {
    /// The engine's name in answers.
    pub fn engine(&self) -> &'static str {
        if self.remote.is_some() { "clickhouse" } else { "embedded" }
    }

    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// Where rollups are kept between runs.
    pub fn rollup_root(&self) -> PathBuf {
        self.root.with_file_name("rollups")
    }

    /// A dataset about people as of the first question of the day that found rows: figures that
    /// follow every write would tell who was written. (Asia/Shanghai; a restart looks again.)
    pub fn of_today(&self, dataset: &str, now: Arc<Snapshot>) -> Arc<Snapshot> {
        let date = zonglan_catalog::time::to_local(chrono::Utc::now().timestamp_millis()).date();
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        match today.get(dataset) {
            Some((day, kept)) if *day == date && kept.state.rows > 0 => kept.clone(),
            _ => {
                today.insert(dataset.to_string(), (date, now.clone()));
                now
            }
        }
    }

    pub fn all_tables(&self) -> Vec<(String, Arc<Table>)> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.iter().map(|(name, table)| (name.clone(), table.clone())).collect()
    }

    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn resolver(&self) -> Option<&Arc<dyn TextResolver>> {
        self.resolver.get()
    }

    pub fn table(&self, dataset: &str) -> Option<Arc<Table>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).get(dataset).cloned()
    }

    pub fn snapshot(&self, dataset: &str) -> Option<Arc<Snapshot>> {
        self.table(dataset).map(|t| t.snapshot())
    }

    pub fn table_or_new(&self, dataset: &str) -> Result<Arc<Table>> {
        if self.read_only {
            return Err(OlapError::ReadOnly);
        }
        if let Some(table) = self.table(dataset) {
            return Ok(table);
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(dataset) {
            return Ok(table.clone());
        }
        let folder = self.root.join(dataset);
        std::fs::create_dir_all(&folder).map_err(OlapError::io(&folder))?;
        crate::manifest::sync_folder(&self.root)?;
        let table = Arc::new(Table::open(&folder, dataset, false)?);
        tables.insert(dataset.to_string(), table.clone());
        Ok(table)
    }

    /// A column of a segment through the cache. Long texts are read and not kept.
    pub fn column(&self, segment: &Segment, field: &Field) -> Result<Arc<Column>> {
        let Some(place) = segment.place(&field.name, field.kind) else { return Ok(Arc::new(Column::Missing)) };
        if let Some(column) = segment.held(place) {
            return Ok(column.clone());
        }
        if field.search == zonglan_catalog::dataset::SearchMode::Zh {
            return Ok(Arc::new(segment.column(place, field.scale)?));
        }
        self.cache.get((segment.uid, place as u32, field.scale), || segment.column(place, field.scale))
    }

    /// Lets go of cached columns of segments that are gone.
    pub fn forget_dead(&self) {
        let tables: Vec<Arc<Table>> =
            self.tables.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let live: HashSet<u64> =
            tables.iter().flat_map(|t| t.snapshot().views.iter().map(|v| v.segment.uid).collect::<Vec<_>>()).collect();
        self.cache.retain(|uid| live.contains(&uid));
    }
}

impl RowSink for Store {
    fn name(&self) -> &'static str {
        "columns"
    }

    fn accepts(&self, _dataset: &Dataset) -> bool {
        true
    }

    fn cursor(&self, dataset: &Dataset, stream: &str) -> Result<Option<u64>, Error> {
        if let Some(remote) = &self.0.remote {
            return Ok(remote.cursor(&dataset.name, stream)?);
        }
        Ok(self.0.snapshot(&dataset.name).and_then(|s| s.manifest.cursors.get(stream).copied()))
    }

    /// Waits while another transaction on the dataset is open.
    fn begin(&self, dataset: &Arc<Dataset>) -> Result<Box<dyn SinkTxn>, Error> {
        if self.0.remote.is_some() {
            if self.0.read_only {
                return Err(OlapError::ReadOnly.into());
            }
            return Ok(Box::new(RemoteTxn::begin(self.0.clone(), dataset)?));
        }
        Ok(Box::new(Txn::begin(self.0.clone(), dataset)?))
    }

    /// Datasets have manifests of their own; their commits, which mostly wait for the disk, overlap.
    fn apply_all(&self, work: Vec<Changes>, cursor: &Cursor) -> Result<(), Error> {
        if work.len() < 2 {
            return work.iter().try_for_each(|changes| changes.apply(self, cursor));
        }
        let next = AtomicUsize::new(0);
        let worker = || -> Result<(), Error> {
            while let Some(changes) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                changes.apply(self, cursor)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..COMMITTERS.min(work.len())).map(|_| scope.spawn(worker)).collect();
            let ended = workers
                .into_iter()
                .map(|w| w.join().unwrap_or_else(|_| Err(Error::internal("a thread that writes columns panicked"))));
            // All are waited for; the first failure is told.
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }
}

/// Threads that commit several datasets at once.
const COMMITTERS: usize = 4;
