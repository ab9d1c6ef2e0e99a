//! Delimited text: where records and fields end. Works on bytes; all marks are ASCII, so that
//! every cut lies on a character boundary of UTF-8.

use memchr::{memchr, memchr2, memrchr};

/// A record longer than this has a quote that nobody closed.
pub(crate) const MAX_RECORD: usize = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
}

/// A field of a record, without its quotes. `escaped`: doubled quotes inside stand for one, and
/// text may follow the closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub start: usize,
    pub end: usize,
    pub escaped: bool,
}

/// The index after the line end of the record that starts at `start`; `None` if it does not end
/// within `bytes`. A quote opens a quoted field only as its first character.
pub(crate) fn record_end(dialect: &Dialect, bytes: &[u8], start: usize) -> Option<usize> {
    let line_end = start + memchr(b'\n', &bytes[start..])?;
    let quote = match dialect.quote {
        Some(quote) if memchr(quote, &bytes[start..line_end]).is_some() => quote,
        _ => return Some(line_end + 1),
    };
    let mut at = start;
    loop {
        if bytes.get(at) == Some(&quote) {
            at = closing_quote(bytes, at + 1, quote)? + 1;
        }
        at += memchr2(dialect.delimiter, b'\n', bytes.get(at..)?)?;
        if bytes[at] == b'\n' {
            return Some(at + 1);
        }
        at += 1;
    }
}

/// The index of the quote that closes a field whose content starts at `from`.
fn closing_quote(bytes: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr(quote, bytes.get(at..)?)?;
        if bytes.get(at + 1) != Some(&quote) {
            return Some(at);
        }
        at += 2;
    }
}

/// The end of the last record that ends within `bytes` (0 if none does).
pub(crate) fn last_record_end(dialect: &Dialect, bytes: &[u8]) -> usize {
    let has_quotes = dialect.quote.is_some_and(|quote| memchr(quote, bytes).is_some());
    if !has_quotes {
        return memrchr(b'\n', bytes).map_or(0, |i| i + 1);
    }
    let mut end = 0;
    while let Some(next) = record_end(dialect, bytes, end) {
        end = next;
    }
    end
}

impl Dialect {
    /// The fields of one record (with or without its line end), as ranges of `record`.
    pub fn fields(&self, record: &[u8], fields: &mut Vec<FieldSpan>) {
        let mut end = record.len();
        if end > 0 && record[end - 1] == b'\n' {
            end -= 1;
        }
        if end > 0 && record[end - 1] == b'\r' {
            end -= 1;
        }
        let record = &record[..end];
        let mut at = 0;
        loop {
            let quoted = self.quote.filter(|q| record.get(at) == Some(q));
            let (span, next) = match quoted {
                Some(quote) => self.quoted_field(record, at + 1, quote),
                None => {
                    let end = memchr(self.delimiter, &record[at..]).map_or(record.len(), |i| at + i);
                    (FieldSpan { start: at, end, escaped: false }, end)
                }
            };
            fields.push(span);
            if next >= record.len() {
                return;
            }
            at = next + 1;
        }
    }

    fn quoted_field(&self, record: &[u8], start: usize, quote: u8) -> (FieldSpan, usize) {
        let close = closing_quote(record, start, quote).unwrap_or(record.len());
        let after = (close + 1).min(record.len());
        let next = memchr(self.delimiter, &record[after..]).map_or(record.len(), |i| after + i);
        if next == after {
            let escaped = memchr(quote, &record[start..close]).is_some();
            (FieldSpan { start, end: close, escaped }, next)
        } else {
            // Text after the closing quote belongs to the field.
            (FieldSpan { start, end: next, escaped: true }, next)
        }
    }
}

/// Appends the text of an escaped field: doubled quotes become one, a single one is dropped.
pub(crate) fn unescape(text: &str, quote: char, into: &mut String) {
    let mut parts = text.split(quote);
    into.push_str(parts.next().unwrap_or_default());
    let mut pending = false;
    for part in parts {
        if pending {
            // The second quote of a pair.
            pending = false;
            into.push(quote);
            into.push_str(part);
        } else if part.is_empty() {
            pending = true;
        } else {
            into.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Dialect = Dialect { delimiter: b',', quote: Some(b'"') };

    fn split(record: &str) -> Vec<String> {
        let mut spans = Vec::new();
        COMMA.fields(record.as_bytes(), &mut spans);
        spans
            .iter()
            .map(|s| {
                let text = &record[s.start..s.end];
                let mut out = String::new();
                if s.escaped {
                    unescape(text, '"', &mut out)
                } else {
                    out.push_str(text)
                }
                out
            })
            .collect()
    }

    #[test]
    fn fields_with_quotes_and_breaks() {
        assert_eq!(split("a,b,c\r\n"), ["a", "b", "c"]);
        assert_eq!(split("a,,\n"), ["a", "", ""]);
        assert_eq!(split("\"x,\"\"y\"\"\nz\",2\n"), ["x,\"y\"\nz", "2"]);
        assert_eq!(split("5\" pipe,\"q\"tail,3"), ["5\" pipe", "qtail", "3"]);
        assert_eq!(split("\"\"\"\",\"\"\n"), ["\"", ""]);
        assert_eq!(split("\"\"\"\"\"\",1\n"), ["\"\"", "1"]);
        assert_eq!(split("\n"), [""]);
    }

    #[test]
    fn records_end_outside_quotes() {
        let text = b"a,\"b\nc\"\nd,5\" x\n\"open\n";
        assert_eq!(record_end(&COMMA, text, 0), Some(8));
        assert_eq!(record_end(&COMMA, text, 8), Some(15));
        assert_eq!(record_end(&COMMA, text, 15), None);
        assert_eq!(last_record_end(&COMMA, text), 15);
    }
}
