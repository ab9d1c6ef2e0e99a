//! Writing: rows in batches that may be sent twice, the newest version of a row standing, and a
//! commit that names the rows and how far the input is taken over.
//!
//! The server has no transactions over several inserts. A commit whose rows were sent in part is
//! seen in part until it is done again: rows are known by key and content, so doing it again
//! changes only what is missing, and the cursor, which is written last, tells that it must be.

use super::rowbinary::{Rows, put_cell, put_length, put_text};
use super::{Known, Remote, ddl, sql};
use crate::buffer::{Buffer, DELETED};
use crate::error::{OlapError, Result};
use crate::segment::ColumnOut;
use crate::store::Inner;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use zonglan_catalog::batch::{Batch, RowKey};
use zonglan_catalog::dataset::{Dataset, FieldType};
use zonglan_catalog::traits::{Committed, Cursor, SinkTxn};

/// Rows of one insert at most.
const ROWS: usize = 200_000;

/// The one who may write to a dataset.
struct Slot {
    store: Arc<Inner>,
    dataset: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(remote) = &self.store.remote {
            remote.writing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.dataset);
            remote.free.notify_all();
        }
    }
}

pub(crate) struct RemoteTxn {
    store: Arc<Inner>,
    dataset: Arc<Dataset>,
    buffer: Buffer,
    known: Known,
    /// The number of this writer; the highest stands. Milliseconds, so that a writer that died
    /// half way has a lower one than whoever comes after.
    number: u64,
    part: u32,
    done: Committed,
    _slot: Slot,
}

/// A row that the server has.
struct Stored {
    content: u64,
    at: i64,
}

impl RemoteTxn {
    pub fn begin(store: Arc<Inner>, dataset: &Arc<Dataset>) -> Result<Self> {
        let remote = store.remote.as_ref().ok_or_else(|| OlapError::Internal("no server".into()))?;
        remote.ready(dataset, true)?;
        let mut writing = remote.writing.lock().unwrap_or_else(PoisonError::into_inner);
        while !writing.insert(dataset.name.clone()) {
            writing = remote.free.wait(writing).unwrap_or_else(PoisonError::into_inner);
        }
        drop(writing);
        let known = remote.known(&dataset.name);
        let now = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or_default();
        Ok(Self {
            _slot: Slot { store: store.clone(), dataset: dataset.name.clone() },
            buffer: Buffer::new(dataset),
            number: now.max(known.commit + 1),
            known,
            store,
            dataset: dataset.clone(),
            part: 0,
            done: Committed::default(),
        })
    }

    fn remote(&self) -> Result<&Remote> {
        self.store.remote.as_ref().ok_or_else(|| OlapError::Internal("no server".into()))
    }

    /// The rows with these keys that the server has.
    fn locate(&self, keys: &[u128]) -> Result<HashMap<u128, Stored>> {
        let mut found = HashMap::new();
        // Rows of a commit that died may lie there though none are counted.
        let remote = self.remote()?;
        for keys in keys.chunks(50_000) {
            let sql = format!(
                "SELECT _key, _content, toUnixTimestamp64Milli(_at) FROM {} WHERE {} SETTINGS {} FORMAT RowBinary",
                remote.layout.table(&self.dataset.name),
                sql::keys_in(keys),
                sql::SETTINGS
            );
            let mut rows = Rows::new(remote.http.read(&sql)?);
            while rows.more()? {
                let key = rows.u128()?;
                found.insert(key, Stored { content: rows.u64()?, at: rows.i64()? });
            }
        }
        Ok(found)
    }

