//! One dataset's folder: its live segments as an immutable snapshot, and the slot of its writer.

use crate::column::Bits;
use crate::error::{OlapError, Result};
use crate::manifest::{self, Manifest};
use crate::rollup::Rollups;
use crate::segment::{Cell, Segment};
use roaring::RoaringBitmap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use zonglan_catalog::batch::date_of;
use zonglan_catalog::dataset::FieldType;
use zonglan_catalog::time::local_midnight;
use zonglan_catalog::traits::DatasetState;

/// A segment as of one commit.
#[derive(Debug, Clone)]
pub struct View {
    pub segment: Arc<Segment>,
    pub deleted: Option<Arc<Bits>>,
    pub live: u64,
}

impl View {
    pub fn is_live(&self, row: usize) -> bool {
        self.deleted.as_ref().is_none_or(|d| !d.get(row))
    }
}

/// What a commit left: readers keep theirs while later commits go on.
#[derive(Debug)]
pub struct Snapshot {
    pub manifest: Manifest,
    pub views: Vec<View>,
    pub state: DatasetState,
}

#[derive(Debug)]
pub struct Table {
    pub folder: PathBuf,
    snapshot: RwLock<Arc<Snapshot>>,
    writing: Mutex<bool>,
    free: Condvar,
    pub compacting: AtomicBool,
    pub rollups: Rollups,
}

/// Held by the one transaction or compaction that may change a table.
#[derive(Debug)]
pub struct Slot(Arc<Table>);

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.writing.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.free.notify_one();
    }
}

impl Table {
    /// Opens a folder. A writer also removes what dead transactions left behind.
    pub fn open(folder: &Path, dataset: &str, read_only: bool) -> Result<Self> {
        let mut tries = 0;
        let snapshot = loop {
            let manifest = Manifest::load(folder)?.unwrap_or_else(|| Manifest::new(dataset));
            match open_views(folder, &manifest) {
                Ok(views) => break Snapshot::new(manifest, views)?,
                // A running writer has replaced a segment between the two reads.
                Err(OlapError::Io { source, .. })
                    if read_only && tries < 20 && source.kind() == std::io::ErrorKind::NotFound =>
                {
                    tries += 1
                }
                Err(error) => return Err(error),
            }
        };
        if !read_only && folder.is_dir() {
            remove_leftovers(folder, &snapshot.manifest)?;
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            snapshot: RwLock::new(Arc::new(snapshot)),
            writing: Mutex::new(false),
            free: Condvar::new(),
            compacting: AtomicBool::new(false),
            rollups: Rollups::default(),
        })
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until no other transaction is open, and keeps others out.
    pub fn slot(self: &Arc<Self>) -> Slot {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        while *writing {
            writing = self.free.wait(writing).unwrap_or_else(PoisonError::into_inner);
        }
        *writing = true;
        Slot(self.clone())
    }

    /// Makes a state durable and visible. The caller holds the slot; new segments are durable.
    pub fn publish(&self, manifest: Manifest, views: Vec<View>) -> Result<()> {
        let next = Snapshot::new(manifest, views)?;
        // Kept first: a manifest that names a removed file would be worse than a leftover file.
        next.views.iter().for_each(|v| v.segment.keep());
        next.manifest.store(&self.folder)?;
        let old =
            std::mem::replace(&mut *self.snapshot.write().unwrap_or_else(PoisonError::into_inner), Arc::new(next));
        let next = self.snapshot();
        let live: BTreeSet<u64> = next.views.iter().map(|v| v.segment.meta.id).collect();
        for (view, meta) in old.views.iter().zip(&old.manifest.segments) {
            if !live.contains(&view.segment.meta.id) {
                view.segment.doom();
            }
            if let Some((number, _)) = meta.deleted
                && !next.manifest.segments.iter().any(|m| m.id == meta.id && m.deleted == meta.deleted)
            {
                // Left over at worst; the next opening removes it.
                let _ = std::fs::remove_file(deleted_path(&self.folder, meta.id, number));
            }
        }
        Ok(())
    }
}

pub fn deleted_path(folder: &Path, id: u64, number: u64) -> PathBuf {
    folder.join(format!("{id}.{number}.deleted"))
}

