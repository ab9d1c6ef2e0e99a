//! An open transaction: rows buffered, spilled to segments, and published by one rename.

use crate::buffer::{Buffer, DELETED, SEGMENT_ROWS};
use crate::column::Bits;
use crate::error::{OlapError, Result};
use crate::manifest::Manifest;
use crate::segment::{self, Segment};
use crate::store::Inner;
use crate::table::{self, Slot, Table, View};
use rayon::prelude::*;
use std::sync::Arc;
use zonglan_catalog::batch::{Batch, RowKey};
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::traits::{Committed, Cursor, SinkTxn};

struct Pending {
    segment: Arc<Segment>,
    deleted: Option<Arc<Bits>>,
    dirty: bool,
    live: u64,
}

pub struct Txn {
    store: Arc<Inner>,
    table: Arc<Table>,
    dataset: Arc<Dataset>,
    buffer: Buffer,
    views: Vec<Pending>,
    manifest: Manifest,
    done: Committed,
    _slot: Slot,
}

impl Txn {
    pub fn begin(store: Arc<Inner>, dataset: &Arc<Dataset>) -> Result<Self> {
        let table = store.table_or_new(&dataset.name)?;
        let slot = table.slot();
        let snapshot = table.snapshot();
        let views = snapshot
            .views
            .iter()
            .map(|v| Pending { segment: v.segment.clone(), deleted: v.deleted.clone(), dirty: false, live: v.live })
            .collect();
        Ok(Self {
            store,
            buffer: Buffer::new(dataset),
            dataset: dataset.clone(),
            views,
            manifest: snapshot.manifest.clone(),
            done: Committed::default(),
            table,
            _slot: slot,
        })
    }

    /// Turns the buffered rows into a segment and marks what they replace.
    fn flush(&mut self) -> Result<()> {
        if self.buffer.entries.is_empty() {
            return Ok(());
        }
        let mut entries = std::mem::take(&mut self.buffer.entries);
        entries.par_sort_unstable();
        let mut starts: Vec<u32> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            if index == 0 || entries[index - 1].key != entry.key {
                starts.push(index as u32);
            }
        }
        let keys: Vec<u128> = starts.iter().map(|s| entries[*s as usize].key).collect();
        let found = self.locate(&keys);
        let mut rows: Vec<u32> = Vec::with_capacity(keys.len());
        for (group, place) in found.iter().enumerate() {
            let start = starts[group] as usize;
            let end = starts.get(group + 1).map_or(entries.len(), |s| *s as usize);
            let mut content = place.map(|(_, _, hash)| hash);
            let before = content;
            for entry in &entries[start..end] {
                let hash = (entry.row != DELETED).then(|| self.buffer.hashes[entry.row as usize]);
                match (content, hash) {
                    (None, Some(_)) => self.done.inserted += 1,
                    (Some(a), Some(b)) if a == b => self.done.unchanged += 1,
                    (Some(_), Some(_)) => self.done.updated += 1,
                    (Some(_), None) => self.done.deleted += 1,
                    (None, None) => {}
                }
                content = hash;
            }
            if content == before {
                continue;
            }
            if let Some((view, row, _)) = *place {
                let pending = &mut self.views[view as usize];
                let total = pending.segment.rows();
                Arc::make_mut(pending.deleted.get_or_insert_with(|| Arc::new(Bits::none(total)))).set(row as usize);
                pending.dirty = true;
                pending.live -= 1;
            }
            if content.is_some() {
                rows.push(entries[end - 1].row);
            }
        }
        drop((entries, starts, keys, found));
        if !rows.is_empty() {
            self.spill(rows)?;
        }
        self.buffer.clear();
        Ok(())
    }

    /// Where live rows with these (ascending) keys are: view, row, content hash.
    fn locate(&self, keys: &[u128]) -> Vec<Option<(u32, u32, u64)>> {
        let look = |part: &[u128]| {
            let mut found = vec![None; part.len()];
            // One segment's filter after the other stays in the processor's cache.
            for (index, view) in (0u32..).zip(&self.views) {
                for (key, place) in part.iter().zip(&mut found) {
                    if place.is_none()
                        && let Some((row, hash)) = view.segment.sidecar.find(*key)
                        && view.deleted.as_ref().is_none_or(|d| !d.get(row as usize))
                    {
                        *place = Some((index, row, hash));
                    }
                }
            }
            found
        };
        if keys.len() < 4_096 { look(keys) } else { keys.par_chunks(8_192).flat_map_iter(look).collect() }
    }

    fn spill(&mut self, mut rows: Vec<u32>) -> Result<()> {
        rows.par_sort_unstable();
        let time = self.dataset.time.as_ref().and_then(|name| self.dataset.field_index(name));
        if let Some(times) = time.and_then(|index| self.buffer.ints(index)) {
            let order =
                |row: &u32| (if times[*row as usize] == i64::MIN { i64::MAX } else { times[*row as usize] }, *row);
            if !rows.is_sorted_by_key(order) {
                rows.par_sort_unstable_by_key(order);
            }
        }
        let fields: Vec<_> = self.dataset.field.iter().map(|f| (f.name.clone(), f.kind, f.scale)).collect();
        let columns = self.buffer.columns_out(&rows);
        let keys: Vec<u128> = rows.iter().map(|r| self.buffer.keys[*r as usize]).collect();
        let hashes: Vec<u64> = rows.iter().map(|r| self.buffer.hashes[*r as usize]).collect();
        let id = self.manifest.next;
        self.manifest.next += 1;
        let segment =
            segment::write(&self.table.folder, id, self.dataset.time.clone(), &fields, columns, &keys, &hashes)?;
        self.views.push(Pending {
            live: segment.meta.rows.into(),
            segment: Arc::new(segment),
            deleted: None,
            dirty: false,
        });
        Ok(())
    }
}

