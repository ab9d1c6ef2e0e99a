//! Pieces of a file to typed, checked rows.

use crate::cells::Row;
use crate::keys::write_text;
use crate::parse::{NumberError, boolean, float, scaled};
use crate::plan::{Derived, FieldPlan, From, Part, Plan};
use crate::source::{Body, Header, Layout, Piece, jsonl_load, parquet_cells};
use crate::split::record_end;
use std::borrow::Cow;
use std::fmt::Write as _;
use zonglan_catalog::dataset::{FieldType, RegionLevel};
use zonglan_catalog::value::decimal_text;
use zonglan_catalog::{Batch, ColumnData, RowKey};

/// The rows of a piece.
pub(crate) struct Parsed {
    pub batch: Batch,
    /// Rows of the batch that have no key: their keys are those of their content, and the
    /// occurrence number within the file is still to be applied.
    pub keyless: Vec<u32>,
    pub bad: Vec<BadRow>,
    pub read: u64,
}

/// A row that failed, as the quarantine file shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BadRow {
    pub line: u64,
    pub column: String,
    pub value: String,
    pub reason: String,
    pub raw: Vec<String>,
}

/// A typed cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Slot<'r> {
    Null,
    Text(&'r str),
    Int(i64),
    Bool(bool),
    Date(i32),
    Instant(i64),
    Point(f64, f64),
}

type Reason = Cow<'static, str>;

/// Types all rows of a piece.
pub(crate) fn parse(plan: &Plan, layout: &Layout, piece: Piece) -> Parsed {
    let mut out = Out {
        plan,
        parsed: Parsed { batch: Batch::new(&plan.dataset), keyless: Vec::new(), bad: Vec::new(), read: 0 },
        key: String::new(),
        ends: Vec::new(),
    };
    match piece.body {
        Body::Delimited { text, damaged } => {
            let (text, damaged) = utf8(text, damaged);
            delimited(&mut out, layout, &text, damaged, piece.first_line);
        }
        Body::Unclosed(line) => {
            let line = String::from_utf8_lossy(&line);
            let mut row = Row::new(&line);
            row.clear(piece.first_line);
            row.split(&layout.dialect, 0, line.len());
            out.refuse(&row, String::new(), line.trim_end().to_string(), "引号没有闭合".into());
        }
        Body::JsonLines { text, damaged } => {
            let (text, damaged) = utf8(text, damaged);
            json_lines(&mut out, &text, damaged, piece.first_line);
        }
        Body::Cells(table) => {
            let mut row = Row::new("");
            for i in 0..table.rows.len() {
                table.load(i, &mut row);
                if !row.is_blank() {
                    row.pad(plan.names.len());
                    row.truncate(plan.names.len());
                    out.accept(&mut row);
                }
            }
        }
        Body::Frame(frame) => {
            let table = parquet_cells(&frame, piece.first_line);
            drop(frame);
            let mut row = Row::new("");
            for i in 0..table.rows.len() {
                table.load(i, &mut row);
                out.accept(&mut row);
            }
        }
    }
    out.parsed
}

fn utf8(text: Vec<u8>, damaged: bool) -> (String, bool) {
    match String::from_utf8(text) {
        Ok(text) => (text, damaged),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
    }
}

const UNDECODABLE: &str = "含有无法解码的字节，请检查文件编码";

fn delimited(out: &mut Out, layout: &Layout, text: &str, damaged: bool, first_line: u64) {
    let columns = out.plan.names.len();
    let mut row = Row::new(text);
    let mut start = 0;
    let mut line = first_line;
    while start < text.len() {
        let end = record_end(&layout.dialect, text.as_bytes(), start).unwrap_or(text.len());
        row.clear(line);
        row.split(&layout.dialect, start, end);
        // Most records are one line; only those with quoted breaks must be counted.
        line += if end - start > 1 && text.as_bytes()[start..end - 1].contains(&b'\n') {
            newlines(&text[start..end])
        } else {
            1
        };
        start = end;
        if row.len() == 1 && row.get(0).trim().is_empty() {
            continue;
        }
        if damaged && row.contains('\u{fffd}') {
            out.refuse(&row, String::new(), String::new(), UNDECODABLE.into());
        } else if row.len() != columns
            && !(row.len() > columns && (columns..row.len()).all(|c| row.get(c).trim().is_empty()))
        {
            let reason = format!("列数不符：应为 {columns} 列，实为 {} 列", row.len());
            out.refuse(&row, String::new(), String::new(), reason.into());
        } else {
            row.truncate(columns);
            out.accept(&mut row);
        }
    }
}

fn newlines(text: &str) -> u64 {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64
}

