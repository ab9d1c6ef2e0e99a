//! Writing: transactions that put rows and their cursor into an index in one commit.

use crate::attached;
use crate::error::SearchError;
use crate::schema::{self, REGISTERS, Row};
use crate::shelf::{DatasetPayload, Payload, Shelf};
use crate::{Indexes, Inner};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use tantivy::collector::Count;
use tantivy::columnar::Column;
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, IndexWriter, InvertedIndexReader, SegmentReader, TERMINATED, Term};
use zonglan_catalog::batch::{Batch, RowKey};
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::error::Result;
use zonglan_catalog::traits::{Changes, Committed, Cursor, RowSink, SinkTxn};

/// Rows are kept back up to this many bytes, so that small transactions on one index (the
/// registers) can be open at the same time; only bigger ones hold the writer before their commit.
const HELD_BYTES: usize = 4 << 20;

/// Keys of one transaction that are remembered as they are; of more only a filter is kept.
const REMEMBERED_KEYS: usize = 1_000_000;

/// Bits of the filter (32 MiB): of 20 million keys one in two hundred is taken for a known one.
const FILTER_BITS: u64 = 1 << 28;

impl RowSink for Indexes {
    fn name(&self) -> &'static str {
        "index"
    }

    fn accepts(&self, dataset: &Dataset) -> bool {
        dataset.is_searchable()
    }

    fn cursor(&self, dataset: &Dataset, stream: &str) -> Result<Option<u64>> {
        let Some(shelf) = self.0.shelf(dataset, false)? else { return Ok(None) };
        Ok(shelf.dataset(&dataset.name).and_then(|d| d.cursors.get(stream).map(|(position, _)| *position)))
    }

    fn begin(&self, dataset: &Arc<Dataset>) -> Result<Box<dyn SinkTxn>> {
        if self.0.read_only {
            return Err(SearchError::ReadOnly.into());
        }
        Ok(Box::new(self.transaction(dataset)?))
    }

    /// The datasets of one index (all registers share one) go into one commit.
    fn apply_all(&self, work: Vec<Changes>, cursor: &Cursor) -> Result<()> {
        if self.0.read_only {
            return Err(SearchError::ReadOnly.into());
        }
        let mut groups: BTreeMap<String, Vec<Txn>> = BTreeMap::new();
        for changes in &work {
            let mut txn = self.transaction(&changes.dataset)?;
            for row in 0..changes.upserts.len() {
                txn.hold(&changes.upserts, row);
            }
            txn.delete(&changes.gone)?;
            groups.entry(txn.shelf.name.clone()).or_default().push(txn);
        }
        groups.into_values().try_for_each(|group| commit_group(group, cursor))
    }
}

impl Indexes {
    pub(crate) fn transaction(&self, dataset: &Arc<Dataset>) -> Result<Txn> {
        let Some(shelf) = self.0.shelf(dataset, true)? else { return Err(SearchError::ReadOnly.into()) };
        Ok(Txn {
            inner: self.0.clone(),
            signature: schema::signature(dataset),
            dataset: dataset.clone(),
            shelf,
            held: Vec::new(),
            held_bytes: 0,
            open: None,
            touched: Touched::default(),
            done: Committed::default(),
            first: None,
            last: None,
        })
    }

    /// Removes all rows and cursors of a dataset, so that its sources fill it again.
    pub fn clear(&self, dataset: &Dataset) -> Result<()> {
        let Some(shelf) = self.0.shelf(dataset, false)? else { return Ok(()) };
        let mut writer = self.0.writer(&shelf)?;
        writer.delete_term(shelf.slots.ds_term(&dataset.name));
        let outcome = shelf.commit(&mut writer, |payload| {
            let version = payload.datasets.get(&dataset.name).map_or(0, |d| d.version) + 1;
            let fresh = DatasetPayload { version, at: now(), ..DatasetPayload::default() };
            payload.datasets.insert(dataset.name.clone(), fresh);
        });
        shelf.return_writer(Some(writer), &self.0.permits);
        Ok(outcome?)
    }
}

enum Write {
    Upsert(Box<Row>),
    Delete(RowKey),
}

pub(crate) struct Txn {
    inner: Arc<Inner>,
    dataset: Arc<Dataset>,
    shelf: Arc<Shelf>,
    signature: String,
    held: Vec<Write>,
    held_bytes: usize,
    /// The writer, and what was there before this transaction.
    open: Option<(IndexWriter, Before)>,
    touched: Touched,
    done: Committed,
    first: Option<i64>,
    last: Option<i64>,
}

