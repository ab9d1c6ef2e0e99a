//! The seams between stores, sources, engines and the program.
//!
//! Engines and indexes are asked asynchronously; sinks and sources are blocking and run on
//! threads of their own.

use crate::batch::{Batch, RowKey};
use crate::bind::{BoundQuery, BoundSearch};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::search::{Correction, Likeness, ParsedQuery, SearchPage, SimilarPage, Suggestion};
use crate::table::Table;
use crate::value::Value;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by whoever no longer wants the answer; engines look at it between pieces of work.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    /// Cancels when the guard is dropped, so that a dropped request stops its work.
    pub fn on_drop(&self) -> CancelGuard {
        CancelGuard(self.clone())
    }
}

/// See [`Cancel::on_drop`].
#[derive(Debug)]
pub struct CancelGuard(Cancel);

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What a store holds of one dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DatasetState {
    /// Counts up with every commit that changed rows.
    pub version: u64,
    pub rows: u64,
    /// Earliest and latest event time, milliseconds since 1970 UTC.
    pub first_event: Option<i64>,
    pub watermark: Option<i64>,
    /// When the last commit happened, milliseconds since 1970 UTC.
    pub loaded_at: Option<i64>,
}

/// Answers logical queries.
#[async_trait]
pub trait QueryEngine: Send + Sync {
    async fn query(&self, query: &BoundQuery, cancel: &Cancel) -> Result<Table>;
    /// Which parts the query would read and why; nothing is run.
    async fn explain(&self, query: &BoundQuery) -> Result<serde_json::Value>;
    fn state(&self, dataset: &str) -> DatasetState;
}

/// Answers full-text searches.
#[async_trait]
pub trait SearchIndex: Send + Sync {
    async fn search(&self, search: &BoundSearch, cancel: &Cancel) -> Result<SearchPage>;
    /// Documents like another one or like a text, best first, with reasons.
    async fn similar(&self, search: &BoundSearch, _like: &Likeness, _cancel: &Cancel) -> Result<SimilarPage> {
        Err(not_offered(search))
    }
    /// Completions of the last word of the request's query from what the asker may see.
    async fn suggest(&self, search: &BoundSearch, _cancel: &Cancel) -> Result<Vec<Suggestion>> {
        Err(not_offered(search))
    }
    /// The request's query with words put right that are in no text the asker may see. `None`:
    /// nothing better is known.
    async fn did_you_mean(&self, _search: &BoundSearch, _cancel: &Cancel) -> Result<Option<Correction>> {
        Ok(None)
    }
    /// How a query is read, with chips and problems; no documents are looked at. Chips go back to
    /// a query by joining their texts with spaces.
    fn parse_query(&self, _dataset: &Dataset, text: &str) -> ParsedQuery {
        ParsedQuery { query: text.trim().to_string(), ..ParsedQuery::default() }
    }
    fn state(&self, dataset: &str) -> DatasetState;
}

fn not_offered(search: &BoundSearch) -> Error {
    Error::user("search.not_offered", format!("数据集 {} 的索引不提供这项功能", search.dataset().name))
}

/// Resolves the text predicates of a query to row keys. Implemented by the index, used by engines.
pub trait TextResolver: Send + Sync {
    /// Keys of the rows whose `field` holds the words. More than `limit` is an error that says so.
    fn matching_keys(&self, dataset: &str, field: &str, text: &str, limit: usize) -> Result<Vec<RowKey>>;
}

/// A position in a stream of input, stored inside the sink's own commit, so that work is done
/// exactly once whenever the program dies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// `log` for the change log, `import:<batch id>` for a file.
    pub stream: String,
    /// Sealed block number, or number of rows of the file done.
    pub position: u64,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    pub inserted: u64,
    /// Rows whose key was there with other content; the new content stands.
    pub updated: u64,
    /// Rows that were there already, unchanged.
    pub unchanged: u64,
    pub deleted: u64,
    pub version: u64,
}