fn json_lines(out: &mut Out, text: &str, damaged: bool, first_line: u64) {
    let plan = out.plan;
    let mut row = Row::new("");
    for (i, line) in text.split('\n').enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match jsonl_load(line, &plan.places, plan.names.len(), &mut row, first_line + i as u64) {
            Ok(()) if damaged && row.contains('\u{fffd}') => {
                out.refuse(&row, String::new(), String::new(), UNDECODABLE.into())
            }
            Ok(()) => out.accept(&mut row),
            Err(reason) => {
                row.clear(first_line + i as u64);
                row.pad(plan.names.len());
                out.refuse(&row, String::new(), line.to_string(), reason.into());
            }
        }
    }
}

/// The first rows of a piece as they stand in the file.
pub(crate) fn raw(layout: &Layout, piece: &Piece, header: &Header, limit: usize) -> Vec<Vec<String>> {
    let columns = header.names.len();
    let cells = |row: &Row| (0..columns.min(row.len())).map(|c| row.get(c).to_string()).collect::<Vec<_>>();
    let mut rows = Vec::new();
    match &piece.body {
        Body::Delimited { text, .. } | Body::Unclosed(text) => {
            let text = String::from_utf8_lossy(text);
            let mut row = Row::new(&text);
            let mut start = 0;
            while start < text.len() && rows.len() < limit {
                let end = record_end(&layout.dialect, text.as_bytes(), start).unwrap_or(text.len());
                row.clear(0);
                row.split(&layout.dialect, start, end);
                start = end;
                if row.len() > 1 || !row.get(0).trim().is_empty() {
                    rows.push(cells(&row));
                }
            }
        }
        Body::JsonLines { text, .. } => {
            let places = header.names.iter().enumerate().map(|(i, n)| (n.clone(), i)).collect();
            let text = String::from_utf8_lossy(text);
            let mut row = Row::new("");
            for line in text.split('\n').filter(|l| !l.trim().is_empty()).take(limit) {
                // A line that is no object is shown as it is.
                _ = jsonl_load(line, &places, columns, &mut row, 0);
                rows.push(cells(&row));
            }
        }
        Body::Cells(table) => {
            let mut row = Row::new("");
            for i in 0..table.rows.len().min(limit) {
                table.load(i, &mut row);
                rows.push(cells(&row));
            }
        }
        Body::Frame(frame) => {
            let table = parquet_cells(&frame.slice(0, limit), 1);
            let mut row = Row::new("");
            for i in 0..table.rows.len() {
                table.load(i, &mut row);
                rows.push(cells(&row));
            }
        }
    }
    rows
}

struct Out<'p> {
    plan: &'p Plan,
    parsed: Parsed,
    key: String,
    ends: Vec<usize>,
}

impl Out<'_> {
    fn refuse(&mut self, row: &Row, column: String, value: String, reason: Reason) {
        self.parsed.read += 1;
        let raw = (0..row.file_columns()).map(|c| row.get(c).to_string()).collect();
        self.parsed.bad.push(BadRow { line: row.line, column, value, reason: reason.into_owned(), raw });
    }

    /// Types a row and appends it to the batch, or refuses it with every reason.
    fn accept(&mut self, row: &mut Row) {
        let plan = self.plan;
        row.mark_file_columns();
        derive(plan, row);
        let row: &Row = row;
        let mut slots = Vec::with_capacity(plan.fields.len());
        let mut faults: Vec<(&FieldPlan, Reason)> = Vec::new();
        for field in &plan.fields {
            match typed(plan, field, row).and_then(|slot| checked(field, slot)) {
                Ok(slot) => slots.push(slot),
                Err(reason) => {
                    faults.push((field, reason));
                    slots.push(Slot::Null);
                }
            }
        }
        for (i, field) in plan.fields.iter().enumerate() {
            if let From::Locate(point) = field.from {
                slots[i] = match slots[point] {
                    Slot::Point(lon, lat) => plan.regions.locate(lon, lat).map_or(Slot::Null, |r| Slot::Text(&r.code)),
                    _ => Slot::Null,
                };
                if field.required && slots[i] == Slot::Null && faults.is_empty() {
                    faults.push((field, "坐标不在任何区划内，无法得出所属区".into()));
                }
            }
        }
        if let Some((first, _)) = faults.first() {
            let column = faults.iter().map(|(f, _)| f.column.as_str()).collect::<Vec<_>>().join("；");
            let value = source_text(first, row);
            let reason = faults.iter().map(|(f, r)| format!("{}：{r}", f.label)).collect::<Vec<_>>().join("；");
            self.refuse(row, column, value, reason.into());
            return;
        }
        self.parsed.read += 1;
        self.push_key(&slots);
        for (slot, column) in slots.iter().zip(&mut self.parsed.batch.columns) {
            push(column, *slot);
        }
    }

    fn push_key(&mut self, slots: &[Slot]) {
        let plan = self.plan;
        let whole = !plan.key.is_empty() && plan.key.iter().all(|i| slots[*i] != Slot::Null);
        self.key.clear();
        self.ends.clear();
        for &i in if whole { &plan.key } else { &plan.content } {
            match slots[i] {
                // A centimetre: coordinates may be converted a little differently one day.
                Slot::Point(x, y) if !whole => _ = write!(self.key, "{:.0},{:.0}", x * 1e7, y * 1e7),
                slot => write_text(slot, plan.fields[i].kind, plan.fields[i].scale, &mut self.key),
            }
            self.ends.push(self.key.len());
        }
        let mut start = 0;
        let parts = self.ends.iter().map(|&end| {
            let part = &self.key[start..end];
            start = end;
            part
        });
        let key = RowKey::of(parts);
        if !whole {
            self.parsed.keyless.push(self.parsed.batch.keys.len() as u32);
        }
        self.parsed.batch.keys.push(key);
    }
}

