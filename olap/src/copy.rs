//! A whole dataset from one store into another.

use crate::error::{OlapError, Result};
use crate::store::Store;
use std::sync::Arc;
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
        self.batches(dataset, ROWS, &mut |batch| {
            total += batch.len() as u64;
            txn.upsert(batch).map(|()| true)
        })?;
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