/// A store that takes rows: the columnar store, the full-text index.
pub trait RowSink: Send + Sync {
    /// `columns`, `index`.
    fn name(&self) -> &'static str;
    fn accepts(&self, dataset: &Dataset) -> bool;
    /// The last committed position of a stream for a dataset.
    fn cursor(&self, dataset: &Dataset, stream: &str) -> Result<Option<u64>>;
    fn begin(&self, dataset: &Arc<Dataset>) -> Result<Box<dyn SinkTxn>>;
    /// Applies changes of several datasets, each with the cursor, in as few commits as the store
    /// can. Where it fails, some datasets may have theirs and others not; their cursors tell.
    fn apply_all(&self, work: Vec<Changes>, cursor: &Cursor) -> Result<()> {
        work.into_iter().try_for_each(|changes| changes.apply(self, cursor))
    }
}

/// What is to be done to one dataset.
#[derive(Debug, Clone)]
pub struct Changes {
    pub dataset: Arc<Dataset>,
    pub upserts: Batch,
    pub gone: Vec<RowKey>,
}

impl Changes {
    /// In a transaction of its own.
    pub fn apply<S: RowSink + ?Sized>(&self, sink: &S, cursor: &Cursor) -> Result<()> {
        let mut txn = sink.begin(&self.dataset)?;
        if !self.upserts.is_empty() {
            txn.upsert(&self.upserts)?;
        }
        if !self.gone.is_empty() {
            txn.delete(&self.gone)?;
        }
        txn.commit(Some(cursor)).map(|_| ())
    }
}

/// An open transaction: nothing is seen before `commit`, which is durable when it returns.
/// Dropping it undoes everything.
pub trait SinkTxn: Send {
    /// Inserts rows; a row whose key exists (in the store or earlier in this transaction) is replaced.
    fn upsert(&mut self, batch: &Batch) -> Result<()>;
    fn delete(&mut self, keys: &[RowKey]) -> Result<()>;
    /// Stores the rows and the cursor in one step.
    fn commit(self: Box<Self>, cursor: Option<&Cursor>) -> Result<Committed>;
}

/// One write of the records store, as the follower applies it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub dataset: String,
    pub id: String,
    /// All fields after the write, typed; `None`: the record is gone.
    pub after: Option<BTreeMap<String, Value>>,
    pub version: u64,
    /// Milliseconds since 1970 UTC.
    pub at: i64,
}

/// Sealed blocks of the change log, in order and without gaps.
#[derive(Debug, Clone, Default)]
pub struct ChangeBlock {
    pub number: u64,
    pub changes: Vec<Change>,
}

/// Where the follower reads from.
#[async_trait]
pub trait ChangeSource: Send + Sync {
    /// Blocks after `position`, at most `limit` of them; empty when there are none yet.
    async fn blocks_after(&self, position: u64, limit: usize) -> Result<Vec<ChangeBlock>>;
}

/// Content-addressed attachments and result files.
pub trait BlobStore: Send + Sync {
    /// Stores the content durably and returns its key.
    fn put(&self, content: &mut dyn std::io::Read) -> Result<BlobKey>;
    fn open(&self, key: &BlobKey) -> Result<Box<dyn std::io::Read + Send>>;
    fn remove(&self, key: &BlobKey) -> Result<()>;
}

/// blake3 of the content in hex, and its length.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobKey {
    pub hash: String,
    pub length: u64,
}

/// A message to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub to: String,
    pub title: String,
    pub body: String,
    /// Where in the program it leads.
    pub link: Option<String>,
    /// Two notices with one key are one.
    pub key: String,
}

/// Delivers notices; in the program first, other channels beside it.
#[async_trait]
pub trait Notifier: Send + Sync {
    async fn notify(&self, notice: &Notice) -> Result<()>;
}

/// The wall clock, replaceable in tests.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 UTC.
    fn now(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }
}

/// A generator of rows for the demo.
pub trait DemoSource: Send + Sync {
    /// The datasets it makes, parents before children.
    fn datasets(&self) -> Vec<String>;
    /// Calls `emit` with batches of a dataset's rows until they are all made or `emit` fails.
    fn generate(&self, dataset: &Dataset, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()>;
}