/// The text that a field was made from.
fn source_text(field: &FieldPlan, row: &Row) -> String {
    match field.from {
        From::Column(c) => row.get(c).to_string(),
        From::Point { x, y, .. } if x != y => format!("{},{}", row.get(x), row.get(y)),
        From::Point { x, .. } => row.get(x).to_string(),
        From::Nothing | From::Locate(_) => String::new(),
    }
}

fn derive(plan: &Plan, row: &mut Row) {
    for cell in &plan.derived {
        match cell {
            Derived::Constant(text) => row.push(text),
            Derived::Template(parts) => row.push_derived(|row, text| fill(parts, row, text)),
            Derived::Pattern { column, regex } => {
                let part = regex
                    .captures(row.get(*column))
                    .and_then(|c| c.get(1).or_else(|| c.get(0)))
                    .map(|m| (m.start(), m.end()));
                match part {
                    Some((start, end)) => row.push_part(*column, start, end),
                    None => row.push(""),
                }
            }
        }
    }
}

/// Fills a template. All columns empty: no value.
fn fill(parts: &[Part], row: &Row, text: &mut String) {
    let mut any = false;
    for part in parts {
        match part {
            Part::Text(fixed) => text.push_str(fixed),
            Part::Column(column, width) => {
                let cell = row.get(*column).trim();
                any |= !cell.is_empty();
                // Numbers that a workbook stored as fractions end in ".0" in some exports.
                let cell = cell.strip_suffix(".0").unwrap_or(cell);
                (cell.len()..*width).for_each(|_| text.push('0'));
                text.push_str(cell);
            }
        }
    }
    if !any {
        text.clear();
    }
}

fn typed<'r>(plan: &'r Plan, field: &'r FieldPlan, row: &'r Row) -> Result<Slot<'r>, Reason> {
    let at = match &field.from {
        From::Column(at) => *at,
        From::Point { .. } => return point(plan, field, row),
        From::Nothing | From::Locate(_) => return Ok(Slot::Null),
    };
    let whole = row.get(at);
    let mut text = whole.trim();
    if text.is_empty() || (!field.null.is_empty() && field.null.contains(text)) {
        return Ok(Slot::Null);
    }
    if !field.values.is_empty()
        && let Some(replaced) = field.values.get(text)
    {
        text = replaced;
        if text.is_empty() {
            return Ok(Slot::Null);
        }
    } else if field.kind == FieldType::Text {
        return Ok(Slot::Text(if field.trim { text } else { whole }));
    }
    Ok(match field.kind {
        FieldType::Text | FieldType::File | FieldType::Ref => Slot::Text(text),
        FieldType::Code => match (field.codes.get(text), &field.fallback) {
            (Some(code), _) | (None, Some(code)) => Slot::Text(code),
            (None, None) => return Err("代码表中没有这个值".into()),
        },
        FieldType::Region => region(plan, field, text)?,
        FieldType::Int | FieldType::Decimal => {
            Slot::Int(scaled(text, field.scale, plan.numbers, row.binary).map_err(|error| number_reason(error, field))?)
        }
        FieldType::Bool => Slot::Bool(boolean(text).ok_or("不是“是”或“否”")?),
        FieldType::Date => Slot::Date(field.times.date(text).ok_or("不是日期")?),
        FieldType::Instant => Slot::Instant(field.times.instant(text).ok_or("不是日期时间")?),
        FieldType::Point => Slot::Null,
    })
}

fn number_reason(error: NumberError, field: &FieldPlan) -> Reason {
    match error {
        NumberError::NotANumber => "不是数字".into(),
        NumberError::TooPrecise if field.scale == 0 => "不是整数".into(),
        NumberError::TooPrecise => format!("小数超过 {} 位", field.scale).into(),
        NumberError::TooLarge => "数字过大".into(),
    }
}

