//! The records side of the program: records with their change log, audit stream, identity, jobs,
//! notices and blobs, in one data directory that one process writes.
//!
//! ```text
//! data/lock                address of the process that holds the directory
//! data/records.db          SQLite: registers, change log, audit stream, users, jobs, notices
//! data/keys/               keys of MACs, signatures and sealed fields, 0600; back them up apart from the rest
//! data/checkpoints/*.jsonl signed heads of the sealed streams, a file a day
//! data/blobs/              attachments and result files by content hash
//! ```

mod access;
mod blobs;
mod bulk;
mod chain;
mod checkpoints;
mod checks;
mod credentials;
pub mod crypto;
mod db;
mod delegations;
mod drafts;
mod due;
mod edit;
mod error;
mod file_texts;
mod files;
mod flow;
mod grants;
mod handover;
mod identity;
mod jobs;
mod list;
mod lock;
mod log;
mod notices;
mod numbering;
mod passwords;
mod protect;
mod records;
mod rewind;
mod rules;
mod runs;
mod searches;
mod signatures;
mod tables;
mod task_rows;
mod task_steps;
mod tasks;
mod txn;
mod users;
mod values;
mod vault;
mod verify;
mod views;
mod writes;

#[cfg(test)]
mod tests;

pub use blobs::DiskBlobs;
pub use bulk::Loaded;
pub use chain::{AuditEntry, ChangeEntry, Head, Heads, Stream};
pub use checkpoints::Checkpoint;
pub use credentials::{ApiToken, Bearer, NewSession, Session, TokenInfo};
pub use crypto::{CryptoProvider, SoftCrypto, StreamHash, hex, sm3_of, unhex, verify_signature};
pub use db::{Db, snapshot};
pub use delegations::Delegation;
pub use drafts::Draft;
pub use edit::ActionInput;
pub use error::{StoreError, conflict_version};
pub use file_texts::{FileText, FileTexts, OpenFile};
pub use files::{FileInfo, NewFile, sniff};
pub use flow::Offered;
pub use grants::{GrantRequest, GrantScope, Grants, MOST_DAYS, NewRequest};
pub use handover::HandedOver;
pub use identity::{Identity, IdentityOptions, NewUser, UserInfo, UserPatch, random_password};
pub use jobs::{Job, JobContext, JobHandler, JobState, Jobs};
pub use list::{COUNT_LIMIT, ListRequest, PAGE_LIMIT, RecordPage, StateFilter, Total};
pub use lock::DataLock;
pub use log::{AuditEvent, AuditRow, ChangeLog};
pub use notices::{NoticeRow, Notices};
pub use records::{FieldChange, HistoryEntry, Record, RecordStore};
pub use rewind::Rewound;
pub use rules::matches;
pub use runs::{NewRun, NewWarning, Run, RunCounts, RunState, Runs, Schedule, Warning, WarningState, task_key};
pub use searches::{Confirmation, Look, SavedSearch, Searches};
pub use signatures::{ExportedFile, SignedKind, Statement, export_statement, sign_export};
pub use tables::is_kept;
pub use task_steps::Step;
pub use tasks::{NewTask, StepInput, TASKS, Task, TaskCounts, TaskFilter, TaskView, Tasks};
pub use txn::Txn;
pub use values::{Fields, STATE_FIELD, State, read_instant};
pub use verify::{OtherCheck, RegisterReport, StreamReport, VerifyReport, verify};
pub use views::{SavedView, Views};

use checkpoints::Checkpointer;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::Result;
use zonglan_catalog::load::Catalogue;
use zonglan_catalog::traits::{Clock, SystemClock};

pub(crate) const DATABASE: &str = "records.db";
pub(crate) const KEYS: &str = "keys";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
const BLOBS: &str = "blobs";

/// The catalogue in force, shared by the parts; a new one takes its place whole.
#[derive(Debug, Clone)]
pub(crate) struct CatalogueCell(Arc<RwLock<Arc<Catalogue>>>);

impl CatalogueCell {
    fn new(catalogue: Arc<Catalogue>) -> Self {
        Self(Arc::new(RwLock::new(catalogue)))
    }

    pub fn get(&self) -> Arc<Catalogue> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set(&self, catalogue: Arc<Catalogue>) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = catalogue;
    }
}

/// How to open the stores.
#[derive(Clone)]
pub struct StoreOptions {
    /// What the lock file says: the server's address, or a command's name.
    pub address: String,
    pub clock: Arc<dyn Clock>,
    pub identity: IdentityOptions,
    /// Jobs that run at once.
    pub job_slots: usize,
    /// A cryptographic device; `None` computes in software with the keys of the data directory.
    pub crypto: Option<Arc<dyn CryptoProvider>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            address: "zonglan".into(),
            clock: Arc::new(SystemClock),
            identity: IdentityOptions::default(),
            job_slots: 2,
            crypto: None,
        }
    }
}

