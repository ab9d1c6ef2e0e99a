//! Applies the change log of the records store to the other stores, exactly once each: the cursor
//! lies in the store's own commit.

use crate::error::{IngestError, Result};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use zonglan_catalog::dataset::Source;
use zonglan_catalog::traits::{Change, ChangeBlock, ChangeSource, Changes, Cursor, RowSink};
use zonglan_catalog::value::Value;
use zonglan_catalog::{Batch, Catalogue, Dataset, RowKey};

/// The stream of the change log in cursors.
pub const LOG_STREAM: &str = "log";

/// A dataset without changes gets its cursor moved after so many blocks, so that a restart does
/// not read the log from its start.
const IDLE_BLOCKS: u64 = 1_000;

/// What a step did for one store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Number of the last block that the store has.
    pub position: u64,
    pub blocks: usize,
    /// Records inserted, changed or removed.
    pub changes: usize,
    /// Time of the last change applied, milliseconds since 1970 UTC: its distance from now is the lag.
    pub last_change_at: Option<i64>,
    /// The source gave as many blocks as were asked for: there may be more.
    pub more: bool,
}

/// Follows the log for several stores. Each has its own position: one that lags or fails does not
/// stop another.
pub struct Follower {
    catalogue: RwLock<Arc<Catalogue>>,
    sinks: Vec<Arc<dyn RowSink>>,
    /// Blocks that a store has, by its name; the truth lies in the stores.
    positions: Mutex<HashMap<&'static str, u64>>,
}

impl Follower {
    pub fn new(catalogue: Arc<Catalogue>, sinks: Vec<Arc<dyn RowSink>>) -> Self {
        Self { catalogue: RwLock::new(catalogue), sinks, positions: Mutex::default() }
    }

    pub fn sinks(&self) -> &[Arc<dyn RowSink>] {
        &self.sinks
    }

    /// A new catalogue; datasets that it adds are read from the start of the log.
    pub fn set_catalogue(&self, catalogue: Arc<Catalogue>) {
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = catalogue;
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn followed(&self, sink: &dyn RowSink) -> Vec<Arc<Dataset>> {
        let catalogue = self.catalogue.read().unwrap_or_else(PoisonError::into_inner);
        catalogue.datasets().filter(|d| d.source == Source::Records && sink.accepts(d)).cloned().collect()
    }

    /// The block after which a store must be fed: the least of its datasets' cursors.
    pub fn position(&self, sink: &dyn RowSink) -> Result<u64> {
        if let Some(position) = self.positions.lock().unwrap_or_else(PoisonError::into_inner).get(sink.name()) {
            return Ok(*position);
        }
        let mut least = None;
        for dataset in self.followed(sink) {
            let cursor = sink.cursor(&dataset, LOG_STREAM).map_err(|e| failed(sink, e))?.unwrap_or(0);
            least = Some(least.map_or(cursor, |l: u64| l.min(cursor)));
        }
        let position = least.unwrap_or(0);
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).insert(sink.name(), position);
        Ok(position)
    }

    /// Applies blocks (in order, without gaps, the first not after `position + 1`) to a store.
    /// Blocks that a dataset has already are passed over. Blocking.
    pub fn apply(&self, sink: &dyn RowSink, blocks: &[ChangeBlock]) -> Result<Applied> {
        let mut applied = Applied { position: self.position(sink)?, ..Applied::default() };
        let Some(last) = blocks.last().map(|b| b.number) else { return Ok(applied) };
        let mut work = Vec::new();
        for dataset in self.followed(sink) {
            let cursor = sink.cursor(&dataset, LOG_STREAM).map_err(|e| failed(sink, e))?.unwrap_or(0);
            if cursor >= last {
                continue;
            }
            // The last state of each record in these blocks is all that counts.
            let mut latest: BTreeMap<&str, &Change> = BTreeMap::new();
            for block in blocks.iter().filter(|b| b.number > cursor) {
                for change in block.changes.iter().filter(|c| c.dataset == dataset.name) {
                    latest.insert(&change.id, change);
                    applied.changes += 1;
                    applied.last_change_at = applied.last_change_at.max(Some(change.at));
                }
            }
            if latest.is_empty() && last - cursor < IDLE_BLOCKS {
                continue;
            }
            work.push(changes(&dataset, latest.values().copied()));
        }
        let cursor = Cursor { stream: LOG_STREAM.to_string(), position: last };
        sink.apply_all(work, &cursor).map_err(|e| failed(sink, e))?;
        applied.blocks = blocks.iter().filter(|b| b.number > applied.position).count();
        applied.position = applied.position.max(last);
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).insert(sink.name(), applied.position);
        Ok(applied)
    }

    /// Reads the blocks that a store lacks, at most `limit`, and applies them. The store's work
    /// blocks: from an async program, read with [`ChangeSource::blocks_after`] and call
    /// [`Self::apply`] on a thread for blocking work.
    pub async fn step(&self, sink: &dyn RowSink, source: &dyn ChangeSource, limit: usize) -> Result<Applied> {
        let after = self.position(sink)?;
        let blocks = source.blocks_after(after, limit).await.map_err(|e| failed(sink, e))?;
        let mut applied = self.apply(sink, &blocks)?;
        applied.more = blocks.len() >= limit;
        Ok(applied)
    }
}

/// The rows of changes: those to write, and the keys of those that are gone.
fn changes<'c>(dataset: &Arc<Dataset>, changes: impl Iterator<Item = &'c Change>) -> Changes {
    let mut upserts = Batch::new(dataset);
    let mut gone = Vec::new();
    for change in changes {
        match &change.after {
            Some(fields) => match dataset.key.first() {
                // The id is the key, whether or not the fields repeat it.
                Some(key) if !fields.contains_key(key) => {
                    let mut fields = fields.clone();
                    fields.insert(key.clone(), Value::Text(change.id.clone()));
                    upserts.push_fields(dataset, &fields);
                }
                _ => upserts.push_fields(dataset, fields),
            },
            None => gone.push(RowKey::of([change.id.as_str()])),
        }
    }
    Changes { dataset: dataset.clone(), upserts, gone }
}

fn failed(sink: &dyn RowSink, source: zonglan_catalog::Error) -> IngestError {
    IngestError::Sink { sink: sink.name(), source: Box::new(source) }
}
