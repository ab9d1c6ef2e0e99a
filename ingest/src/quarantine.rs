//! The file of rows that failed: why, where, and the row itself, so that it can be corrected in a
//! spreadsheet and loaded again with the same mapping.

use crate::error::{IngestError, Result};
use crate::rows::BadRow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// The first columns of a quarantine file; the file's own columns follow.
pub const META_COLUMNS: [&str; 4] = ["line", "column", "value", "reason"];

/// Written beside its final name and moved there when complete and durable.
pub(crate) struct Quarantine {
    path: PathBuf,
    columns: Vec<String>,
    file: Option<BufWriter<File>>,
    pub rows: u64,
}

impl Quarantine {
    /// `columns`: names of the file's columns. Nothing is written before the first row.
    pub fn new(path: PathBuf, columns: Vec<String>) -> Self {
        Self { path, columns, file: None, rows: 0 }
    }

    pub fn write(&mut self, row: &BadRow) -> Result<()> {
        let path = self.part();
        let fail = |e| IngestError::io(&path, e);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                if let Some(dir) = self.path.parent() {
                    std::fs::create_dir_all(dir).map_err(|e| IngestError::io(dir, e))?;
                }
                let mut file = BufWriter::new(File::create(&path).map_err(fail)?);
                // The mark makes spreadsheets read UTF-8.
                file.write_all(b"\xef\xbb\xbf").map_err(fail)?;
                let names = META_COLUMNS.into_iter().chain(self.columns.iter().map(String::as_str));
                write_record(&mut file, names).map_err(fail)?;
                self.file.insert(file)
            }
        };
        let line = row.line.to_string();
        let meta = [line.as_str(), &row.column, &row.value, &row.reason];
        write_record(file, meta.into_iter().chain(row.raw.iter().map(String::as_str))).map_err(fail)?;
        self.rows += 1;
        Ok(())
    }

    /// Makes the file durable; `None` if no row failed.
    pub fn finish(mut self) -> Result<Option<PathBuf>> {
        let part = self.part();
        let Some(file) = self.file.take() else { return Ok(None) };
        let fail = |e| IngestError::io(&part, e);
        let file = file.into_inner().map_err(|e| fail(e.into_error()))?;
        file.sync_all().map_err(fail)?;
        std::fs::rename(&part, &self.path).map_err(fail)?;
        sync_dir(&self.path)?;
        Ok(Some(self.path.clone()))
    }

    fn part(&self) -> PathBuf {
        self.path.with_extension("csv.part")
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // An abandoned import leaves nothing; failing to remove it harms nobody.
            _ = std::fs::remove_file(self.part());
        }
    }
}

/// Makes a rename durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir).and_then(|d| d.sync_all()).map_err(|e| IngestError::io(dir, e)),
        None => Ok(()),
    }
}

fn write_record<'a>(file: &mut impl Write, cells: impl Iterator<Item = &'a str>) -> std::io::Result<()> {
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            file.write_all(b",")?;
        }
        if cell.contains([',', '"', '\n', '\r']) {
            file.write_all(b"\"")?;
            file.write_all(cell.replace('"', "\"\"").as_bytes())?;
            file.write_all(b"\"")?;
        } else {
            file.write_all(cell.as_bytes())?;
        }
    }
    file.write_all(b"\n")
}
