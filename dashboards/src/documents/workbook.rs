//! A workbook of several tables: one sheet each with typed cells, and a first sheet that says what
//! they are and where they come from.

use super::xlsx::write_cell;
use super::{Provenance, failed, heading};
use crate::error::Result;
use rust_xlsxwriter::{Color, Format, Workbook as Book};
use std::collections::HashSet;
use zonglan_catalog::Table;

/// Collects tables, then writes them all.
pub struct Workbook {
    book: Book,
    provenance: Provenance,
    /// Name of the sheet, title of the table, note.
    list: Vec<(String, String, String)>,
    taken: HashSet<String>,
    /// Further lines of the first sheet.
    facts: Vec<(String, String)>,
}

/// Characters and length that the format allows in the name of a sheet (ECMA-376 as Excel limits it).
const FORBIDDEN: [char; 7] = ['[', ']', ':', '*', '?', '/', '\\'];
const LONGEST: usize = 31;

impl Workbook {
    /// `facts`: label and value of further lines of the first sheet.
    ///
    /// # Errors
    /// None that input can cause; those of the writer.
    pub fn new(provenance: Provenance, facts: Vec<(String, String)>) -> Result<Self> {
        let mut book = Book::new();
        book.add_worksheet().set_name("说明").map_err(failed)?;
        Ok(Self { book, provenance, list: Vec::new(), taken: HashSet::from(["说明".to_string()]), facts })
    }

    /// A name that no sheet has yet.
    fn name(&mut self, title: &str) -> String {
        let clean: String = title.chars().map(|c| if FORBIDDEN.contains(&c) { '_' } else { c }).collect();
        let clean = clean.trim_matches('\'').to_string();
        let base: String = clean.chars().take(LONGEST - 4).collect();
        let base = if base.is_empty() { "面板".to_string() } else { base };
        // Names that differ in case only are the same to Excel.
        let mut name = base.clone();
        let mut n = 2;
        while !self.taken.insert(name.to_lowercase()) {
            name = format!("{base}({n})");
            n += 1;
        }
        name
    }

    /// One table as a sheet.
    ///
    /// # Errors
    /// More columns than a sheet holds.
    pub fn sheet(&mut self, title: &str, note: &str, table: &Table) -> Result<()> {
        let name = self.name(title);
        let head = Format::new().set_bold().set_background_color(Color::RGB(0xEE_F2_F7));
        let (day, minute) =
            (Format::new().set_num_format("yyyy-mm-dd"), Format::new().set_num_format("yyyy-mm-dd hh:mm"));
        let sheet = self.book.add_worksheet();
        sheet.set_name(&name).map_err(failed)?;
        sheet.set_freeze_panes(1, 0).map_err(failed)?;
        for (i, column) in table.columns.iter().enumerate() {
            let at = u16::try_from(i).map_err(failed)?;
            sheet.set_column_width(at, 16).map_err(failed)?;
            sheet.write_string_with_format(0, at, heading(column), &head).map_err(failed)?;
        }
        for (n, row) in table.rows.iter().enumerate() {
            let at = u32::try_from(n + 1).map_err(failed)?;
            for (i, value) in row.iter().enumerate() {
                write_cell(sheet, (at, i), value, table.columns.get(i), (&day, &minute))?;
            }
        }
        self.list.push((name, title.to_string(), note.to_string()));
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let bold = Format::new().set_bold();
        let line = self.provenance.line();
        let sheet = self.book.worksheet_from_index(0).map_err(failed)?;
        sheet.set_column_width(0, 26).map_err(failed)?;
        sheet.set_column_width(1, 60).map_err(failed)?;
        sheet.write_string_with_format(0, 0, &self.provenance.title, &bold).map_err(failed)?;
        sheet.write_string(1, 0, &line).map_err(failed)?;
        let mut row = 2;
        for (label, value) in &self.facts {
            sheet.write_string(row, 0, label).map_err(failed)?;
            sheet.write_string(row, 1, value).map_err(failed)?;
            row += 1;
        }
        row += 1;
        for (name, title, note) in &self.list {
            let link = rust_xlsxwriter::Url::new(format!("internal:'{}'!A1", name.replace('\'', "''"))).set_text(name);
            sheet.write_url(row, 0, link).map_err(failed)?;
            sheet
                .write_string(row, 1, if note.is_empty() { title.clone() } else { format!("{title}：{note}") })
                .map_err(failed)?;
            row += 1;
        }
        self.book.save_to_buffer().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use zonglan_catalog::Value;
    use zonglan_catalog::table::{Column, ColumnRole, ColumnType};

    #[test]
    fn sheets_have_names_of_their_own_and_typed_cells() {
        let mut book =
            Workbook::new(Provenance { title: "试".into(), ..Provenance::default() }, Vec::new()).expect("book");
        let table = Table {
            columns: vec![Column::new("n", ColumnType::Int, ColumnRole::Row)],
            rows: vec![vec![Value::Int(42)]],
            ..Table::default()
        };
        for title in ["A/B", "a/b", "很长的名字".repeat(9).as_str(), ""] {
            book.sheet(title, "", &table).expect("sheet");
        }
        let bytes = book.finish().expect("file");
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("zip");
        let mut text = |name: &str| {
            let mut out = String::new();
            zip.by_name(name).expect(name).read_to_string(&mut out).expect("text");
            out
        };
        let names = text("xl/workbook.xml");
        assert!(names.contains("A_B") && names.contains("a_b(2)") && names.contains("面板"), "{names}");
        assert!(text("xl/worksheets/sheet2.xml").contains("<v>42</v>"));
    }
}
