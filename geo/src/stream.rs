//! Files of any length through a transform: CSV and GeoJSON, read and written piece by piece.
//!
//! What cannot be converted is reported and passed by; the original coordinates always stay in a
//! CSV, beside the new ones.

use std::io::{self, BufRead, Read, Write};

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::geometry::transform_geojson;
use crate::transform::Transform;

/// A stream came to an end before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("column \"{wanted}\" is not in the header: {header}")]
    NoColumn { wanted: String, header: String },
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A row or feature that was passed by.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct BadRow {
    /// Line of the file where the row begins (the header is 1), or number of the feature from 1.
    pub row: u64,
    /// A stable name: not_a_number, missing_field or a code of [`crate::PointError`], or geometry.
    pub code: &'static str,
    /// In Chinese.
    pub reason: String,
}

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct StreamSummary {
    /// Rows or features read.
    pub rows: u64,
    pub converted: u64,
    pub bad: u64,
}

/// A column of a CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// As in the header, without regard to blanks around and letter case.
    Name(String),
    /// From 0.
    Index(usize),
}

/// Which columns hold the coordinates, and what the new ones are called.
#[derive(Debug, Clone)]
pub struct CsvOptions {
    /// Longitude or east.
    pub x: Column,
    /// Latitude or north.
    pub y: Column,
    pub delimiter: u8,
    pub x_out: String,
    pub y_out: String,
    /// A third new column with the reason why a row was not converted.
    pub error_out: Option<String>,
}

impl CsvOptions {
    /// New columns named after the target: `gcj02_x`, `gcj02_y`.
    pub fn new(x: Column, y: Column, transform: &Transform) -> Self {
        let to = transform.to();
        Self { x, y, delimiter: b',', x_out: format!("{to}_x"), y_out: format!("{to}_y"), error_out: None }
    }

    /// With a column for reasons: `gcj02_error`.
    pub fn with_errors(mut self, transform: &Transform) -> Self {
        self.error_out = Some(format!("{}_error", transform.to()));
        self
    }
}

/// Rows converted at a time.
const BATCH: usize = 4096;

