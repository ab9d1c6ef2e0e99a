//! Filling an index anew while it serves.
//!
//! Rows are read from the store that has them all and written in the usual way; what the index has
//! already as it should be is passed over. An index of an older format lies in a folder of its own
//! and answers searches until the new one is complete; where only definitions changed, the rows of
//! one index are replaced one by one. What is left to do is told by the commits, so a stop or a
//! crash puts it off and loses nothing.

use crate::error::SearchError;
use crate::schema::{self, FORMAT, Slots};
use crate::shelf::{Shelf, lock};
use crate::{Indexes, Inner, sink};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zonglan_catalog::batch::RowKey;
use zonglan_catalog::dataset::{Dataset, Source};
use zonglan_catalog::error::Result;

/// What the index's rows depend on beside the rows themselves.
pub(crate) fn mark(dataset: &Dataset) -> u64 {
    RowKey::of([schema::signature(dataset).as_str()]).0 as u64
}

/// Folders of older formats by index, newest format first.
fn older(dir: &Path, name: Option<&str>) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<(String, u32, PathBuf)> = entries
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let (index, format) = file.rsplit_once('.')?;
            let format: u32 = format.parse().ok().filter(|n| *n < FORMAT)?;
            (name.is_none_or(|n| n == index)).then(|| (index.to_string(), format, entry.path()))
        })
        .collect();
    found.sort_by_key(|(_, format, _)| std::cmp::Reverse(*format));
    found.into_iter().map(|(index, _, path)| (index, path)).collect()
}

/// Opens what older formats can still be read: all fields that this program asks for are there.
pub(crate) fn open_older(dir: &Path) -> HashMap<String, Arc<Shelf>> {
    let mut shelves = HashMap::new();
    for (name, path) in older(dir, None) {
        if shelves.contains_key(&name) {
            continue;
        }
        match Shelf::open_older(&path, &name) {
            Ok(Some(shelf)) => {
                tracing::info!(index = name, "an index of an older format serves until it is rebuilt");
                shelves.insert(name, Arc::new(shelf));
            }
            Ok(None) => tracing::warn!(index = name, "an index of an older format cannot be read; it is rebuilt"),
            Err(error) => tracing::warn!(index = name, %error, "an index of an older format cannot be opened"),
        }
    }
    shelves
}

impl Slots {
    /// The fields by name, where the schema has them all.
    pub(crate) fn of(schema: &tantivy::schema::Schema) -> Option<Self> {
        let slot = |name: &str| schema.get_field(name).ok();
        Some(Self {
            ds: slot("ds")?,
            id: slot("id")?,
            key: slot("key")?,
            key_hi: slot("key_hi")?,
            key_lo: slot("key_lo")?,
            rev: slot("rev")?,
            text: slot("text")?,
            ends: slot("ends")?,
            attr: slot("attr")?,
            present: slot("present")?,
            doc: slot("doc")?,
        })
    }
}

impl Inner {
    /// The index that answers searches for a dataset: an older one while a new one is being filled.
    pub fn serving(&self, dataset: &Dataset) -> std::result::Result<Option<Arc<Shelf>>, SearchError> {
        let older = lock(&self.older).get(schema::index_of(dataset)).cloned();
        match older {
            Some(shelf) => Ok(Some(shelf)),
            None => self.shelf(dataset, false),
        }
    }
}

impl Indexes {
    /// Whether a dataset's rows must be read again from a store that has `stored` of them, because
    /// the index is new, of another definition, incomplete, or a rebuild was interrupted. From a
    /// `true` on this is remembered until [`Self::rebuilt`]. Registers are read from their log.
    pub fn outdated(&self, dataset: &Dataset, stored: u64) -> Result<bool> {
        if self.0.read_only || dataset.source != Source::Import {
            return Ok(false);
        }
        if stored == 0 && self.0.shelf(dataset, false)?.is_none() {
            return Ok(false);
        }
        let Some(shelf) = self.0.shelf(dataset, true)? else { return Err(SearchError::ReadOnly.into()) };
        let known = shelf.dataset(&dataset.name).unwrap_or_default();
        if known.rebuilding {
            return Ok(true);
        }
        let mark = mark(dataset);
        let outdated = known.signature.is_some_and(|s| s != mark) || sink::row_count(&shelf, &dataset.name) < stored;
        if outdated || known.signature.is_none() {
            self.note(dataset, &shelf, (!outdated).then_some(mark), outdated)?;
        }
        if !outdated {
            // A crash may have come between the last row and this.
            self.retire(schema::index_of(dataset));
        }
        Ok(outdated)
    }

    /// Remembers that an index has all rows of a dataset, and lets go of an older one.
    pub fn rebuilt(&self, dataset: &Dataset) -> Result<()> {
        if let Some(shelf) = self.0.shelf(dataset, false)? {
            self.note(dataset, &shelf, Some(mark(dataset)), false)?;
            self.retire(schema::index_of(dataset));
        }
        Ok(())
    }

    /// Whether an index of an older format answers for this dataset.
    pub fn serves_older(&self, dataset: &Dataset) -> bool {
        lock(&self.0.older).contains_key(schema::index_of(dataset))
    }

    /// Removes the folders of older formats of an index whose rows are all in the new one.
    fn retire(&self, name: &str) {
        // Searches that are under way keep their files open.
        lock(&self.0.older).remove(name);
        for (_, path) in older(&self.0.dir, Some(name)) {
            if let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "an index that is no longer used cannot be removed");
            }
        }
    }

    fn note(&self, dataset: &Dataset, shelf: &Arc<Shelf>, signature: Option<u64>, rebuilding: bool) -> Result<()> {
        let mut writer = self.0.writer(shelf)?;
        let outcome = shelf.commit(&mut writer, |payload| {
            let entry = payload.datasets.entry(dataset.name.clone()).or_default();
            entry.signature = signature.or(entry.signature);
            entry.rebuilding = rebuilding;
        });
        shelf.return_writer(outcome.is_ok().then_some(writer), &self.0.permits);
        Ok(outcome?)
    }
}