/// A region code of the list or of the geographic register, old codes and names included.
fn region<'r>(plan: &'r Plan, field: &'r FieldPlan, text: &'r str) -> Result<Slot<'r>, Reason> {
    if let Some(code) = field.codes.get(text) {
        return Ok(Slot::Text(code));
    }
    let found = plan.regions.resolve(text).or_else(|| plan.regions.by_name(text));
    match (field.level, found) {
        (Some(RegionLevel::District) | None, Some(region)) => Ok(Slot::Text(&region.code)),
        // Finer codes than the list knows are kept if their district exists.
        (Some(RegionLevel::Street), Some(_)) if text.len() == 9 => Ok(Slot::Text(text)),
        (Some(RegionLevel::Neighbourhood), Some(_)) if text.len() == 12 => Ok(Slot::Text(text)),
        (Some(RegionLevel::Grid), Some(_)) if text.len() > 12 => Ok(Slot::Text(text)),
        _ => match &field.fallback {
            Some(code) => Ok(Slot::Text(code)),
            None => Err("不认识的区划代码或名称".into()),
        },
    }
}

fn point<'r>(plan: &'r Plan, field: &'r FieldPlan, row: &'r Row) -> Result<Slot<'r>, Reason> {
    let From::Point { x, y, transform } = &field.from else { return Ok(Slot::Null) };
    let (x, y) = if x == y {
        let text = row.get(*x).trim();
        if text.is_empty() || field.null.contains(text) {
            return Ok(Slot::Null);
        }
        pair(text).ok_or("不是坐标：应为“经度,纬度”")?
    } else {
        (row.get(*x).trim(), row.get(*y).trim())
    };
    let missing = |text: &str| text.is_empty() || field.null.contains(text);
    match (missing(x), missing(y)) {
        (true, true) => return Ok(Slot::Null),
        (true, false) | (false, true) => return Err("坐标只有一半".into()),
        (false, false) => {}
    }
    let number = |text: &str| float(text, plan.numbers).ok_or(Reason::from("坐标不是数字"));
    let (mut lon, mut lat) = (number(x)?, number(y)?);
    if field.null_points.contains(&(lon, lat)) {
        return Ok(Slot::Null);
    }
    if let Some(transform) = transform {
        (lon, lat) = transform.point(lon, lat).map_err(|error| Reason::from(error.zh()))?;
    }
    if !(lon.abs() <= 180.0 && lat.abs() <= 90.0) {
        return Err("经纬度超出范围（经度 ±180，纬度 ±90），请检查两列是否颠倒".into());
    }
    Ok(Slot::Point(lon, lat))
}

/// `121.47,31.23`, `[121.47, 31.23]` or `POINT(121.47 31.23)`.
fn pair(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("POINT").map(str::trim_start).unwrap_or(text);
    let inner = inner.trim_start_matches(['(', '[']).trim_end_matches([')', ']']).trim();
    let (x, y) = inner.split_once([',', ';', ' '])?;
    Some((x.trim(), y.trim()))
}

fn checked<'r>(field: &FieldPlan, slot: Slot<'r>) -> Result<Slot<'r>, Reason> {
    match slot {
        Slot::Null if field.required && !matches!(field.from, From::Locate(_)) => Err("必填项为空".into()),
        Slot::Int(units) if field.min.is_some_and(|min| units < min) => {
            Err(format!("小于下限 {}", decimal_text(field.min.unwrap_or_default(), field.scale)).into())
        }
        Slot::Int(units) if field.max.is_some_and(|max| units > max) => {
            Err(format!("大于上限 {}", decimal_text(field.max.unwrap_or_default(), field.scale)).into())
        }
        Slot::Text(text) if field.max_length.is_some_and(|max| text.len() > max && text.chars().count() > max) => {
            Err(format!("超过 {} 个字", field.max_length.unwrap_or_default()).into())
        }
        slot => Ok(slot),
    }
}

fn push(column: &mut ColumnData, slot: Slot) {
    match (column, slot) {
        (ColumnData::Text(c), Slot::Text(t)) => c.push(Some(t)),
        (ColumnData::Int(c), Slot::Int(i)) => c.push(Some(i)),
        (ColumnData::Bool(c), Slot::Bool(b)) => c.push(Some(b)),
        (ColumnData::Date(c), Slot::Date(d)) => c.push(Some(d)),
        (ColumnData::Instant(c), Slot::Instant(ms)) => c.push(Some(ms)),
        (ColumnData::Point(c), Slot::Point(x, y)) => c.push(Some((x, y))),
        (column, _) => column.push_null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        assert_eq!(pair("121.47,31.23"), Some(("121.47", "31.23")));
        assert_eq!(pair("[121.47, 31.23]"), Some(("121.47", "31.23")));
        assert_eq!(pair("POINT (121.47 31.23)"), Some(("121.47", "31.23")));
        assert_eq!(pair("121.47"), None);
    }
}
