//! JSON lines: an object a line.

use super::text::{TextReader, pieces};
use super::{Body, Emit, Header, Layout, Opened, Position, Reader, Stop};
use crate::cells::Row;
use crate::detect::Format;
use crate::error::{IngestError, Result};
use crate::mapping::FormatOptions;
use crate::split::Dialect;
use memchr::{memchr, memrchr};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::Read;

/// A line longer than this is not JSON lines.
const MAX_LINE: usize = 64 << 20;
/// Lines whose names are collected for the preview.
const SAMPLE_LINES: usize = 1_000;

pub(crate) fn open(
    input: Box<dyn Read + Send>,
    name: &str,
    options: &FormatOptions,
    max_bytes: Option<u64>,
    position: Position,
) -> Result<Opened> {
    let mut reader = TextReader::open(input, name, options.encoding.as_deref(), max_bytes)?;
    let mut want = 1 << 20;
    loop {
        reader.fill(want)?;
        if reader.ended || memchr(b'\n', &reader.buffer).is_some() || want >= MAX_LINE {
            break;
        }
        want *= 2;
    }
    let mut names: Vec<String> = Vec::new();
    let whole = if reader.ended { reader.buffer.len() } else { memrchr(b'\n', &reader.buffer).unwrap_or(0) };
    for line in reader.buffer[..whole].split(|b| *b == b'\n').take(SAMPLE_LINES) {
        if let Ok(object) = serde_json::from_slice::<Map<String, Value>>(line) {
            for key in object.keys() {
                if !names.contains(key) {
                    names.push(key.clone());
                }
            }
        }
    }
    if names.is_empty() && reader.buffer.iter().all(u8::is_ascii_whitespace) {
        return Err(IngestError::Empty);
    }
    Ok(Opened {
        header: Header { names, open: true, quarantine: false },
        format: Format::Jsonl,
        layout: Layout { dialect: Dialect { delimiter: b',', quote: Some(b'"') } },
        encoding: Some(reader.encoding.name()),
        sheets: Vec::new(),
        position,
        reader: Reader::Jsonl(reader),
    })
}

pub(crate) fn run(reader: TextReader, emit: &mut Emit) -> Result<(), Stop> {
    let split = |buffer: &[u8], ended: bool| {
        if ended { buffer.len() } else { memrchr(b'\n', buffer).map_or(0, |i| i + 1) }
    };
    let stuck = |_: &[u8]| {
        Err(IngestError::Unreadable { file: "jsonl".into(), reason: "一行超过 64 MB，不是 JSON Lines".into() })
    };
    pieces(reader, MAX_LINE, split, |text, damaged| Body::JsonLines { text, damaged }, stuck, Body::Unclosed, emit)
}

/// The cells of a line, by the columns of the header; `Err`: why the line is no object.
pub(crate) fn load(
    line: &str,
    columns: &HashMap<String, usize>,
    count: usize,
    row: &mut Row,
    number: u64,
) -> Result<(), String> {
    row.clear(number);
    let object: Map<String, Value> = match serde_json::from_str(line) {
        Ok(object) => object,
        Err(error) => {
            row.push(line);
            return Err(format!("不是有效的 JSON 对象（第 {} 个字符处）", error.column()));
        }
    };
    let mut cells: Vec<Option<&Value>> = vec![None; count];
    for (key, value) in &object {
        if let Some(&index) = columns.get(key) {
            cells[index] = Some(value);
        }
        nested(key, value, columns, &mut cells);
    }
    for cell in cells {
        row.push_with(|text| cell.into_iter().for_each(|value| write(value, text)));
    }
    Ok(())
}

/// Finds columns named by a path, `place.lon`.
fn nested<'v>(prefix: &str, value: &'v Value, columns: &HashMap<String, usize>, cells: &mut [Option<&'v Value>]) {
    let Value::Object(object) = value else { return };
    for (key, value) in object {
        let path = format!("{prefix}.{key}");
        if let Some(&index) = columns.get(&path) {
            cells[index] = Some(value);
        }
        nested(&path, value, columns, cells);
    }
}

/// The text of a value: lists of plain values with commas, objects as JSON.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => {}
        Value::String(s) => text.push_str(s),
        Value::Array(list) if list.iter().all(|v| !v.is_array() && !v.is_object()) => {
            for (i, item) in list.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write(item, text);
            }
        }
        other => text.push_str(&other.to_string()),
    }
}
