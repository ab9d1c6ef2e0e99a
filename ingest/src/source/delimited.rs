//! Files of delimited text.

use super::text::{TextReader, pieces};
use super::{Body, Emit, Header, Layout, Opened, Position, Reader, Stop};
use crate::cells::Row;
use crate::detect::{self, Format};
use crate::error::{IngestError, Result};
use crate::mapping::FormatOptions;
use crate::split::{Dialect, MAX_RECORD, last_record_end, record_end};
use std::io::Read;

pub(crate) fn open(
    input: Box<dyn Read + Send>,
    format: Format,
    name: &str,
    options: &FormatOptions,
    max_bytes: Option<u64>,
    position: Position,
) -> Result<Opened> {
    let mut reader = TextReader::open(input, name, options.encoding.as_deref(), max_bytes)?;
    reader.fill(256 << 10)?;
    let sample = String::from_utf8_lossy(&reader.buffer).into_owned();
    let ours = super::is_quarantine(&reader.buffer);
    let dialect = if ours {
        Dialect { delimiter: b',', quote: Some(b'"') }
    } else {
        let delimiter = match options.delimiter.as_deref() {
            Some("\\t") => b'\t',
            Some(text) => text.bytes().next().unwrap_or(b','),
            None => detect::delimiter(&sample, format),
        };
        let quote = match options.quote.as_deref() {
            Some(text) => text.bytes().next(),
            None => Some(b'"'),
        };
        Dialect { delimiter, quote }
    };
    let header_row = if ours { None } else { options.header_row };
    let header = read_header(&mut reader, &dialect, header_row)?;
    Ok(Opened {
        header,
        format,
        layout: Layout { dialect },
        encoding: Some(reader.encoding.name()),
        sheets: Vec::new(),
        position,
        reader: Reader::Delimited(reader),
    })
}

/// Takes everything up to and including the row of names.
fn read_header(reader: &mut TextReader, dialect: &Dialect, row: Option<usize>) -> Result<Header> {
    let mut passed = 0;
    loop {
        let end = match record_end(dialect, &reader.buffer, 0) {
            Some(end) => end,
            None if reader.ended => reader.buffer.len(),
            None if reader.buffer.len() >= MAX_RECORD => return Err(IngestError::Empty),
            None => {
                reader.fill(reader.buffer.len() * 2 + 1024)?;
                continue;
            }
        };
        if end == 0 {
            return Err(IngestError::Empty);
        }
        let text = String::from_utf8_lossy(&reader.buffer[..end]).into_owned();
        let mut cells = Row::new(&text);
        cells.split(dialect, 0, text.len());
        if row == Some(0) {
            return Ok(Header::from_names((1..=cells.len()).map(|i| i.to_string())));
        }
        passed += 1;
        reader.take(end);
        let wanted = match row {
            Some(row) => passed == row,
            None => !cells.is_blank(),
        };
        if wanted {
            return Ok(Header::from_names((0..cells.len()).map(|i| cells.get(i).to_string())));
        }
    }
}

pub(crate) fn run(reader: TextReader, dialect: &Dialect, emit: &mut Emit) -> Result<(), Stop> {
    let split = |buffer: &[u8], ended: bool| {
        let end = last_record_end(dialect, buffer);
        // The last record of a file may lack its line end, but not its closing quote.
        if ended && end < buffer.len() && closes(dialect, &buffer[end..]) { buffer.len() } else { end }
    };
    let first_line = |buffer: &[u8]| Ok(memchr::memchr(b'\n', buffer).map_or(buffer.len(), |i| i + 1));
    pieces(
        reader,
        MAX_RECORD,
        split,
        |text, damaged| Body::Delimited { text, damaged },
        first_line,
        Body::Unclosed,
        emit,
    )
}

/// True if the bytes are a record but for the line end.
fn closes(dialect: &Dialect, rest: &[u8]) -> bool {
    let mut ended = rest.to_vec();
    ended.push(b'\n');
    record_end(dialect, &ended, 0) == Some(ended.len())
}
