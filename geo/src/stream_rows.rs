//! A CSV of any length with further columns worked out row by row.

use std::io::{BufRead, Write};

use crate::stream::{Column, StreamError, bare, column, fields, read_record, trim_ending};

/// Appends columns to a CSV with a header: `work` gets the texts of the wanted columns of a row and
/// gives the new ones, as many as `names`. Rows without a wanted column give empty texts. Returns the
/// number of rows.
pub fn append_columns(
    mut input: impl BufRead,
    mut output: impl Write,
    delimiter: u8,
    wanted: &[Column],
    names: &[String],
    mut work: impl FnMut(&[String]) -> Vec<String>,
) -> Result<u64, StreamError> {
    let mut record = Vec::new();
    if read_record(&mut input, &mut record)? == 0 {
        return Ok(0);
    }
    let ending: &[u8] = if record.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
    trim_ending(&mut record);
    let columns: Vec<usize> = wanted.iter().map(|w| column(&record, delimiter, w)).collect::<Result<_, _>>()?;
    output.write_all(&record)?;
    for name in names {
        put(&mut output, delimiter, name)?;
    }
    output.write_all(ending)?;
    let mut rows = 0;
    loop {
        record.clear();
        if read_record(&mut input, &mut record)? == 0 {
            break;
        }
        trim_ending(&mut record);
        if record.is_empty() {
            continue;
        }
        let cells: Vec<&[u8]> = fields(&record, delimiter).collect();
        let texts: Vec<String> = columns
            .iter()
            .map(|i| String::from_utf8_lossy(bare(cells.get(*i).copied().unwrap_or_default())).replace("\"\"", "\""))
            .collect();
        output.write_all(&record)?;
        for cell in work(&texts) {
            put(&mut output, delimiter, &cell)?;
        }
        output.write_all(ending)?;
        rows += 1;
    }
    output.flush()?;
    Ok(rows)
}

fn put(output: &mut impl Write, delimiter: u8, text: &str) -> std::io::Result<()> {
    output.write_all(&[delimiter])?;
    if text.bytes().any(|b| b == delimiter || matches!(b, b'"' | b'\n' | b'\r')) {
        write!(output, "\"{}\"", text.replace('"', "\"\""))
    } else {
        output.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_get_what_is_worked_out_from_them() {
        let input = "id,\"地址\",x\r\n1,\"漕溪北路,8号\",a\r\n2\r\n";
        let mut out = Vec::new();
        let wanted = [Column::Name("地址".into())];
        let names = ["n".to_string(), "t".to_string()];
        let rows = append_columns(input.as_bytes(), &mut out, b',', &wanted, &names, |cells| {
            vec![cells[0].chars().count().to_string(), format!("<{}>", cells[0])]
        })
        .unwrap();
        assert_eq!(rows, 2);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "id,\"地址\",x,n,t\r\n1,\"漕溪北路,8号\",a,7,\"<漕溪北路,8号>\"\r\n2,0,<>\r\n");
    }
}