impl SinkTxn for Txn {
    fn upsert(&mut self, batch: &Batch) -> Result<()> {
        for row in 0..batch.len() {
            self.hold(batch, row);
            if self.held_bytes > HELD_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, keys: &[RowKey]) -> Result<()> {
        let own = |key: &RowKey| Write::Delete(schema::own_key(&self.dataset, *key));
        self.held.extend(keys.iter().map(own));
        Ok(())
    }

    fn commit(mut self: Box<Self>, cursor: Option<&Cursor>) -> Result<Committed> {
        self.flush()?;
        let Some((mut writer, before)) = self.open.take() else { return Ok(self.done) };
        let done = self.done;
        let mut version = 0;
        let outcome = self.shelf.commit(&mut writer, |payload| version = self.enter(payload, cursor));
        match outcome {
            Ok(()) => {
                self.shelf.return_writer(Some(writer), &self.inner.permits);
                Ok(Committed { version, ..done })
            }
            Err(error) => {
                // Dropping the transaction rolls back.
                self.open = Some((writer, before));
                Err(error.into())
            }
        }
    }
}

/// Transactions on one index, in one commit: the writer goes from hand to hand.
fn commit_group(mut group: Vec<Txn>, cursor: &Cursor) -> Result<()> {
    let mut open = None;
    for txn in &mut group {
        txn.open = open.take();
        // Where this fails, dropping the transaction rolls all of them back.
        txn.flush()?;
        open = txn.open.take();
    }
    let (Some((mut writer, before)), Some(last)) = (open, group.last()) else { return Ok(()) };
    let (shelf, inner) = (last.shelf.clone(), last.inner.clone());
    let outcome = shelf.commit(&mut writer, |payload| {
        for txn in &group {
            txn.enter(payload, Some(cursor));
        }
    });
    match outcome {
        Ok(()) => {
            shelf.return_writer(Some(writer), &inner.permits);
            Ok(())
        }
        Err(error) => {
            if let Some(txn) = group.last_mut() {
                txn.open = Some((writer, before));
            }
            Err(error.into())
        }
    }
}

impl Txn {
    fn hold(&mut self, batch: &Batch, row: usize) {
        let row = schema::row_of(&self.shelf.slots, &self.dataset, &self.signature, batch, row);
        self.held_bytes += row.bytes;
        self.held.push(Write::Upsert(Box::new(row)));
    }

    /// Writes what this transaction did, and its cursor, into what the commit carries; returns the
    /// dataset's version.
    fn enter(&self, payload: &mut Payload, cursor: Option<&Cursor>) -> u64 {
        let fresh = || DatasetPayload { signature: Some(crate::rebuild::mark(&self.dataset)), ..Default::default() };
        let entry = payload.datasets.entry(self.dataset.name.clone()).or_insert_with(fresh);
        let changed = self.done.inserted + self.done.updated + self.done.deleted > 0;
        entry.version += u64::from(changed);
        entry.first = entry.first.into_iter().chain(self.first).min();
        entry.last = entry.last.into_iter().chain(self.last).max();
        if changed || entry.at == 0 {
            entry.at = now();
        }
        if let Some(cursor) = cursor {
            entry.set_cursor(&cursor.stream, cursor.position);
        }
        entry.version
    }

    /// Takes the writer, and so keeps all others from committing until the end.
    pub(crate) fn take_writer(&mut self) -> Result<Arc<Shelf>> {
        self.open()?;
        Ok(self.shelf.clone())
    }

    /// Upserts and commits without a cursor.
    pub(crate) fn put(mut self, batch: &Batch) -> Result<()> {
        self.upsert(batch)?;
        Box::new(self).commit(None).map(|_| ())
    }

    fn open(&mut self) -> Result<()> {
        if self.open.is_none() {
            let writer = self.inner.writer(&self.shelf)?;
            match Before::new(&self.shelf) {
                Ok(before) => self.open = Some((writer, before)),
                Err(error) => {
                    self.shelf.return_writer(Some(writer), &self.inner.permits);
                    return Err(SearchError::engine(&self.shelf.name)(error).into());
                }
            }
        }
        Ok(())
    }

