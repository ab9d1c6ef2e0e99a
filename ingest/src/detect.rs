//! What a file is: format, compression, encoding, delimiter.

use crate::split::{Dialect, record_end};
use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::{Deserialize, Serialize};

/// A file format that imports read; each may be gzipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Csv,
    Tsv,
    Jsonl,
    Xlsx,
    Parquet,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Jsonl => "jsonl",
            Self::Xlsx => "xlsx",
            Self::Parquet => "parquet",
        }
    }
}

pub(crate) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

/// The format by content first (a renamed workbook is still a workbook), then by name.
pub(crate) fn format(name: &str, head: &[u8]) -> Option<Format> {
    if head.starts_with(b"PAR1") {
        return Some(Format::Parquet);
    }
    if head.starts_with(b"PK\x03\x04") {
        return Some(Format::Xlsx);
    }
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let by_name = match name.rsplit_once('.').map(|(_, e)| e) {
        Some("csv" | "txt") => Some(Format::Csv),
        Some("tsv" | "tab") => Some(Format::Tsv),
        Some("jsonl" | "ndjson" | "json") => Some(Format::Jsonl),
        _ => None,
    };
    let first = head.iter().find(|b| !b.is_ascii_whitespace());
    match by_name {
        Some(format) => Some(format),
        None if first == Some(&b'{') => Some(Format::Jsonl),
        None if !head.is_empty() && !looks_binary(head) => Some(Format::Csv),
        None => None,
    }
}

/// NUL bytes that no UTF-16 explains.
fn looks_binary(head: &[u8]) -> bool {
    head.contains(&0) && utf16_guess(head).is_none()
}

/// The byte order mark at the start, and its length.
pub(crate) fn byte_order_mark(sample: &[u8]) -> Option<(&'static Encoding, usize)> {
    Encoding::for_bom(sample)
}

/// The encoding of a sample without a byte order mark. `None`: all ASCII, any encoding fits.
///
/// UTF-8 text proves itself. What is not UTF-8 is GB18030 if it decodes without error and its
/// pairs look like GB 2312 (both bytes from 0xA1); Western texts have accented letters before ASCII.
pub(crate) fn encoding(sample: &[u8]) -> Option<&'static Encoding> {
    if let Some(utf16) = utf16_guess(sample) {
        return Some(utf16);
    }
    if sample.is_ascii() {
        return None;
    }
    match std::str::from_utf8(sample) {
        Ok(_) => return Some(UTF_8),
        // Only the last character is cut.
        Err(error) if error.error_len().is_none() => return Some(UTF_8),
        Err(error) => {
            // A few broken bytes in a long UTF-8 file do not make it another encoding.
            if error.valid_up_to() > 0 && !sample[..error.valid_up_to()].is_ascii() && mostly_utf8(sample) {
                return Some(UTF_8);
            }
        }
    }
    let mut pairs = 0usize;
    let mut chinese = 0usize;
    let mut at = 0;
    while at + 1 < sample.len() {
        if sample[at] < 0x80 {
            at += 1;
            continue;
        }
        pairs += 1;
        chinese += usize::from(sample[at] >= 0xa1 && sample[at + 1] >= 0xa1);
        at += 2;
    }
    // The cut at the end of the sample may split a character.
    let whole = &sample[..sample.len().saturating_sub(4)];
    let errors = GB18030.decode_without_bom_handling(whole).1;
    let clean = !errors || gb_error_rate(whole) < 0.001;
    Some(if clean && chinese * 2 >= pairs { GB18030 } else { WINDOWS_1252 })
}

fn mostly_utf8(sample: &[u8]) -> bool {
    let text = String::from_utf8_lossy(sample);
    let broken = text.matches('\u{fffd}').count();
    let foreign = text.chars().filter(|c| !c.is_ascii()).count();
    broken * 50 < foreign
}

fn gb_error_rate(bytes: &[u8]) -> f64 {
    let (text, _) = GB18030.decode_without_bom_handling(bytes);
    let broken = text.matches('\u{fffd}').count();
    broken as f64 / text.chars().filter(|c| !c.is_ascii()).count().max(1) as f64
}

