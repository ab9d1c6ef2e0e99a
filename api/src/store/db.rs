//! SQLite: migrations, a pool of readers, and one writer that commits in groups.
//!
//! Whatever waits while a commit is being flushed joins the next transaction, so the number of
//! flushes a second does not bound the number of writes. A reply is sent only after the commit,
//! which is on disk when it returns (WAL, synchronous=FULL).

use super::chain::Heads;
use super::crypto::CryptoProvider;
use super::error::{StoreError, db};
use super::lock::DataLock;
use super::txn::Txn;
use super::vault::Vault;
use futures_util::future::BoxFuture;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, SqlitePool};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use zonglan_catalog::error::{Error, Result};
use zonglan_catalog::traits::Clock;

/// Writes that one transaction takes at most.
const GROUP: usize = 256;
/// The longest that one transaction goes on taking waiting writes.
const GROUP_TIME: Duration = Duration::from_millis(20);
/// Blocks are sealed at most this often.
const SEAL_EVERY: Duration = Duration::from_millis(100);
/// Writes that may wait for the writer; more wait at their callers.
const QUEUE: usize = 4_096;

/// Migrations in order. Never change one that was released: its checksum is in every database.
fn migrator() -> Migrator {
    let list = [
        (1, "foundation", include_str!("../../migrations/0001_foundation.sql")),
        (2, "work", include_str!("../../migrations/0002_work.sql")),
        (20, "model_runs", include_str!("../../migrations/0020_model_runs.sql")),
        (40, "cases", include_str!("../../migrations/0040_cases.sql")),
        (41, "file_texts", include_str!("../../migrations/0041_file_texts.sql")),
        (60, "views", include_str!("../../migrations/0060_views.sql")),
        (8, "geo", include_str!("../../migrations/0008_geo.sql")),
        (50, "protection", include_str!("../../migrations/0050_protection.sql")),
        (51, "signatures", include_str!("../../migrations/0051_signatures.sql")),
    ];
    let migrations: Vec<_> = list
        .into_iter()
        .map(|(version, name, sql)| Migration::new(version, name.into(), MigrationType::Simple, sql.into(), false))
        .collect();
    Migrator { migrations: migrations.into(), ..Migrator::DEFAULT }
}

/// What is left to do with a write once its group is committed or not.
type Reply = Box<dyn FnOnce(Result<(), &str>) + Send>;

struct Outcome {
    /// Whether the write's statements stay in the transaction.
    keep: bool,
    /// The database failed: SQLite may have rolled everything back by itself, so the group ends.
    broken: Option<Error>,
    reply: Reply,
}

type Call = Box<dyn for<'a> FnOnce(&'a mut Txn) -> BoxFuture<'a, Outcome> + Send>;

struct Work {
    call: Call,
    savepoint: bool,
}

enum Message {
    Work(Work),
    Close(oneshot::Sender<()>),
}

/// The database: clones share one writer and one pool of readers.
#[derive(Clone)]
pub struct Db {
    readers: SqlitePool,
    writer: mpsc::Sender<Message>,
    heads: watch::Receiver<Heads>,
    vault: Vault,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").finish_non_exhaustive()
    }
}

pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(true)
        .statement_cache_capacity(512)
}

/// Writes a consistent copy of the database of a data directory, whoever writes meanwhile; returns
/// the last sealed block of the change log in it.
pub async fn snapshot(dir: &Path, to: &Path) -> Result<u64> {
    let mut conn = SqliteConnection::connect_with(&options(&dir.join(super::DATABASE))).await.map_err(db)?;
    sqlx::query("VACUUM INTO ?").bind(to.display().to_string()).execute(&mut conn).await.map_err(db)?;
    conn.close().await.map_err(db)?;
    let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
    synced.map_err(StoreError::io(to.display().to_string()))?;
    let copy = SqliteConnectOptions::new().filename(to).read_only(true);
    let mut conn = SqliteConnection::connect_with(&copy).await.map_err(db)?;
    let block: Option<i64> =
        sqlx::query_scalar("SELECT max(number) FROM change_block").fetch_one(&mut conn).await.map_err(db)?;
    conn.close().await.map_err(db)?;
    Ok(block.unwrap_or(0) as u64)
}

