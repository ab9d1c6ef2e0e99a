//! One row of a file as texts, whatever the format.

use crate::split::{Dialect, FieldSpan, unescape};

/// Where a cell's text lies: in the piece of the file, or in the row's own buffer.
#[derive(Debug, Clone, Copy)]
struct Cell {
    start: u32,
    end: u32,
    own: bool,
}

/// The cells of one row. Reused from row to row, so that a cell costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Row<'a> {
    text: &'a str,
    own: String,
    cells: Vec<Cell>,
    spans: Vec<FieldSpan>,
    file_columns: usize,
    /// Where the row starts in the file, from 1: the line, or the row of the sheet.
    pub line: u64,
    /// Numbers of this row were binary fractions, not decimal text.
    pub binary: bool,
}

impl<'a> Row<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, ..Self::default() }
    }

    pub fn clear(&mut self, line: u64) {
        self.own.clear();
        self.cells.clear();
        self.file_columns = 0;
        self.line = line;
    }

    /// Cells so far are the file's own; later ones are derived.
    pub fn mark_file_columns(&mut self) {
        self.file_columns = self.cells.len();
    }

    /// The number of the file's own cells.
    pub fn file_columns(&self) -> usize {
        if self.file_columns == 0 { self.cells.len() } else { self.file_columns }
    }

    pub fn truncate(&mut self, columns: usize) {
        self.cells.truncate(columns);
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    pub fn get(&self, column: usize) -> &str {
        match self.cells.get(column) {
            Some(cell) if cell.own => &self.own[cell.start as usize..cell.end as usize],
            Some(cell) => &self.text[cell.start as usize..cell.end as usize],
            None => "",
        }
    }

    /// Splits the record at `start..end` of the piece.
    pub fn split(&mut self, dialect: &Dialect, start: usize, end: usize) {
        let mut spans = std::mem::take(&mut self.spans);
        spans.clear();
        dialect.fields(&self.text.as_bytes()[start..end], &mut spans);
        for span in &spans {
            let (from, to) = (start + span.start, start + span.end);
            if span.escaped {
                let text: &'a str = self.text;
                self.push_with(|own| unescape(&text[from..to], dialect.quote.map_or('"', char::from), own));
            } else {
                self.cells.push(Cell { start: from as u32, end: to as u32, own: false });
            }
        }
        self.spans = spans;
    }

    pub fn push(&mut self, text: &str) {
        self.push_with(|own| own.push_str(text));
    }

    /// Appends a cell whose text `write` adds to the buffer.
    pub fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.own.len() as u32;
        write(&mut self.own);
        self.cells.push(Cell { start, end: self.own.len() as u32, own: true });
    }

    /// Appends a cell built from other cells of this row by `write`.
    pub fn push_derived(&mut self, write: impl FnOnce(&Self, &mut String)) {
        let mut built = String::new();
        write(self, &mut built);
        self.push(&built);
    }

    /// Appends a cell that is part of another cell of this row.
    pub fn push_part(&mut self, column: usize, start: usize, end: usize) {
        if let Some(&cell) = self.cells.get(column) {
            self.cells.push(Cell { start: cell.start + start as u32, end: cell.start + end as u32, own: cell.own });
        }
    }

    /// Fills up with empty cells to `columns`.
    pub fn pad(&mut self, columns: usize) {
        while self.cells.len() < columns {
            self.cells.push(Cell { start: 0, end: 0, own: true });
        }
    }

    pub fn is_blank(&self) -> bool {
        (0..self.len()).all(|c| self.get(c).is_empty())
    }

    pub fn contains(&self, c: char) -> bool {
        (0..self.len()).any(|i| self.get(i).contains(c))
    }
}