    /// Hands the rows that were kept back to the writer.
    fn flush(&mut self) -> Result<()> {
        self.open()?;
        let Some((writer, before)) = &self.open else { return Ok(()) };
        let attachments = self.inner.attachments().filter(|_| attached::takes(&self.dataset));
        let slots = &self.shelf.slots;
        let fail = SearchError::engine(&self.shelf.name);
        for write in self.held.drain(..) {
            let key = match &write {
                Write::Upsert(row) => row.key,
                Write::Delete(key) => *key,
            };
            let seen = self.touched.insert(key, REMEMBERED_KEYS);
            // What the last commit holds says nothing about a key that this transaction wrote.
            let known = if seen == Seen::No { before.rev(key).map_err(&fail)? } else { None };
            let there = known.is_some() || seen != Seen::No;
            match write {
                Write::Upsert(mut row) => {
                    if let Some(source) = &attachments {
                        let files = source.of(&self.dataset.name, &row.id)?;
                        attached::add(slots, &self.dataset, &mut row, files);
                    }
                    self.first = self.first.into_iter().chain(row.time).min();
                    self.last = self.last.into_iter().chain(row.time).max();
                    if known == Some(row.rev) {
                        self.done.unchanged += 1;
                        continue;
                    }
                    if there {
                        writer.delete_term(slots.key_term(key));
                    }
                    if known.is_some() || seen == Seen::Yes {
                        self.done.updated += 1;
                    } else {
                        self.done.inserted += 1;
                    }
                    row.document.add_u64(slots.rev, row.rev);
                    writer.add_document(row.document).map_err(&fail)?;
                }
                Write::Delete(_) => {
                    if there {
                        writer.delete_term(slots.key_term(key));
                        self.done.deleted += 1;
                    }
                }
            }
        }
        self.held_bytes = 0;
        Ok(())
    }
}

impl Drop for Txn {
    fn drop(&mut self) {
        if let Some((mut writer, ..)) = self.open.take() {
            let kept = match writer.rollback() {
                Ok(_) => Some(writer),
                Err(error) => {
                    tracing::error!(index = self.shelf.name, %error, "cannot roll back; the writer is opened anew");
                    None
                }
            };
            self.shelf.return_writer(kept, &self.inner.permits);
        }
    }
}

/// Which keys a transaction has written. The writer keeps each deletion in memory until the
/// commit, so rows are not deleted before they are added unless they may be there.
#[derive(Default)]
struct Touched {
    exact: HashSet<RowKey>,
    filter: Vec<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    No,
    Perhaps,
    Yes,
}

impl Touched {
    /// Remembers a key and says whether it was known before.
    fn insert(&mut self, key: RowKey, exact: usize) -> Seen {
        if self.exact.contains(&key) {
            return Seen::Yes;
        }
        if self.exact.len() < exact {
            self.exact.insert(key);
            return Seen::No;
        }
        self.filter.resize((FILTER_BITS / 64) as usize, 0);
        let mut known = true;
        // Keys are hashes; each part of one is as good as another hash.
        for part in 0..4 {
            let bit = (key.0 >> (32 * part)) as u64 % FILTER_BITS;
            let word = &mut self.filter[(bit / 64) as usize];
            known &= *word & (1 << (bit % 64)) != 0;
            *word |= 1 << (bit % 64);
        }
        if known { Seen::Perhaps } else { Seen::No }
    }
}

/// The rows of the last commit, to tell new ones from changed and unchanged ones.
struct Before {
    key: tantivy::schema::Field,
    segments: Vec<(SegmentReader, Arc<InvertedIndexReader>, Column<u64>)>,
}

impl Before {
    fn new(shelf: &Shelf) -> tantivy::Result<Self> {
        let key = shelf.slots.key;
        let searcher = shelf.searcher();
        let filled = searcher.segment_readers().iter().filter(|s| s.num_docs() > 0);
        let segments = filled.map(|s| Ok((s.clone(), s.inverted_index(key)?, s.fast_fields().u64("rev")?)));
        Ok(Self { key, segments: segments.collect::<tantivy::Result<_>>()? })
    }

    /// The content hash of the row with this key.
    fn rev(&self, key: RowKey) -> tantivy::Result<Option<u64>> {
        let term = Term::from_field_bytes(self.key, &key.0.to_be_bytes());
        for (segment, inverted, revs) in &self.segments {
            let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::Basic)? else { continue };
            while postings.doc() != TERMINATED {
                let doc = postings.doc();
                if !segment.is_deleted(doc) {
                    return Ok(revs.first(doc));
                }
                postings.advance();
            }
        }
        Ok(None)
    }
}

/// Rows of a dataset as the reader sees them.
pub(crate) fn row_count(shelf: &Shelf, dataset: &str) -> u64 {
    let searcher = shelf.searcher();
    if shelf.name != REGISTERS {
        return searcher.num_docs();
    }
    let query = TermQuery::new(shelf.slots.ds_term(dataset), IndexRecordOption::Basic);
    searcher.search(&query, &Count).map_or(0, |n| n as u64)
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_keys_are_never_forgotten_and_others_rarely_taken_for_them() {
        let keys: Vec<RowKey> = (0..20_000).map(|i: u32| RowKey::of([i.to_string().as_str()])).collect();
        let mut touched = Touched::default();
        let perhaps = keys.iter().filter(|k| touched.insert(**k, 1_000) != Seen::No).count();
        assert!(perhaps < 20, "{perhaps}");
        assert!(keys[..1_000].iter().all(|k| touched.insert(*k, 1_000) == Seen::Yes));
        assert!(keys[1_000..].iter().all(|k| touched.insert(*k, 1_000) == Seen::Perhaps));
    }
}