/// UTF-16 without a mark: ASCII letters, digits and line ends leave every other byte zero.
fn utf16_guess(sample: &[u8]) -> Option<&'static Encoding> {
    let sample = &sample[..sample.len().min(4096)];
    if sample.len() < 8 {
        return None;
    }
    let zeros = |start: usize| sample.iter().skip(start).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let half = sample.len() / 2;
    match (even, odd) {
        (e, o) if o * 5 > half && e * 50 < half.max(50) => Some(UTF_16LE),
        (e, o) if e * 5 > half && o * 50 < half.max(50) => Some(UTF_16BE),
        _ => None,
    }
}

/// The delimiter that gives the most columns, the same number on every line of the sample.
pub(crate) fn delimiter(sample: &str, format: Format) -> u8 {
    if format == Format::Tsv && sample.lines().take(5).all(|l| l.is_empty() || l.contains('\t')) {
        return b'\t';
    }
    let score = |delimiter: u8| {
        let dialect = Dialect { delimiter, quote: Some(b'"') };
        let mut counts = Vec::new();
        let mut start = 0;
        while counts.len() < 50 && start < sample.len() {
            let Some(end) = record_end(&dialect, sample.as_bytes(), start) else { break };
            if sample[start..end].trim().is_empty() {
                start = end;
                continue;
            }
            let mut fields = Vec::new();
            dialect.fields(&sample.as_bytes()[start..end], &mut fields);
            counts.push(fields.len());
            start = end;
        }
        let first = counts.first().copied().unwrap_or(1);
        let same = counts.iter().filter(|c| **c == first).count();
        if first < 2 { 0.0 } else { same as f64 / counts.len() as f64 * 100.0 + (first as f64).min(50.0) }
    };
    let mut best = (b',', 0.0);
    for candidate in [b',', b'\t', b';', b'|'] {
        let score = score(candidate);
        if score > best.1 {
            best = (candidate, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        let chinese = "报警时间,地址\n2025-01-01,黄浦区南京东路100号\n".repeat(5);
        let (gb, _, _) = GB18030.encode(&chinese);
        assert_eq!(encoding(&gb), Some(GB18030));
        assert_eq!(encoding(chinese.as_bytes()), Some(UTF_8));
        assert_eq!(encoding(&chinese.as_bytes()[..chinese.len() - 10]), Some(UTF_8));
        assert_eq!(encoding(b"a,b\n1,2\n"), None);
        let (latin, _, _) = WINDOWS_1252.encode("acción;año;crímenes según región\nseñal;año;más\n");
        assert_eq!(encoding(&latin), Some(WINDOWS_1252));
        let utf16: Vec<u8> = "id,时间,name\n1,二,three\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(encoding(&utf16), Some(UTF_16LE));
    }

    #[test]
    fn delimiters_are_told_apart() {
        assert_eq!(delimiter("a;b;c\n1,5;2;3\n1,6;2;3\n", Format::Csv), b';');
        assert_eq!(delimiter("a,b,c\n\"x;y\",2,3\n", Format::Csv), b',');
        assert_eq!(delimiter("a\tb\n1\t2,3\n", Format::Tsv), b'\t');
        assert_eq!(delimiter("a|b\n1|2\n", Format::Csv), b'|');
        assert_eq!(delimiter("one column\nof text, here\n", Format::Csv), b',');
    }

    #[test]
    fn formats_go_by_content_then_name() {
        assert_eq!(format("x.csv", b"PAR1...."), Some(Format::Parquet));
        assert_eq!(format("x.jsonl.gz", b"{}"), Some(Format::Jsonl));
        assert_eq!(format("x", b"  {\"a\":1}"), Some(Format::Jsonl));
        assert_eq!(format("x", b"a,b\n1,2"), Some(Format::Csv));
        assert_eq!(format("x", &[0, 1, 2, 0, 0, 0, 7, 9, 0]), None);
    }
}
