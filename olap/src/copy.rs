//! A whole dataset from one store into another.

use crate::column::Column;
use crate::error::{OlapError, Result};
use crate::store::Store;
use std::sync::Arc;
use zonglan_catalog::batch::{Batch, ColumnData, RowKey};
use zonglan_catalog::dataset::Dataset;
use zonglan_catalog::traits::{Cursor, RowSink};

/// Rows handed over at once.
const ROWS: usize = 16_384;

impl Store {
    /// Copies the rows of a dataset as last committed, and how far its input is taken over, into
    /// `target`, whose rows with other keys stay; returns the number of rows. Doing it again
    /// changes nothing. Whoever needs to know that all of it arrived compares `checksum`.
    ///
    /// # Errors
    /// The rows of this store must lie in its data directory.
    pub fn copy_into(&self, dataset: &Arc<Dataset>, target: &Store) -> zonglan_catalog::Result<u64> {
        let Some(snapshot) = self.0.snapshot(&dataset.name) else { return Ok(0) };
        let mut txn = target.begin(dataset)?;
        let mut total = 0;
        for view in &snapshot.views {
            let columns: Vec<Arc<Column>> =
                dataset.field.iter().map(|f| self.0.column(&view.segment, f)).collect::<Result<_>>()?;
            let live: Vec<usize> = (0..view.segment.rows()).filter(|row| view.is_live(*row)).collect();
            for rows in live.chunks(ROWS) {
                let mut batch = Batch::new(dataset);
                batch.keys = rows.iter().map(|row| RowKey(view.segment.sidecar.key(*row as u32))).collect();
                for (data, column) in batch.columns.iter_mut().zip(&columns) {
                    rows.iter().for_each(|row| push(data, column, *row));
                }
                txn.upsert(&batch)?;
                total += rows.len() as u64;
            }
        }
        txn.commit(None)?;
        for (stream, position) in &snapshot.manifest.cursors {
            target.begin(dataset)?.commit(Some(&Cursor { stream: stream.clone(), position: *position }))?;
        }
        Ok(total)
    }

    /// The datasets that have rows here.
    ///
    /// # Errors
    /// The rows of this store must lie in its data directory.
    pub fn datasets(&self) -> Result<Vec<String>> {
        if self.0.remote.is_some() {
            return Err(OlapError::Internal("the rows lie on a server already".into()));
        }
        let tables = self.0.all_tables().into_iter();
        Ok(tables
            .filter(|(_, t)| !t.snapshot().manifest.cursors.is_empty() || t.snapshot().state.rows > 0)
            .map(|(n, _)| n)
            .collect())
    }
}

fn push(data: &mut ColumnData, column: &Column, row: usize) {
    match data {
        ColumnData::Text(out) => out.push(column.text(row)),
        ColumnData::Int(out) | ColumnData::Instant(out) => out.push(column.int(row)),
        ColumnData::Bool(out) => out.push(column.int(row).map(|v| v != 0)),
        // Days of a date field fit: they were dates when they came.
        ColumnData::Date(out) => out.push(column.int(row).map(|v| v as i32)),
        ColumnData::Point(out) => out.push(column.point(row)),
    }
}
