//! The manifest of a dataset: which segments are live, replaced as a whole at every commit.

use crate::error::{OlapError, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use zonglan_catalog::dataset::FieldType;

pub const FILE: &str = "manifest.json";
const FORMAT: u32 = 1;

/// Everything about a dataset's rows but the rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub dataset: String,
    /// Counts up with every commit that changed rows.
    pub version: u64,
    /// Milliseconds since 1970 UTC of the last such commit.
    pub loaded_at: Option<i64>,
    /// The next file number; numbers are never used twice.
    pub next: u64,
    pub segments: Vec<SegmentMeta>,
    /// Position per stream of input.
    pub cursors: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SegmentMeta {
    pub id: u64,
    pub rows: u32,
    /// Bytes on disk.
    pub bytes: u64,
    /// The field by which the rows ascend, nulls last.
    pub sorted_by: Option<String>,
    pub columns: Vec<ColumnMeta>,
    /// Number of the file of deleted rows (`<id>.<number>.deleted`), and how many there are.
    #[serde(default)]
    pub deleted: Option<(u64, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMeta {
    pub name: String,
    pub kind: FieldType,
    #[serde(default)]
    pub scale: u8,
    pub layout: Layout,
    /// Smallest and largest number, day or millisecond.
    #[serde(default)]
    pub range: Option<(i64, i64)>,
}

/// How a column lies in the Parquet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Positions in the sidecar's dictionary; its length is null.
    Codes,
    /// Strings.
    Text,
    /// Signed integers; days and milliseconds too.
    Int,
    /// Two columns, `<name>.lon` and `<name>.lat`.
    Point,
}

impl Manifest {
    pub fn new(dataset: &str) -> Self {
        Self {
            format: FORMAT,
            dataset: dataset.to_string(),
            version: 0,
            loaded_at: None,
            next: 1,
            segments: Vec::new(),
            cursors: BTreeMap::new(),
        }
    }

    /// The manifest of a folder; `None` where nothing was ever committed.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(OlapError::io(&path)(e)),
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|e| OlapError::corrupt(&path, e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(OlapError::corrupt(
                &path,
                format!("format {} was written by another version; this one reads {FORMAT}", manifest.format),
            ));
        }
        Ok(Some(manifest))
    }

    /// Replaces the folder's manifest; durable when it returns.
    pub fn store(&self, folder: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|e| OlapError::Internal(e.to_string()))?;
        replace(folder, FILE, &bytes)
    }
}

/// Writes a file under a temporary name, makes it durable and renames it into place.
pub fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = folder.join(format!("{name}.tmp"));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(OlapError::io(&temporary))?;
    std::fs::rename(&temporary, folder.join(name)).map_err(OlapError::io(&temporary))?;
    sync_folder(folder)
}

/// Makes renames and new names in a folder durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(OlapError::io(folder))
}