/// The cryptography of the store, for signing what leaves the program.
#[derive(Clone)]
pub struct Signer(pub Arc<dyn CryptoProvider>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// All stores of a data directory. Clones share everything. The lock is freed when the writer has
/// ended: after [`Store::close`], or some time after the last clone is gone.
#[derive(Debug, Clone)]
pub struct Store {
    pub db: Db,
    pub records: RecordStore,
    pub log: ChangeLog,
    pub identity: Identity,
    pub jobs: Jobs,
    pub notices: Notices,
    pub tasks: Tasks,
    pub grants: Grants,
    pub searches: Searches,
    pub views: Views,
    pub runs: Runs,
    pub blobs: DiskBlobs,
    pub crypto: Signer,
    /// Records whose personal fields were sealed anew when the store was opened.
    pub protected: u64,
    catalogue: CatalogueCell,
    dir: Arc<PathBuf>,
    lock: Arc<Mutex<DataLock>>,
}

impl Store {
    /// Locks the directory, applies migrations, makes the registers' tables and starts the writer.
    pub async fn open(dir: &Path, catalogue: Arc<Catalogue>, options: StoreOptions) -> Result<Self> {
        let lock = DataLock::acquire(dir, &options.address)?;
        let database = dir.join(DATABASE);
        let crypto: Arc<dyn CryptoProvider> = match options.crypto {
            Some(device) => device,
            None => Arc::new(SoftCrypto::load_or_create(&dir.join(KEYS), !database.exists())?),
        };
        let clock = options.clock;
        let lock = Arc::new(Mutex::new(lock));
        let db = Db::open(&database, crypto.clone(), clock.clone(), lock.clone()).await?;
        let cell = CatalogueCell::new(catalogue.clone());
        let checkpoints = Checkpointer::new(dir.join(CHECKPOINTS), db.heads(), crypto.clone(), clock.clone())?;
        checkpoints.spawn();
        let log = ChangeLog::new(db.clone(), checkpoints, clock.clone(), cell.clone());
        let blobs = DiskBlobs::open(&dir.join(BLOBS))?;
        let records = RecordStore {
            db: db.clone(),
            log: log.clone(),
            catalogue: cell.clone(),
            clock: clock.clone(),
            blobs: blobs.clone(),
            files_changed: tokio::sync::watch::Sender::new(0),
        };
        let identity = Identity::open(db.clone(), clock.clone(), options.identity).await?;
        let notices = Notices::new(db.clone(), clock.clone());
        let mut store = Self {
            protected: 0,
            grants: Grants::new(db.clone(), identity.clone(), clock.clone()),
            searches: Searches::new(db.clone(), clock.clone()),
            views: Views::new(db.clone(), clock.clone()),
            tasks: Tasks {
                db: db.clone(),
                catalogue: cell.clone(),
                clock: clock.clone(),
                identity: identity.clone(),
                notices: notices.clone(),
                records: records.clone(),
            },
            jobs: Jobs::new(db.clone(), clock.clone(), options.job_slots),
            records,
            identity,
            notices,
            runs: Runs::new(db.clone(), clock),
            blobs,
            crypto: Signer(crypto),
            catalogue: cell,
            dir: Arc::new(dir.to_path_buf()),
            lock,
            log,
            db,
        };
        store.protected = store.put_catalogue(catalogue).await?;
        Ok(store)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The catalogue in force.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.get()
    }

    /// Puts another catalogue in force; tables and columns that it asks for are added first.
    pub async fn set_catalogue(&self, catalogue: Arc<Catalogue>) -> Result<()> {
        self.put_catalogue(catalogue).await.map(|_| ())
    }

    /// Returns how many records had to be sealed.
    async fn put_catalogue(&self, catalogue: Arc<Catalogue>) -> Result<u64> {
        let registers: Vec<Arc<Dataset>> = catalogue.datasets().filter(|d| is_kept(d)).cloned().collect();
        let tables = registers.clone();
        self.db.write(move |txn| Box::pin(async move { tables::ensure(txn, &tables).await })).await?;
        self.catalogue.set(catalogue);
        let protected = protect::protect(&self.db, &registers).await?;
        if protected > 0 {
            tracing::info!(records = protected, "personal fields were sealed");
        }
        Ok(protected)
    }

    /// Tells the lock file where the server listens.
    pub fn set_address(&self, address: &str) -> Result<()> {
        self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner).set_address(address)
    }

    /// Writes and seals what is queued, signs the heads and closes the files.
    pub async fn close(&self) {
        self.jobs.cancel_all();
        self.log.flush_audit().await;
        self.db.close().await;
        if let Err(error) = self.log.checkpoint().await {
            tracing::error!(%error, "the last checkpoint was not written");
        }
    }
}
