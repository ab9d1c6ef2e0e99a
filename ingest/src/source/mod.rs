//! Files as streams of pieces: some whole rows each, small enough to work on in parallel.

mod delimited;
mod jsonl;
mod parquet;
mod sheet;
mod text;

use crate::cells::Row;
use crate::detect::{self, Format};
use crate::error::{IngestError, Result};
use crate::mapping::FormatOptions;
use crate::split::Dialect;
use flate2::read::MultiGzDecoder;
pub(crate) use jsonl::load as jsonl_load;
pub(crate) use parquet::cells as parquet_cells;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of text in a piece.
pub(crate) const PIECE: usize = 2 << 20;
/// Rows in a piece of a workbook or Parquet file.
pub(crate) const PIECE_ROWS: usize = 32_768;

/// The columns of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Header {
    pub names: Vec<String>,
    /// Rows name their columns themselves, so that a column may first appear late (JSON lines).
    pub open: bool,
    /// The file is a quarantine file of ours: its first columns are our remarks.
    pub quarantine: bool,
}

impl Header {
    pub fn position(&self, name: &str) -> Option<usize> {
        let skip = if self.quarantine { crate::quarantine::META_COLUMNS.len() } else { 0 };
        self.names.iter().skip(skip).position(|n| n == name).map(|i| i + skip)
    }

    /// Names as they come from a file: trimmed, none empty, none twice.
    fn from_names(names: impl IntoIterator<Item = String>) -> Self {
        let mut clean: Vec<String> = Vec::new();
        for (i, name) in names.into_iter().enumerate() {
            let mut name = name.trim().to_string();
            if name.is_empty() {
                name = format!("列{}", i + 1);
            }
            let mut unique = name.clone();
            let mut copy = 2;
            while clean.contains(&unique) {
                unique = format!("{name}_{copy}");
                copy += 1;
            }
            clean.push(unique);
        }
        let quarantine = clean.len() > crate::quarantine::META_COLUMNS.len()
            && clean.iter().zip(crate::quarantine::META_COLUMNS).all(|(a, b)| a == b);
        Self { names: clean, open: false, quarantine }
    }
}

/// Some whole rows.
pub(crate) struct Piece {
    /// Line (or row) of the first row.
    pub first_line: u64,
    pub body: Body,
}

pub(crate) enum Body {
    /// Whole records. `damaged`: bytes were replaced while decoding.
    Delimited {
        text: Vec<u8>,
        damaged: bool,
    },
    /// One line that opens a quote and never closes it.
    Unclosed(Vec<u8>),
    JsonLines {
        text: Vec<u8>,
        damaged: bool,
    },
    /// Cells of rows as texts.
    Cells(CellTable),
    Frame(polars::prelude::DataFrame),
}

/// Rows of cells, end to end.
#[derive(Debug, Default)]
pub(crate) struct CellTable {
    pub text: String,
    pub ends: Vec<u32>,
    /// For each row: its number in the file, and the number of cells up to its end.
    pub rows: Vec<(u64, u32)>,
}

impl CellTable {
    pub fn push(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.ends.push(self.text.len() as u32);
    }

    pub fn end_row(&mut self, number: u64) {
        self.rows.push((number, self.ends.len() as u32));
    }

    pub fn load<'a>(&self, row: usize, into: &mut Row<'a>) {
        let (number, end) = self.rows[row];
        let first = if row == 0 { 0 } else { self.rows[row - 1].1 };
        into.clear(number);
        into.binary = true;
        for cell in first..end {
            let cell = cell as usize;
            let start = if cell == 0 { 0 } else { self.ends[cell - 1] as usize };
            into.push(&self.text[start..self.ends[cell] as usize]);
        }
    }
}

/// How far reading has come, in bytes of the file as it lies on disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position(Arc<AtomicU64>);