fn open_views(folder: &Path, manifest: &Manifest) -> Result<Vec<View>> {
    manifest
        .segments
        .iter()
        .map(|meta| {
            let segment = Segment::open(folder, meta.clone())?;
            let rows = segment.rows();
            let deleted = match meta.deleted {
                None => None,
                Some((number, _)) => {
                    let path = deleted_path(folder, meta.id, number);
                    let bytes = std::fs::read(&path).map_err(OlapError::io(&path))?;
                    let bitmap = RoaringBitmap::deserialize_from(&bytes[..])
                        .map_err(|e| OlapError::corrupt(&path, e.to_string()))?;
                    let mut bits = Bits::none(rows);
                    bitmap.iter().filter(|row| (*row as usize) < rows).for_each(|row| bits.set(row as usize));
                    Some(Arc::new(bits))
                }
            };
            let live = rows as u64 - deleted.as_ref().map_or(0, |d| d.count());
            Ok(View { segment: Arc::new(segment), deleted, live })
        })
        .collect()
}

/// Makes a segment's set of deleted rows durable.
pub fn write_deleted(folder: &Path, id: u64, number: u64, bits: &Bits) -> Result<()> {
    let mut bitmap = RoaringBitmap::new();
    for (index, word) in bits.words.iter().enumerate() {
        let mut word = *word;
        while word != 0 {
            bitmap.insert((index * 64) as u32 + word.trailing_zeros());
            word &= word - 1;
        }
    }
    bitmap.optimize();
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).map_err(|e| OlapError::Internal(e.to_string()))?;
    let path = deleted_path(folder, id, number);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    manifest::replace(folder, &name, &bytes)
}

fn remove_leftovers(folder: &Path, manifest: &Manifest) -> Result<()> {
    let mut known: BTreeSet<String> = BTreeSet::from([manifest::FILE.to_string()]);
    for meta in &manifest.segments {
        known.insert(format!("{}.parquet", meta.id));
        known.insert(format!("{}.side", meta.id));
        if let Some((number, _)) = meta.deleted {
            known.insert(format!("{}.{number}.deleted", meta.id));
        }
    }
    for entry in std::fs::read_dir(folder).map_err(OlapError::io(folder))? {
        let entry = entry.map_err(OlapError::io(folder))?;
        if !known.contains(&*entry.file_name().to_string_lossy()) {
            std::fs::remove_file(entry.path()).map_err(OlapError::io(&entry.path()))?;
        }
    }
    Ok(())
}

impl Snapshot {
    pub fn new(manifest: Manifest, views: Vec<View>) -> Result<Self> {
        let mut state = DatasetState {
            version: manifest.version,
            rows: views.iter().map(|v| v.live).sum(),
            first_event: None,
            watermark: None,
            loaded_at: manifest.loaded_at,
        };
        for view in &views {
            if let Some((first, last)) = event_range(view)? {
                state.first_event = Some(state.first_event.map_or(first, |f| f.min(first)));
                state.watermark = Some(state.watermark.map_or(last, |w| w.max(last)));
            }
        }
        Ok(Self { manifest, views, state })
    }
}

/// First and last event time of the live rows, in milliseconds.
fn event_range(view: &View) -> Result<Option<(i64, i64)>> {
    let meta = &view.segment.meta;
    let Some(place) = meta.sorted_by.as_ref().and_then(|name| meta.columns.iter().position(|c| c.name == *name)) else {
        return Ok(None);
    };
    let column = &meta.columns[place];
    let Some(mut range) = column.range else { return Ok(None) };
    if let Some(deleted) = &view.deleted {
        let rows = view.segment.rows();
        let first = (0..rows).find(|r| !deleted.get(*r));
        let last = (0..rows).rev().find(|r| !deleted.get(*r));
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        let cells = view.segment.cells(place, column.scale, &[first as u32, last as u32])?;
        match (&cells[0], &cells[1]) {
            (Cell::Int(first), Cell::Int(last)) => range = (*first, *last),
            (Cell::Int(first), _) => {
                // The last live rows have no time: look for the last that has one.
                let times = view.segment.column(place, column.scale)?;
                let last = (0..rows).rev().filter(|r| !deleted.get(*r)).find_map(|r| times.int(r));
                range = (*first, last.unwrap_or(*first));
            }
            _ => return Ok(None),
        }
    }
    let millis = |v: i64| if column.kind == FieldType::Date { local_midnight(date_of(v as i32)) } else { v };
    Ok(Some((millis(range.0), millis(range.1))))
}