/// Whether a batch has the dataset's columns, each with a value a row.
pub fn fits(dataset: &Dataset, batch: &Batch) -> Result<()> {
    if batch.columns.len() == dataset.field.len() && batch.columns.iter().all(|c| c.len() == batch.len()) {
        return Ok(());
    }
    Err(OlapError::Internal(format!(
        "a batch of dataset {} has columns of other lengths or another number of them",
        dataset.name
    )))
}

impl SinkTxn for Txn {
    fn upsert(&mut self, batch: &Batch) -> zonglan_catalog::Result<()> {
        fits(&self.dataset, batch)?;
        let mut from = 0;
        while from < batch.len() {
            let room = SEGMENT_ROWS.saturating_sub(self.buffer.entries.len()).max(1);
            let to = batch.len().min(from + room.min(65_536));
            self.buffer.append(batch, from, to);
            from = to;
            if self.buffer.is_full() {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, keys: &[RowKey]) -> zonglan_catalog::Result<()> {
        self.buffer.delete(keys);
        if self.buffer.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>, cursor: Option<&Cursor>) -> zonglan_catalog::Result<Committed> {
        self.flush()?;
        let changed = self.done.inserted + self.done.updated + self.done.deleted > 0;
        self.done.version = self.manifest.version;
        if !changed && cursor.is_none() {
            return Ok(self.done);
        }
        let mut manifest = self.manifest.clone();
        if let Some(cursor) = cursor {
            manifest.cursors.insert(cursor.stream.clone(), cursor.position);
        }
        if changed {
            manifest.version += 1;
            manifest.loaded_at = Some(chrono::Utc::now().timestamp_millis());
        }
        let mut views = Vec::with_capacity(self.views.len());
        let mut metas = Vec::with_capacity(self.views.len());
        for pending in &self.views {
            if pending.live == 0 {
                continue;
            }
            let mut meta = self
                .manifest
                .segments
                .iter()
                .find(|m| m.id == pending.segment.meta.id)
                .unwrap_or(&pending.segment.meta)
                .clone();
            if pending.dirty
                && let Some(bits) = &pending.deleted
            {
                let number = manifest.next;
                manifest.next += 1;
                table::write_deleted(&self.table.folder, meta.id, number, bits)?;
                meta.deleted = Some((number, bits.count()));
            }
            metas.push(meta);
            views.push(View { segment: pending.segment.clone(), deleted: pending.deleted.clone(), live: pending.live });
        }
        manifest.segments = metas;
        self.done.version = manifest.version;
        self.table.publish(manifest, views)?;
        let (store, table, dataset, done) = (self.store.clone(), self.table.clone(), self.dataset.clone(), self.done);
        drop(self);
        crate::compact::after_commit(&store, &table, &dataset);
        if changed && !dataset.rollup.is_empty() {
            crate::rollup::after_commit(&store, &dataset.name);
        }
        Ok(done)
    }
}