impl Db {
    /// Opens the file, applies what migrations are missing and starts the writer.
    pub async fn open(
        path: &Path,
        crypto: Arc<dyn CryptoProvider>,
        clock: Arc<dyn Clock>,
        lock: Arc<Mutex<DataLock>>,
    ) -> Result<Self> {
        let writer =
            options(path).create_if_missing(true).pragma("cache_size", "-16384").pragma("wal_autocheckpoint", "4000");
        let mut conn = SqliteConnection::connect_with(&writer).await.map_err(db)?;
        migrator().run_direct(&mut conn).await.map_err(StoreError::from)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(8)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options(path).pragma("query_only", "1").pragma("cache_size", "-4096"))
            .await
            .map_err(db)?;
        let vault = Vault::new(crypto.clone());
        let txn = Txn::new(conn, crypto, clock).await?;
        let (heads_tx, heads) = watch::channel(txn.heads());
        let (tx, rx) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            run(txn, rx, heads_tx).await;
            // The directory is this process's until the last write is done.
            drop(lock);
        });
        Ok(Self { readers, writer: tx, heads, vault })
    }

    /// Connections for reading; they see every committed write.
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The keys of sealed fields.
    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Heads of the sealed streams, as last committed.
    pub fn heads(&self) -> watch::Receiver<Heads> {
        self.heads.clone()
    }

    /// Runs `work` in the writer's transaction and returns its value once that is on disk. What
    /// `work` wrote is undone where it fails; it goes on when the caller stops waiting.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Txn) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        self.submit(work, true).await
    }

    /// The same for work that fails only before it changes rows ([`Txn::wrote`]), which saves the
    /// savepoint. Where it fails later all the same, nothing of its group is saved.
    pub(super) async fn write_checked<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Txn) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        self.submit(work, false).await
    }

    async fn submit<T, F>(&self, work: F, savepoint: bool) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Txn) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let (tx, rx) = oneshot::channel::<Result<T>>();
        let call: Call = Box::new(move |txn| {
            Box::pin(async move {
                let result = work(txn).await;
                let keep = result.is_ok();
                let broken = result.as_ref().err().and_then(|error| breaks(error, txn, savepoint));
                let reply: Reply = Box::new(move |committed| {
                    let answer = match committed {
                        Ok(()) => result,
                        Err(why) => result.and_then(|_| Err(StoreError::NotCommitted(why.to_string()).into())),
                    };
                    // Nobody may be waiting any more.
                    let _ = tx.send(answer);
                });
                Outcome { keep, broken, reply }
            })
        });
        self.writer.send(Message::Work(Work { call, savepoint })).await.map_err(|_| StoreError::Closing)?;
        rx.await.map_err(|_| Error::from(StoreError::NotCommitted("the writer stopped".into())))?
    }

    /// Commits what is queued, seals it and closes the file. Later writes fail.
    pub async fn close(&self) {
        let (tx, rx) = oneshot::channel();
        if self.writer.send(Message::Close(tx)).await.is_ok() {
            let _ = rx.await;
        }
        self.readers.close().await;
    }
}

/// Why a group cannot go on after this failure of one of its writes.
fn breaks(error: &Error, txn: &Txn, savepoint: bool) -> Option<Error> {
    match StoreError::of(error) {
        Some(StoreError::Database(_) | StoreError::DiskFull(_) | StoreError::Busy(_)) => {
            Some(Error::new(error.class, error.code, error.message.clone()))
        }
        _ if !savepoint && txn.has_written() => Some(Error::internal(format!("a checked write failed late: {error}"))),
        _ => None,
    }
}

/// The writer's task: ends when every `Db` is gone or one asks it to close.
async fn run(mut txn: Txn, mut rx: mpsc::Receiver<Message>, heads: watch::Sender<Heads>) {
    let mut last_seal: Option<Instant> = None;
    let mut closing = None;
    while closing.is_none() {
        let due = last_seal.map_or(Duration::ZERO, |at| SEAL_EVERY.saturating_sub(at.elapsed()));
        let first = if txn.has_open() {
            tokio::select! {
                message = rx.recv() => message.map(Some),
                () = tokio::time::sleep(due) => Some(None),
            }
        } else {
            rx.recv().await.map(Some)
        };
        let mut group = Vec::new();
        match first {
            None => break,
            Some(None) => {}
            Some(Some(Message::Work(work))) => group.push(work),
            Some(Some(Message::Close(reply))) => closing = Some(reply),
        }
        let seal = |txn: &Txn, last: Option<Instant>, closing: bool| {
            closing || !txn.has_open() || last.is_none_or(|at| at.elapsed() >= SEAL_EVERY)
        };
        let outcome =
            commit_group(&mut txn, group, &mut rx, &mut closing, |txn, closing| seal(txn, last_seal, closing)).await;
        let committed = match &outcome.committed {
            Ok(sealed) => {
                if *sealed {
                    last_seal = Some(Instant::now());
                }
                heads.send_if_modified(|old| {
                    let new = txn.heads();
                    let changed = *old != new;
                    *old = new;
                    changed
                });
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a group of writes was not committed");
                Err(error.to_string())
            }
        };
        let committed = committed.as_ref().copied().map_err(String::as_str);
        outcome.replies.into_iter().for_each(|reply| reply(committed));
    }
    txn.close().await;
    if let Some(reply) = closing {
        let _ = reply.send(());
    }
}

struct Group {
    replies: Vec<Reply>,
    /// Whether a block was sealed, or why nothing was saved.
    committed: Result<bool>,
}

async fn commit_group(
    txn: &mut Txn,
    first: Vec<Work>,
    rx: &mut mpsc::Receiver<Message>,
    closing: &mut Option<oneshot::Sender<()>>,
    seal: impl Fn(&Txn, bool) -> bool,
) -> Group {
    let mut replies = Vec::new();
    let committed = async {
        txn.begin().await?;
        let started = Instant::now();
        let mut next = first.into_iter().next();
        while let Some(work) = next.take() {
            txn.start(work.savepoint).await?;
            let outcome = (work.call)(txn).await;
            replies.push(outcome.reply);
            if let Some(error) = outcome.broken {
                return Err(error);
            }
            if !outcome.keep {
                txn.undo(work.savepoint).await?;
            }
            if replies.len() < GROUP && started.elapsed() < GROUP_TIME {
                match rx.try_recv() {
                    Ok(Message::Work(work)) => next = Some(work),
                    Ok(Message::Close(reply)) => *closing = Some(reply),
                    Err(_) => {}
                }
            }
        }
        let sealed = txn.has_open() && seal(txn, closing.is_some());
        txn.commit(sealed).await?;
        Ok(sealed)
    }
    .await;
    if committed.is_err() {
        txn.abandon().await;
    }
    Group { replies, committed }
}
