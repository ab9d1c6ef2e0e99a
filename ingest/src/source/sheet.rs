//! Workbooks: one sheet, cell by cell, never the whole sheet in memory.

use super::{Body, CellTable, Emit, Header, Layout, Opened, PIECE_ROWS, Piece, Position, Reader, Stop};
use crate::detect::Format;
use crate::error::{IngestError, Result};
use crate::mapping::FormatOptions;
use crate::split::Dialect;
use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx, XlsxError};
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;

type Book = Xlsx<BufReader<File>>;

pub(crate) struct SheetReader {
    book: Book,
    name: String,
    sheet: String,
    /// The row of the names, from 0; data follow. `None`: no names.
    header_row: Option<u32>,
    position: Position,
    bytes: u64,
}

pub(crate) fn open(file: File, name: &str, options: &FormatOptions, position: Position, bytes: u64) -> Result<Opened> {
    let fail = |e: XlsxError| IngestError::unreadable(name, e);
    let mut book: Book = Xlsx::new(BufReader::new(file)).map_err(fail)?;
    let sheets = book.sheet_names().to_vec();
    let sheet = match &options.sheet {
        Some(wanted) if sheets.contains(wanted) => wanted.clone(),
        Some(wanted) => return Err(IngestError::NoSheet { sheet: wanted.clone(), known: sheets.join("、") }),
        None => sheets.first().cloned().ok_or(IngestError::Empty)?,
    };
    let (header, header_row) = read_header(&mut book, &sheet, options.header_row).map_err(fail)?;
    if header.names.is_empty() {
        return Err(IngestError::Empty);
    }
    Ok(Opened {
        header,
        format: Format::Xlsx,
        layout: Layout { dialect: Dialect { delimiter: b',', quote: Some(b'"') } },
        encoding: None,
        sheets,
        position: position.clone(),
        reader: Reader::Sheet(Box::new(SheetReader {
            book,
            name: name.to_string(),
            sheet,
            header_row,
            position,
            bytes,
        })),
    })
}

/// Rows looked at for the names: office tables have titles and remarks above them.
const HEADER_ROWS: u32 = 20;

/// The names of the columns and the row that they stand in: the one asked for, or the first with
/// at least two cells. Blank cells between names count as columns, so that a cell's column is its place.
fn read_header(book: &mut Book, sheet: &str, wanted: Option<usize>) -> Result<(Header, Option<u32>), XlsxError> {
    let mut cells = book.worksheet_cells_reader(sheet)?;
    let width = cells.dimensions().end.1 as usize + 1;
    if wanted == Some(0) {
        return Ok((Header::from_names((1..=width).map(|i| i.to_string())), None));
    }
    let mut first: Option<(u32, Vec<String>)> = None;
    let mut names: Vec<String> = Vec::new();
    let mut current = None;
    while let Some(cell) = cells.next_cell()? {
        let (row, column) = cell.get_position();
        if *cell.get_value() == DataRef::Empty || wanted.is_some_and(|w| (row as usize) + 1 < w) {
            continue;
        }
        if current.is_some_and(|c| c != row) {
            let done = std::mem::take(&mut names);
            let several = done.iter().filter(|n| !n.is_empty()).count() > 1;
            let found = (current.unwrap_or_default(), done);
            if several || wanted.is_some() {
                return Ok((Header::from_names(found.1), Some(found.0)));
            }
            first.get_or_insert(found);
            if row > HEADER_ROWS {
                break;
            }
        }
        current = Some(row);
        names.resize(column as usize, String::new());
        let mut text = String::new();
        write_cell(cell.get_value(), &mut text);
        names.push(text);
    }
    let last = current.filter(|_| names.iter().filter(|n| !n.is_empty()).count() > 1).map(|row| (row, names.clone()));
    let (row, names) = last.or(first).unwrap_or((current.unwrap_or_default(), names));
    Ok((Header::from_names(names), Some(row)))
}

pub(crate) fn run(mut reader: SheetReader, columns: usize, emit: &mut Emit) -> Result<(), Stop> {
    let name = reader.name.clone();
    let fail = |e: XlsxError| Stop::Failed(IngestError::unreadable(&name, e));
    let first = reader.header_row.map_or(0, |r| r + 1);
    let mut cells = reader.book.worksheet_cells_reader(&reader.sheet).map_err(fail)?;
    let last_row = u64::from(cells.dimensions().end.0).max(1);
    let mut table = CellTable::default();
    let mut current: Option<u32> = None;
    let mut filled = 0usize;
    let mut flush = |table: &mut CellTable, row: u32| -> Result<(), Stop> {
        reader.position.set(reader.bytes * u64::from(row).min(last_row) / last_row);
        let table = std::mem::take(table);
        match table.rows.first() {
            Some(&(first_line, _)) => emit(Piece { first_line, body: Body::Cells(table) }),
            None => Ok(()),
        }
    };
    while let Some(cell) = cells.next_cell().map_err(fail)? {
        let (row, column) = cell.get_position();
        if row < first || *cell.get_value() == DataRef::Empty {
            continue;
        }
        if current != Some(row) {
            if let Some(done) = current {
                pad(&mut table, &mut filled, columns);
                table.end_row(u64::from(done) + 1);
                if table.rows.len() >= PIECE_ROWS || table.text.len() >= super::PIECE {
                    flush(&mut table, done)?;
                }
            }
            current = Some(row);
            filled = 0;
        }
        pad(&mut table, &mut filled, column as usize);
        table.push(|text| write_cell(cell.get_value(), text));
        filled += 1;
    }
    if let Some(done) = current {
        pad(&mut table, &mut filled, columns);
        table.end_row(u64::from(done) + 1);
        flush(&mut table, done)?;
    }
    Ok(())
}

fn pad(table: &mut CellTable, filled: &mut usize, columns: usize) {
    while *filled < columns {
        table.push(|_| ());
        *filled += 1;
    }
}

fn write_cell(value: &DataRef, text: &mut String) {
    match value {
        DataRef::Int(i) => _ = write!(text, "{i}"),
        DataRef::Float(f) => _ = write!(text, "{f}"),
        DataRef::String(s) => text.push_str(s),
        DataRef::SharedString(s) => text.push_str(s),
        DataRef::Bool(b) => text.push_str(if *b { "true" } else { "false" }),
        DataRef::DateTime(date) => write_date(date, text),
        DataRef::DateTimeIso(s) | DataRef::DurationIso(s) => text.push_str(s),
        DataRef::Error(error) => _ = write!(text, "#{error:?}"),
        DataRef::Empty => {}
    }
}

/// Serial dates are days with a fraction; the nearest second is what was meant.
fn write_date(date: &ExcelDateTime, text: &mut String) {
    let (year, month, day, hour, minute, second, milli) = date.to_ymd_hms_milli();
    let when = chrono::NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day))
        .and_then(|d| d.and_hms_milli_opt(u32::from(hour), u32::from(minute), u32::from(second), u32::from(milli)));
    match when {
        Some(when) if !date.is_duration() => {
            let when = when + chrono::Duration::milliseconds(500);
            if date.as_f64().fract() == 0.0 {
                _ = write!(text, "{}", when.format("%Y-%m-%d"));
            } else {
                _ = write!(text, "{}", when.format("%Y-%m-%dT%H:%M:%S"));
            }
        }
        _ => _ = write!(text, "{}", date.as_f64()),
    }
}