/// Appends two columns to a CSV with a header (UTF-8, GB18030 or another encoding that keeps ASCII;
/// quotes as in RFC 4180). Bad rows keep their place with the two new fields empty and are told to
/// `on_bad`.
pub fn stream_csv(
    transform: &Transform,
    options: &CsvOptions,
    mut input: impl BufRead,
    mut output: impl Write,
    mut on_bad: impl FnMut(BadRow),
) -> Result<StreamSummary, StreamError> {
    let mut summary = StreamSummary::default();
    let mut record = Vec::new();
    let mut line = 1;
    let taken = read_record(&mut input, &mut record)?;
    if taken == 0 {
        return Ok(summary);
    }
    let ending: &[u8] = if record.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
    trim_ending(&mut record);
    let columns = [column(&record, options.delimiter, &options.x)?, column(&record, options.delimiter, &options.y)?];
    let d = options.delimiter;
    output.write_all(&record)?;
    for name in [Some(&options.x_out), Some(&options.y_out), options.error_out.as_ref()].into_iter().flatten() {
        output.write_all(&[d])?;
        output.write_all(name.as_bytes())?;
    }
    output.write_all(ending)?;
    line += taken;
    let decimals = if transform.to().is_geographic() { 9 } else { 4 };
    let mut text = Vec::new();
    let mut text_out = Vec::new();
    let mut rows: Vec<(u64, usize, Option<&'static str>)> = Vec::with_capacity(BATCH);
    let mut points: Vec<[f64; 2]> = Vec::with_capacity(BATCH);
    loop {
        text.clear();
        rows.clear();
        points.clear();
        while rows.len() < BATCH {
            record.clear();
            let taken = read_record(&mut input, &mut record)?;
            if taken == 0 {
                break;
            }
            let at = line;
            line += taken;
            trim_ending(&mut record);
            if record.is_empty() {
                continue;
            }
            let (point, problem) = match coordinates(&record, d, columns) {
                Ok(p) => (p, None),
                Err(code) => ([f64::NAN; 2], Some(code)),
            };
            text.extend_from_slice(&record);
            rows.push((at, text.len(), problem));
            points.push(point);
        }
        if rows.is_empty() {
            break;
        }
        let mut errors = transform.points_in_place(&mut points).into_iter().peekable();
        let mut from = 0;
        for (i, (at, to, problem)) in rows.iter().enumerate() {
            output.write_all(&text[from..*to])?;
            from = *to;
            summary.rows += 1;
            let error = errors.next_if(|(n, _)| *n == i);
            let bad = match (problem, error) {
                (Some("missing_field"), _) => Some(("missing_field", "缺少坐标列".to_owned())),
                (Some(code), _) => Some((*code, "坐标不是数".to_owned())),
                (None, Some((_, e))) => Some((e.code(), e.zh())),
                (None, None) => None,
            };
            if let Some((code, reason)) = bad {
                summary.bad += 1;
                output.write_all(&[d, d])?;
                if options.error_out.is_some() {
                    // No delimiter or quote is in any reason but commas.
                    write!(output, "{}\"{reason}\"", char::from(d))?;
                }
                on_bad(BadRow { row: *at, code, reason });
            } else {
                summary.converted += 1;
                text_out.clear();
                for v in points[i] {
                    text_out.push(d);
                    push_fixed(&mut text_out, v, decimals);
                }
                if options.error_out.is_some() {
                    text_out.push(d);
                }
                output.write_all(&text_out)?;
            }
            output.write_all(ending)?;
        }
    }
    output.flush()?;
    Ok(summary)
}

/// A number with a fixed count of decimals, as `{:.9}` writes it but several times faster; larger
/// numbers than a place on Earth has go the long way.
fn push_fixed(out: &mut Vec<u8>, v: f64, decimals: usize) {
    let scaled = v * 10f64.powi(decimals as i32);
    if scaled.abs() >= 4.5e15 {
        // Writing to a vector does not fail.
        let _ = write!(out, "{v:.decimals$}");
        return;
    }
    let rounded = scaled.round_ties_even() as i64;
    if rounded < 0 {
        out.push(b'-');
    }
    let mut left = rounded.unsigned_abs();
    let mut digits = [b'0'; 24];
    let mut at = digits.len();
    let mut written = 0;
    while left > 0 || written <= decimals {
        if written == decimals && decimals > 0 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        written += 1;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a record with its line ending (quoted fields may hold line breaks) and gives its number
/// of lines; 0 at the end.
pub(crate) fn read_record(input: &mut impl BufRead, record: &mut Vec<u8>) -> io::Result<u64> {
    let mut lines = 0;
    let mut quoted = false;
    loop {
        let from = record.len();
        if input.read_until(b'\n', record)? == 0 {
            return Ok(lines);
        }
        lines += 1;
        quoted ^= record[from..].iter().filter(|b| **b == b'"').count() % 2 == 1;
        if !quoted {
            return Ok(lines);
        }
    }
}

pub(crate) fn trim_ending(record: &mut Vec<u8>) {
    if record.last() == Some(&b'\n') {
        record.pop();
    }
    if record.last() == Some(&b'\r') {
        record.pop();
    }
}

/// Fields of a record as they stand, quotes included.
pub(crate) fn fields(record: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    record.split(move |b| {
        quoted ^= *b == b'"';
        *b == delimiter && !quoted
    })
}

pub(crate) fn bare(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    field.strip_prefix(b"\"").and_then(|f| f.strip_suffix(b"\"")).unwrap_or(field).trim_ascii()
}

pub(crate) fn column(header: &[u8], delimiter: u8, wanted: &Column) -> Result<usize, StreamError> {
    let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
    let found = match wanted {
        Column::Index(i) => (*i < fields(header, delimiter).count()).then_some(*i),
        Column::Name(name) => {
            fields(header, delimiter).position(|f| bare(f).eq_ignore_ascii_case(name.trim().as_bytes()))
        }
    };
    found.ok_or_else(|| StreamError::NoColumn {
        wanted: match wanted {
            Column::Name(name) => name.clone(),
            Column::Index(i) => format!("#{i}"),
        },
        header: String::from_utf8_lossy(header).into_owned(),
    })
}

fn coordinates(record: &[u8], delimiter: u8, columns: [usize; 2]) -> Result<[f64; 2], &'static str> {
    let mut found = [None; 2];
    for (i, field) in fields(record, delimiter).enumerate() {
        for k in 0..2 {
            if columns[k] == i {
                found[k] = Some(field);
            }
        }
        if found[0].is_some() && found[1].is_some() {
            break;
        }
    }
    let number = |field: Option<&[u8]>| {
        let text = bare(field.ok_or("missing_field")?);
        std::str::from_utf8(text).ok().and_then(|t| t.parse::<f64>().ok()).ok_or("not_a_number")
    };
    Ok([number(found[0])?, number(found[1])?])
}

/// Converts a GeoJSON file: a FeatureCollection feature by feature, or a single feature or geometry.
/// Features that cannot be converted are left out and told to `on_bad`. Broken JSON ends it.
pub fn stream_geojson(
    transform: &Transform,
    input: impl Read,
    output: impl Write,
    on_bad: impl FnMut(BadRow),
) -> Result<StreamSummary, StreamError> {
    stream_geojson_with(transform, input, output, on_bad, |_| vec![])
}

/// Like [`stream_geojson`]; at the end of a FeatureCollection further members are written (RFC 7946,
/// 6.1: foreign members), such as a report.
pub fn stream_geojson_with(
    transform: &Transform,
    input: impl Read,
    output: impl Write,
    on_bad: impl FnMut(BadRow),
    tail: impl FnOnce(&StreamSummary) -> Vec<(String, Value)>,
) -> Result<StreamSummary, StreamError> {
    let tail: Tail = Some(Box::new(tail));
    let mut work = Work { transform, output, on_bad, summary: StreamSummary::default(), io: None, tail };
    let mut reader = serde_json::Deserializer::from_reader(io::BufReader::new(input));
    let done = Top(&mut work).deserialize(&mut reader);
    if let Some(e) = work.io.take() {
        return Err(e.into());
    }
    done?;
    reader.end()?;
    work.output.flush()?;
    Ok(work.summary)
}

/// What writes the last members of a collection.
type Tail<'a> = Option<Box<dyn FnOnce(&StreamSummary) -> Vec<(String, Value)> + 'a>>;

struct Work<'a, W, F> {
    transform: &'a Transform,
    output: W,
    on_bad: F,
    summary: StreamSummary,
    tail: Tail<'a>,
    /// The writer's error: the JSON reader cannot carry it.
    io: Option<io::Error>,
}

impl<W: Write, F: FnMut(BadRow)> Work<'_, W, F> {
    fn put<E: serde::de::Error>(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.output.write_all(bytes).map_err(|e| {
            let error = E::custom(&e);
            self.io = Some(e);
            error
        })
    }

    fn json<E: serde::de::Error>(&mut self, value: &Value) -> Result<(), E> {
        self.put(value.to_string().as_bytes())
    }

    /// True if it went well.
    fn convert(&mut self, object: &mut Value) -> bool {
        self.summary.rows += 1;
        match transform_geojson(self.transform, object) {
            Ok(_) => {
                self.summary.converted += 1;
                true
            }
            Err(e) => {
                self.summary.bad += 1;
                (self.on_bad)(BadRow { row: self.summary.rows, code: "geometry", reason: e.zh() });
                false
            }
        }
    }
}

