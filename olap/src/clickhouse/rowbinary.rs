//! Rows in ClickHouse's RowBinary: fixed-width numbers in little endian, texts with their length
//! (LEB128) before them, and a byte before what may be null.

use crate::error::{OlapError, Result};
use crate::segment::{Cell, ColumnOut};
use std::io::{BufReader, Read};
use zonglan_catalog::dataset::FieldType;

/// Appends a length.
pub fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push((length as u8 & 0x7f) | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Appends a text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_nullable(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => {
            out.push(0);
            put_text(out, text);
        }
        None => out.push(1),
    }
}

/// Appends one cell of a column.
pub fn put_cell(out: &mut Vec<u8>, kind: FieldType, column: &ColumnOut, row: usize) {
    match column {
        ColumnOut::Codes(codes, dict) => {
            let code = codes.get(row) as usize;
            put_nullable(out, (code < dict.len()).then(|| dict.get(code)));
        }
        ColumnOut::Text(texts) => put_nullable(out, texts.get(row)),
        ColumnOut::Int(values) if values[row] == i64::MIN => out.push(1),
        ColumnOut::Int(values) => {
            out.push(0);
            match kind {
                FieldType::Bool => out.push(u8::from(values[row] != 0)),
                FieldType::Date => out.extend_from_slice(&(values[row] as i32).to_le_bytes()),
                _ => out.extend_from_slice(&values[row].to_le_bytes()),
            }
        }
        ColumnOut::Point(points) => {
            let (x, y) = points[row];
            for value in [x, y] {
                if x.is_nan() {
                    out.push(1);
                } else {
                    out.push(0);
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }
        }
    }
}

/// Reads values one after the other.
pub struct Rows<R: Read> {
    reader: BufReader<R>,
}

impl<R: Read> Rows<R> {
    pub fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(1 << 18, reader) }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|e| OlapError::Away(e.to_string()))?;
        Ok(bytes)
    }

    /// Whether another row follows.
    pub fn more(&mut self) -> Result<bool> {
        use std::io::BufRead;
        Ok(!self.reader.fill_buf().map_err(|e| OlapError::Away(e.to_string()))?.is_empty())
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.bytes()?))
    }

    pub fn u128(&mut self) -> Result<u128> {
        Ok(u128::from_le_bytes(self.bytes()?))
    }

    fn null(&mut self) -> Result<bool> {
        Ok(self.bytes::<1>()?[0] == 1)
    }

    pub fn text(&mut self) -> Result<String> {
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let [byte] = self.bytes()?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 56 {
                break;
            }
        }
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(length as u64).read_to_end(&mut bytes);
        if read.map_err(|e| OlapError::Away(e.to_string()))? < length {
            return Err(OlapError::Away("the answer ends within a text".into()));
        }
        String::from_utf8(bytes).map_err(|e| OlapError::Internal(e.to_string()))
    }

    pub fn nullable_i64(&mut self) -> Result<Option<i64>> {
        Ok(if self.null()? { None } else { Some(self.i64()?) })
    }

    pub fn nullable_text(&mut self) -> Result<Option<String>> {
        Ok(if self.null()? { None } else { Some(self.text()?) })
    }

    /// One cell of a field's column.
    pub fn cell(&mut self, kind: FieldType) -> Result<Cell> {
        if kind == FieldType::Point {
            let mut part =
                || -> Result<f64> { if self.null()? { Ok(f64::NAN) } else { Ok(f64::from_le_bytes(self.bytes()?)) } };
            let (x, y) = (part()?, part()?);
            return Ok(if x.is_nan() { Cell::Null } else { Cell::Point(x, y) });
        }
        if self.null()? {
            return Ok(Cell::Null);
        }
        Ok(match kind {
            FieldType::Bool => Cell::Int(i64::from(self.bytes::<1>()?[0])),
            FieldType::Date => Cell::Int(i64::from(i32::from_le_bytes(self.bytes()?))),
            FieldType::Int | FieldType::Decimal | FieldType::Instant => Cell::Int(self.i64()?),
            _ => Cell::Text(self.text()?),
        })
    }
}