impl Position {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// Counts bytes into a [`Position`].
pub(crate) struct Counting<R> {
    inner: R,
    position: Position,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.position.0.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Stops the reader: the error of the consumer, or nothing if it has enough.
pub(crate) enum Stop {
    Enough,
    Failed(IngestError),
}

impl From<IngestError> for Stop {
    fn from(error: IngestError) -> Self {
        Self::Failed(error)
    }
}

pub(crate) type Emit<'a> = dyn FnMut(Piece) -> Result<(), Stop> + 'a;

/// An opened file whose columns are known.
pub(crate) struct Opened {
    pub header: Header,
    pub format: Format,
    pub layout: Layout,
    /// For the preview: names of the encoding and the sheets.
    pub encoding: Option<&'static str>,
    pub sheets: Vec<String>,
    pub position: Position,
    reader: Reader,
}

/// What a worker must know to take rows out of a piece.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub dialect: Dialect,
}

enum Reader {
    Delimited(text::TextReader),
    Jsonl(text::TextReader),
    Sheet(Box<sheet::SheetReader>),
    Parquet(Box<parquet::ParquetSource>),
}

/// Opens a file, finds out what it is and reads its columns.
pub(crate) fn open(path: &Path, name: &str, options: &FormatOptions, max_bytes: Option<u64>) -> Result<Opened> {
    let file = File::open(path).map_err(|e| IngestError::io(path, e))?;
    let mut head = [0u8; 4];
    let n = read_fully(&mut &file, &mut head).map_err(|e| IngestError::io(path, e))?;
    let gzip = detect::is_gzip(&head[..n]);
    let position = Position::default();
    let start = || -> Result<Box<dyn Read + Send>> {
        position.set(0);
        let file = File::open(path).map_err(|e| IngestError::io(path, e))?;
        let counted =
            Counting { inner: std::io::BufReader::with_capacity(256 << 10, file), position: position.clone() };
        Ok(if gzip {
            Box::new(MultiGzDecoder::new(std::io::BufReader::with_capacity(256 << 10, counted)))
        } else {
            Box::new(counted)
        })
    };
    let mut sample = vec![0u8; 64 << 10];
    let n = read_fully(&mut start()?, &mut sample).map_err(|e| IngestError::unreadable(name, e))?;
    sample.truncate(n);
    // A quarantine file is CSV, whatever its rows came from.
    let format = match options.kind {
        _ if is_quarantine(&sample) => Format::Csv,
        Some(kind) => kind,
        None => detect::format(name, &sample).ok_or_else(|| IngestError::UnknownFormat { file: name.to_string() })?,
    };
    match format {
        Format::Csv | Format::Tsv => delimited::open(start()?, format, name, options, max_bytes, position.clone()),
        Format::Jsonl => jsonl::open(start()?, name, options, max_bytes, position.clone()),
        Format::Xlsx | Format::Parquet => {
            // These formats are read at any place, so a compressed one is unpacked beside.
            let file = if gzip {
                unpack(start()?, name, max_bytes)?
            } else {
                File::open(path).map_err(|e| IngestError::io(path, e))?
            };
            let bytes = std::fs::metadata(path).map_err(|e| IngestError::io(path, e))?.len();
            if format == Format::Xlsx {
                sheet::open(file, name, options, position.clone(), bytes)
            } else {
                parquet::open(file, name, position.clone(), bytes)
            }
        }
    }
}

/// The first line of our quarantine files.
fn is_quarantine(sample: &[u8]) -> bool {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    sample.starts_with(format!("{},", crate::quarantine::META_COLUMNS.join(",")).as_bytes())
}

fn unpack(mut from: Box<dyn Read + Send>, name: &str, max_bytes: Option<u64>) -> Result<File> {
    let fail = |e: std::io::Error| IngestError::unreadable(name, e);
    let mut file = tempfile::tempfile().map_err(fail)?;
    let mut buffer = vec![0u8; 256 << 10];
    let mut total = 0u64;
    loop {
        let n = from.read(&mut buffer).map_err(fail)?;
        if n == 0 {
            break;
        }
        total += n as u64;
        if let Some(limit) = max_bytes.filter(|limit| total > *limit) {
            return Err(IngestError::TooLarge { limit });
        }
        file.write_all(&buffer[..n]).map_err(fail)?;
    }
    std::io::Seek::rewind(&mut file).map_err(fail)?;
    Ok(file)
}

/// Reads until the buffer is full or the input ends.
pub(crate) fn read_fully(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

impl Opened {
    /// Reads all rows, in order.
    pub fn run(self, emit: &mut Emit) -> Result<()> {
        let outcome = match self.reader {
            Reader::Delimited(reader) => delimited::run(reader, &self.layout.dialect, emit),
            Reader::Jsonl(reader) => jsonl::run(reader, emit),
            Reader::Sheet(reader) => sheet::run(*reader, self.header.names.len(), emit),
            Reader::Parquet(reader) => parquet::run(*reader, emit),
        };
        match outcome {
            Ok(()) | Err(Stop::Enough) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}