    /// Sends the buffered rows and marks what they replace or remove.
    fn flush(&mut self) -> Result<()> {
        if self.buffer.entries.is_empty() {
            return Ok(());
        }
        let mut entries = std::mem::take(&mut self.buffer.entries);
        entries.sort_unstable();
        let groups: Vec<_> = entries.chunk_by(|a, b| a.key == b.key).collect();
        let keys: Vec<u128> = groups.iter().map(|g| g[0].key).collect();
        let stored = self.locate(&keys)?;
        let (mut rows, mut gone): (Vec<u32>, Vec<(u128, i64)>) = (Vec::new(), Vec::new());
        for group in groups {
            let before = stored.get(&group[0].key);
            let mut content = before.map(|s| s.content);
            for entry in group {
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
            if content == before.map(|s| s.content) {
                continue;
            }
            let last = group[group.len() - 1].row;
            let at = (last != DELETED).then(|| self.at(last));
            if let Some(before) = before
                && at != Some(before.at)
            {
                gone.push((group[0].key, before.at));
            }
            if last != DELETED {
                rows.push(last);
            }
        }
        drop(entries);
        self.send(&rows, &gone)?;
        self.buffer.clear();
        Ok(())
    }

    /// Where a buffered row is sorted and kept, in milliseconds.
    fn at(&self, row: u32) -> i64 {
        self.time(row).unwrap_or(0).clamp(sql::AT.0, sql::AT.1)
    }

    /// The event time of a buffered row.
    fn time(&self, row: u32) -> Option<i64> {
        let index = self.dataset.field_index(self.dataset.time.as_ref()?)?;
        let value = self.buffer.ints(index)?[row as usize];
        match self.dataset.field[index].kind {
            _ if value == i64::MIN => None,
            FieldType::Date => {
                Some(zonglan_catalog::time::local_midnight(zonglan_catalog::batch::date_of(value as i32)))
            }
            _ => Some(value),
        }
    }

    fn send(&mut self, rows: &[u32], gone: &[(u128, i64)]) -> Result<()> {
        let own = |out: &mut Vec<u8>, key: u128, number: u64, deleted: bool, content: u64, at: i64| {
            out.extend_from_slice(&key.to_le_bytes());
            out.extend_from_slice(&number.to_le_bytes());
            out.push(u8::from(deleted));
            out.extend_from_slice(&content.to_le_bytes());
            out.extend_from_slice(&at.to_le_bytes());
        };
        let names: Vec<String> = ddl::OWN.iter().map(|(n, _)| (*n).to_string()).collect();
        if !gone.is_empty() {
            let mut out = Vec::with_capacity(gone.len() * 64);
            gone.iter().for_each(|(key, at)| own(&mut out, *key, self.number, true, 0, *at));
            self.insert(&names, &out)?;
        }
        let all: Vec<String> =
            names.into_iter().chain(self.dataset.field.iter().map(|f| ddl::quoted(&f.name))).collect();
        for rows in rows.chunks(ROWS) {
            let columns: Vec<ColumnOut> = self.buffer.columns_out(rows);
            let mut out = Vec::with_capacity(rows.len() * 128);
            for (place, row) in rows.iter().enumerate() {
                let at = *row as usize;
                own(&mut out, self.buffer.keys[at], self.number, false, self.buffer.hashes[at], self.at(*row));
                for (field, column) in self.dataset.field.iter().zip(&columns) {
                    put_cell(&mut out, field.kind, column, place);
                }
            }
            self.insert(&all, &out)?;
        }
        Ok(())
    }

    /// One insert. Its token makes a repetition after a lost reply do nothing.
    fn insert(&mut self, columns: &[String], rows: &[u8]) -> Result<()> {
        self.part += 1;
        let remote = self.remote()?;
        let sql = format!(
            "INSERT INTO {} ({}) SETTINGS insert_deduplication_token = '{}-{}-{}', max_partitions_per_insert_block = 0{} FORMAT RowBinary",
            remote.layout.table(&self.dataset.name),
            columns.join(", "),
            self.dataset.name,
            self.number,
            self.part,
            if remote.layout.cluster.is_some() { ", distributed_foreground_insert = 1" } else { "" }
        );
        remote.http.insert(&sql, rows)
    }

    fn commit_now(&mut self, cursor: Option<&Cursor>) -> Result<Committed> {
        self.flush()?;
        let changed = self.done.inserted + self.done.updated + self.done.deleted > 0;
        self.done.version = self.known.state.version;
        if !changed && cursor.is_none() {
            return Ok(self.done);
        }
        let store = self.store.clone();
        let remote = store.remote.as_ref().ok_or_else(|| OlapError::Internal("no server".into()))?;
        let mut known = self.known.clone();
        known.commit = self.number;
        if let Some(cursor) = cursor {
            known.cursors.insert(cursor.stream.clone(), cursor.position);
        }
        if changed {
            let state = &mut known.state;
            state.version += 1;
            state.loaded_at = Some(chrono::Utc::now().timestamp_millis());
            // Counted by the server: a commit that died in between has left rows of its own.
            (state.rows, state.first_event, state.watermark) = self.extent(remote)?;
        }
        let mut out = Vec::new();
        put_text(&mut out, &self.dataset.name);
        let state = &known.state;
        [known.commit, state.version, state.rows].iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        for value in [state.first_event, state.watermark, state.loaded_at] {
            match value {
                Some(value) => {
                    out.push(0);
                    out.extend_from_slice(&value.to_le_bytes());
                }
                None => out.push(1),
            }
        }
        let cursors: &BTreeMap<String, u64> = &known.cursors;
        let cursors = serde_json::to_vec(cursors).map_err(|e| OlapError::Internal(e.to_string()))?;
        put_length(&mut out, cursors.len());
        out.extend_from_slice(&cursors);
        let sql = format!(
            "INSERT INTO {} (dataset, commit, version, rows, first_event, watermark, loaded_at, cursors) FORMAT RowBinary",
            remote.layout.table("_commits")
        );
        remote.http.insert(&sql, &out)?;
        self.done.version = known.state.version;
        remote.inside.write().unwrap_or_else(PoisonError::into_inner).known.insert(self.dataset.name.clone(), known);
        Ok(self.done)
    }

    /// Rows, and the earliest and latest event time.
    fn extent(&self, remote: &Remote) -> Result<(u64, Option<i64>, Option<i64>)> {
        let time = self.dataset.time.as_ref().and_then(|name| self.dataset.field(name));
        let time = match time {
            Some(field) if field.kind == FieldType::Date => {
                format!("toUnixTimestamp64Milli(toDateTime64({}, 3, 'Asia/Shanghai'))", ddl::quoted(&field.name))
            }
            Some(field) => sql::number(field),
            None => "CAST(NULL AS Nullable(Int64))".into(),
        };
        let sql = format!(
            "SELECT count(), CAST(min({time}) AS Nullable(Int64)), CAST(max({time}) AS Nullable(Int64)) FROM {} SETTINGS {} FORMAT RowBinary",
            remote.layout.table(&self.dataset.name),
            sql::SETTINGS
        );
        let mut rows = Rows::new(remote.http.read(&sql)?);
        Ok((rows.u64()?, rows.nullable_i64()?, rows.nullable_i64()?))
    }
}

impl SinkTxn for RemoteTxn {
    fn upsert(&mut self, batch: &Batch) -> zonglan_catalog::Result<()> {
        crate::txn::fits(&self.dataset, batch)?;
        let mut from = 0;
        while from < batch.len() {
            let to = batch.len().min(from + 65_536);
            self.buffer.append(batch, from, to);
            from = to;
            if self.buffer.is_full() || self.buffer.entries.len() >= ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, keys: &[RowKey]) -> zonglan_catalog::Result<()> {
        self.buffer.delete(keys);
        Ok(())
    }

    fn commit(mut self: Box<Self>, cursor: Option<&Cursor>) -> zonglan_catalog::Result<Committed> {
        Ok(self.commit_now(cursor)?)
    }
}
