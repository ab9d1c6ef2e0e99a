//! The text of attachments: bytes and a name in, plain text out. PDF, DOCX, OFD and plain text.
//!
//! Everything is bounded: what a file unpacks to, how long it may take, how much text comes out.
//! A file that is damaged or of another kind is an error that says so, never a panic.

mod pdf;
mod xml;

use std::io::{Cursor, Read};
use std::time::{Duration, Instant};

/// What reading one attachment may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Bytes of all unpacked parts together.
    pub unpacked: usize,
    /// Characters of text kept; the rest is cut and said to be.
    pub characters: usize,
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, unpacked: 256 << 20, characters: 2_000_000, time: Duration::from_secs(20) }
    }
}

/// Kinds of files that text is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Pdf,
    Docx,
    Ofd,
    Text,
}

/// The text of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extract {
    pub kind: Kind,
    /// Lines end with `\n`.
    pub text: String,
    /// There was more than the limit.
    pub cut: bool,
}

/// Why no text came out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    #[error("不支持这种文件 (no text is read from this kind of file)")]
    Unknown,
    #[error("文件过大：{bytes} 字节，上限 {limit} (the file is too large)")]
    TooLarge { bytes: usize, limit: usize },
    #[error("读取超时 (reading took too long)")]
    TooSlow,
    #[error("文件损坏或已加密：{0} (damaged or encrypted)")]
    Damaged(String),
}

/// Bytes and time still to be spent.
pub(crate) struct Budget {
    left: usize,
    until: Instant,
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        Self { left: limits.unpacked, until: Instant::now() + limits.time }
    }

    /// Reads all of a packed part, as far as the budget goes.
    fn read(&mut self, part: &mut dyn Read) -> Result<Vec<u8>, AttachmentError> {
        let mut out = Vec::new();
        let mut chunk = [0; 64 << 10];
        loop {
            self.check()?;
            let n = part.read(&mut chunk).map_err(|e| AttachmentError::Damaged(e.to_string()))?;
            if n == 0 {
                return Ok(out);
            }
            self.left =
                self.left.checked_sub(n).ok_or(AttachmentError::TooLarge { bytes: out.len() + n, limit: out.len() })?;
            out.extend_from_slice(&chunk[..n]);
        }
    }

    fn check(&self) -> Result<(), AttachmentError> {
        if Instant::now() > self.until { Err(AttachmentError::TooSlow) } else { Ok(()) }
    }
}

/// What a file is, by its first bytes; its name tells a text from something unknown.
pub fn kind(bytes: &[u8], name: &str) -> Option<Kind> {
    let extension = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    if bytes.get(..1024.min(bytes.len())).is_some_and(|head| head.windows(5).any(|w| w == b"%PDF-")) {
        return Some(Kind::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        let names = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
        let has = |wanted: &str| names.file_names().filter_map(Result::ok).any(|n| n.eq_ignore_ascii_case(wanted));
        return if has("word/document.xml") {
            Some(Kind::Docx)
        } else if has("OFD.xml") {
            Some(Kind::Ofd)
        } else {
            None
        };
    }
    let plain = ["txt", "text", "md", "csv", "log"].contains(&extension.as_str());
    (plain && !bytes.contains(&0)).then_some(Kind::Text)
}

/// The text of an attachment. Pure: the same bytes give the same text. Blocking; some milliseconds
/// for a letter, up to the limit for a book.
///
/// # Errors
/// See [`AttachmentError`].
pub fn text(bytes: &[u8], name: &str, limits: &Limits) -> Result<Extract, AttachmentError> {
    if bytes.len() > limits.bytes {
        return Err(AttachmentError::TooLarge { bytes: bytes.len(), limit: limits.bytes });
    }
    let kind = kind(bytes, name).ok_or(AttachmentError::Unknown)?;
    let mut budget = Budget::new(limits);
    let text = match kind {
        Kind::Pdf => pdf::text(bytes, &mut budget)?,
        Kind::Docx => docx(bytes, &mut budget)?,
        Kind::Ofd => ofd(bytes, &mut budget)?,
        Kind::Text => decode(bytes),
    };
    let (text, cut) = tidy(&text, limits.characters);
    Ok(Extract { kind, text, cut })
}

/// UTF-8 with or without mark, UTF-16 with one, else GB18030.
fn decode(bytes: &[u8]) -> String {
    if let Some((encoding, _)) = encoding_rs::Encoding::for_bom(bytes) {
        return encoding.decode(bytes).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => encoding_rs::GB18030.decode(bytes).0.into_owned(),
    }
}

/// No control characters, no runs of empty lines, not more than the limit.
fn tidy(text: &str, most: usize) -> (String, bool) {
    let mut out = String::with_capacity(text.len().min(most * 3));
    let (mut count, mut newlines) = (0, 2);
    for c in text.chars() {
        let c = match c {
            '\r' => continue,
            '\n' | '\u{c}' | '\u{2028}' | '\u{2029}' => '\n',
            '\t' => ' ',
            c if c.is_control() || c == '\u{feff}' || c == '\u{fffd}' => continue,
            c => c,
        };
        newlines = if c == '\n' { newlines + 1 } else { 0 };
        if newlines > 2 {
            continue;
        }
        if count == most {
            return (out.trim_end().to_string(), true);
        }
        count += 1;
        out.push(c);
    }
    (out.trim_end().to_string(), false)
}

fn damaged(e: impl std::fmt::Display) -> AttachmentError {
    AttachmentError::Damaged(e.to_string())
}

fn part(zip: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str, budget: &mut Budget) -> Result<String, AttachmentError> {
    let mut file = zip.by_name(name).map_err(damaged)?;
    Ok(String::from_utf8_lossy(&budget.read(&mut file)?).into_owned())
}

/// Paragraphs of a Word document with its notes, headers and footers left out; cells of a table
/// stand one a line.
fn docx(bytes: &[u8], budget: &mut Budget) -> Result<String, AttachmentError> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let document = part(&mut zip, "word/document.xml", budget)?;
    let mut out = String::new();
    let mut inside = false;
    xml::walk(&document, |event| match event {
        xml::Event::Start("t") => inside = true,
        xml::Event::End("t") => inside = false,
        xml::Event::Text(text) if inside => out.push_str(&text),
        xml::Event::Start("tab") => out.push(' '),
        xml::Event::Start("br" | "cr") | xml::Event::End("p") => out.push('\n'),
        _ => {}
    });
    Ok(out)
}

/// Pages of an OFD document (GB/T 33190) in order; each text object is a line.
fn ofd(bytes: &[u8], budget: &mut Budget) -> Result<String, AttachmentError> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let number =
        |name: &str| -> Vec<u64> { name.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect() };
    let mut pages: Vec<String> = zip
        .file_names()
        .filter_map(Result::ok)
        .filter(|n| n.to_ascii_lowercase().contains("/pages/") && n.to_ascii_lowercase().ends_with("content.xml"))
        .map(|n| n.into_owned())
        .collect();
    pages.sort_by_key(|name| number(name));
    let mut out = String::new();
    for page in pages {
        let content = part(&mut zip, &page, budget)?;
        let mut inside = false;
        xml::walk(&content, |event| match event {
            xml::Event::Start("TextCode") => inside = true,
            xml::Event::End("TextCode") => inside = false,
            xml::Event::Text(text) if inside => out.push_str(&text),
            xml::Event::End("TextObject") => out.push('\n'),
            _ => {}
        });
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