struct Top<'w, 'a, W, F>(&'w mut Work<'a, W, F>);

impl<'de, W: Write, F: FnMut(BadRow)> DeserializeSeed<'de> for Top<'_, '_, W, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de, W: Write, F: FnMut(BadRow)> Visitor<'de> for Top<'_, '_, W, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a GeoJSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut others = serde_json::Map::new();
        let mut features = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "features" if !features => {
                    features = true;
                    self.0.put(b"{\"features\":[")?;
                    map.next_value_seed(Features(self.0))?;
                    self.0.put(b"]")?;
                }
                "bbox" | "crs" => drop(map.next_value::<IgnoredAny>()?),
                _ => {
                    others.insert(key, map.next_value()?);
                }
            }
        }
        if features {
            let tail = self.0.tail.take().map(|tail| tail(&self.0.summary)).unwrap_or_default();
            others.extend(tail);
            for (key, value) in &others {
                self.0.put(b",")?;
                self.0.json(&Value::from(key.as_str()))?;
                self.0.put(b":")?;
                self.0.json(value)?;
            }
            return self.0.put(b"}\n");
        }
        let mut whole = Value::Object(others);
        if self.0.convert(&mut whole) {
            self.0.json(&whole)?;
            self.0.put(b"\n")?;
        }
        Ok(())
    }
}

struct Features<'w, 'a, W, F>(&'w mut Work<'a, W, F>);

impl<'de, W: Write, F: FnMut(BadRow)> DeserializeSeed<'de> for Features<'_, '_, W, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de, W: Write, F: FnMut(BadRow)> Visitor<'de> for Features<'_, '_, W, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut first = true;
        while let Some(mut feature) = seq.next_element::<Value>()? {
            if self.0.convert(&mut feature) {
                self.0.put(if first { b"\n" } else { b",\n" })?;
                first = false;
                self.0.json(&feature)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::push_fixed;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for v in [0.0, -0.25, 121.484_782_472, -3_457_087.731_4, 0.000_000_001, 1e-12, 44251.35, -0.000_4, 9e15, 180.0]
        {
            for decimals in [4, 9] {
                let mut out = Vec::new();
                push_fixed(&mut out, v, decimals);
                let theirs = format!("{v:.decimals$}");
                // What rounds to nothing has no sign here.
                let theirs = if theirs.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
                    theirs.replace('-', "")
                } else {
                    theirs
                };
                assert_eq!(String::from_utf8(out).unwrap(), theirs);
            }
        }
    }
}
