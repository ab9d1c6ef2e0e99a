//! XLSX with typed numbers and dates, one sheet, rows flushed as they come.

use super::{Provenance, TableWriter, cell_text, failed, heading};
use crate::error::Result;
use rust_xlsxwriter::{Color, ExcelDateTime, Format, Workbook, Worksheet};
use std::io::{Seek, Write};
use zonglan_catalog::Value;
use zonglan_catalog::table::Column;
use zonglan_catalog::time::to_local;

/// Rows that a sheet of the format holds (ECMA-376 part 1, as Excel limits it).
const MAX_ROWS: u32 = 1_048_576;

/// Writes to any seekable writer at `finish`; rows rest in a temporary file until then.
pub struct XlsxWriter<W: Write + Seek + Send> {
    out: Option<W>,
    workbook: Workbook,
    provenance: Provenance,
    columns: Vec<Column>,
    next: u32,
    date: Format,
    instant: Format,
}

impl<W: Write + Seek + Send> XlsxWriter<W> {
    pub fn new(out: W, provenance: Provenance) -> Self {
        let mut workbook = Workbook::new();
        let _ = workbook.add_worksheet_with_constant_memory();
        Self {
            out: Some(out),
            workbook,
            provenance,
            columns: Vec::new(),
            next: 0,
            date: Format::new().set_num_format("yyyy-mm-dd"),
            instant: Format::new().set_num_format("yyyy-mm-dd hh:mm"),
        }
    }

    /// The writer back, after `finish`.
    pub fn into_inner(self) -> Option<W> {
        self.out
    }
}

impl<W: Write + Seek + Send> TableWriter for XlsxWriter<W> {
    fn begin(&mut self, columns: &[Column]) -> Result<()> {
        self.columns = columns.to_vec();
        let head = Format::new().set_bold().set_background_color(Color::RGB(0xEE_F2_F7));
        let note = Format::new().set_font_color(Color::RGB(0x54_65_7D));
        let line = self.provenance.line();
        let sheet = self.workbook.worksheet_from_index(0).map_err(failed)?;
        sheet.set_name("数据").map_err(failed)?;
        sheet.set_freeze_panes(2, 0).map_err(failed)?;
        sheet.write_string_with_format(0, 0, &line, &note).map_err(failed)?;
        for (i, column) in columns.iter().enumerate() {
            let at = u16::try_from(i).map_err(failed)?;
            sheet.set_column_width(at, 16).map_err(failed)?;
            sheet.write_string_with_format(1, at, heading(column), &head).map_err(failed)?;
        }
        self.next = 2;
        Ok(())
    }

    fn row(&mut self, row: &[Value]) -> Result<()> {
        if self.next >= MAX_ROWS {
            return Err(failed(format!("XLSX 一张表最多 {MAX_ROWS} 行，请改用 CSV")));
        }
        let sheet = self.workbook.worksheet_from_index(0).map_err(failed)?;
        for (i, value) in row.iter().enumerate() {
            write_cell(sheet, (self.next, i), value, self.columns.get(i), (&self.date, &self.instant))?;
        }
        self.next += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(out) = &mut self.out {
            self.workbook.save_to_writer(out).map_err(failed)?;
        }
        Ok(())
    }
}

/// One value with its type: numbers stay numbers, days stay days.
pub(super) fn write_cell(
    sheet: &mut Worksheet,
    (row, column): (u32, usize),
    value: &Value,
    info: Option<&Column>,
    (day, minute): (&Format, &Format),
) -> Result<()> {
    let at = u16::try_from(column).map_err(failed)?;
    match value {
        Value::Null => return Ok(()),
        Value::Int(_) | Value::Decimal { .. } | Value::Float(_) => {
            sheet.write_number(row, at, value.as_f64().unwrap_or_default())
        }
        Value::Bool(b) => sheet.write_boolean(row, at, *b),
        Value::Date(date) => {
            let date = ExcelDateTime::parse_from_str(&date.to_string()).map_err(failed)?;
            sheet.write_datetime_with_format(row, at, &date, day)
        }
        Value::Instant(ms) => {
            let local = to_local(*ms).format("%Y-%m-%dT%H:%M:%S").to_string();
            let time = ExcelDateTime::parse_from_str(&local).map_err(failed)?;
            sheet.write_datetime_with_format(row, at, &time, minute)
        }
        value => sheet.write_string(row, at, cell_text(info, value)),
    }
    .map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonglan_catalog::table::{ColumnRole, ColumnType};

    #[test]
    fn a_sheet_of_typed_cells() {
        let mut writer = XlsxWriter::new(
            std::io::Cursor::new(Vec::new()),
            Provenance { title: "试".into(), ..Provenance::default() },
        );
        writer
            .begin(&[
                Column::new("n", ColumnType::Int, ColumnRole::Row),
                Column::new("at", ColumnType::Instant, ColumnRole::Row),
            ])
            .expect("head");
        for i in 0..1000 {
            writer.row(&[Value::Int(i), Value::Instant(1_700_000_000_000 + i * 60_000)]).expect("row");
        }
        writer.finish().expect("end");
        let bytes = writer.into_inner().expect("writer").into_inner();
        assert!(bytes.starts_with(b"PK") && bytes.len() > 5_000, "{} bytes", bytes.len());
    }
}
