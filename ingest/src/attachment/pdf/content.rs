//! The operators of a page that show text, and the fonts that say what it means.

use super::super::{AttachmentError, Budget};
use super::File;
use super::object::{Dict, Object, Parser};
use encoding_rs::Encoding;
use std::collections::HashMap;
use std::rc::Rc;

/// How a font's codes become text.
#[derive(Default)]
pub(super) struct Font {
    /// By the table of the file.
    table: HashMap<u32, String>,
    /// Bytes of a code; 2 for composite fonts.
    width: usize,
    /// A predefined encoding of East Asian text.
    encoding: Option<&'static Encoding>,
}

impl Font {
    fn load(file: &File, dict: &Dict, budget: &mut Budget) -> Result<Self, AttachmentError> {
        let composite = dict.name("Subtype") == Some("Type0");
        let mut font = Self { width: if composite { 2 } else { 1 }, ..Self::default() };
        if let Some((table, range)) = dict.get("ToUnicode").and_then(|t| file.stream(t)) {
            let bytes = file.decode(&table, range, budget)?;
            font.read_table(&bytes);
        }
        font.encoding = match dict.get("Encoding").map(|e| file.resolve(e)) {
            Some(Object::Name(name)) if name.contains("UCS2") || name.contains("UTF16") => Some(encoding_rs::UTF_16BE),
            Some(Object::Name(name)) if name.starts_with("GB") => Some(encoding_rs::GB18030),
            Some(Object::Name(name)) if name.starts_with("B5") || name.starts_with("ETen") => Some(encoding_rs::BIG5),
            _ if composite => None,
            _ => Some(encoding_rs::WINDOWS_1252),
        };
        Ok(font)
    }

    /// `beginbfchar` and `beginbfrange` of a table to Unicode.
    fn read_table(&mut self, bytes: &[u8]) {
        let code = |b: &[u8]| b.iter().take(4).fold(0_u32, |v, b| v << 8 | u32::from(*b));
        let text = |b: &[u8]| {
            let units: Vec<u16> = b.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
            String::from_utf16_lossy(&units)
        };
        let mut parser = Parser::new(bytes, 0);
        let mut held: Vec<Object> = Vec::new();
        while let Some(object) = parser.object() {
            let Object::Word(word) = &object else {
                held.push(object);
                continue;
            };
            match word.as_slice() {
                b"begincodespacerange" | b"beginbfchar" | b"beginbfrange" => held.clear(),
                b"endcodespacerange" => {
                    if let Some(Object::Text(low)) = held.first() {
                        self.width = low.len().clamp(1, 4);
                    }
                    held.clear();
                }
                b"endbfchar" => {
                    for pair in held.chunks_exact(2) {
                        if let [Object::Text(from), Object::Text(to)] = pair {
                            self.table.insert(code(from), text(to));
                        }
                    }
                    held.clear();
                }
                b"endbfrange" => {
                    for range in held.chunks_exact(3) {
                        let [Object::Text(low), Object::Text(high), to] = range else { continue };
                        let (low, high) = (code(low), code(high));
                        for (n, code) in (low..=high).take(65_536).enumerate() {
                            let value = match to {
                                Object::Text(first) => {
                                    let mut units: Vec<u16> =
                                        first.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
                                    if let Some(last) = units.last_mut() {
                                        *last = last.wrapping_add(n as u16);
                                    }
                                    String::from_utf16_lossy(&units)
                                }
                                Object::Array(list) => match list.get(n) {
                                    Some(Object::Text(to)) => text(to),
                                    _ => continue,
                                },
                                _ => continue,
                            };
                            self.table.insert(code, value);
                        }
                    }
                    held.clear();
                }
                _ => held.clear(),
            }
        }
    }

    fn decode(&self, bytes: &[u8], out: &mut String) {
        if self.table.is_empty() {
            if let Some(encoding) = self.encoding {
                out.push_str(&encoding.decode_without_bom_handling(bytes).0);
            }
            return;
        }
        for code in bytes.chunks(self.width.max(1)) {
            let value = code.iter().fold(0_u32, |v, b| v << 8 | u32::from(*b));
            match self.table.get(&value) {
                Some(text) => out.push_str(text),
                None if self.width == 1 => out.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(code).0),
                None => {}
            }
        }
    }
}

/// Runs a page's operators.
pub(super) struct Interpreter<'a, 'f> {
    pub file: &'a File<'f>,
    pub fonts: &'a mut HashMap<u32, Rc<Font>>,
    pub out: &'a mut String,
    pub budget: &'a mut Budget,
}

impl Interpreter<'_, '_> {
    /// # Errors
    /// The budget is used up.
    pub fn run(&mut self, content: &[u8], resources: &Dict, depth: usize) -> Result<(), AttachmentError> {
        let fonts = self.file.dict(resources.get("Font"));
        let forms = self.file.dict(resources.get("XObject"));
        let mut parser = Parser::new(content, 0);
        let mut held: Vec<Object> = Vec::new();
        let mut font = Rc::new(Font { width: 1, encoding: Some(encoding_rs::WINDOWS_1252), ..Font::default() });
        let (mut line, mut count) = (f64::NAN, 0_u32);
        while let Some(object) = parser.object() {
            count += 1;
            if count.is_multiple_of(10_000) {
                self.budget.check()?;
            }
            let Object::Word(word) = object else {
                held.push(object);
                if held.len() > 1_000 {
                    held.clear();
                }
                continue;
            };
            match (word.as_slice(), held.as_slice()) {
                (b"Tf", [.., Object::Name(name), _]) => {
                    if let Some(entry) = fonts.get(name) {
                        font = self.font(entry)?;
                    }
                }
                (b"Tj", [.., Object::Text(text)]) => font.decode(text, self.out),
                (b"'" | b"\"", [.., Object::Text(text)]) => {
                    self.newline();
                    font.decode(text, self.out);
                }
                (b"TJ", [.., Object::Array(parts)]) => {
                    for part in parts {
                        match part {
                            Object::Text(text) => font.decode(text, self.out),
                            // A wide step between Latin letters is a space.
                            Object::Number(n)
                                if *n < -180.0 && self.out.ends_with(|c: char| c.is_ascii_alphanumeric()) =>
                            {
                                self.out.push(' ')
                            }
                            _ => {}
                        }
                    }
                }
                (b"T*", _) => self.newline(),
                (b"Td" | b"TD", [.., Object::Number(_), Object::Number(y)]) if y.abs() > 0.5 => self.newline(),
                (b"Tm", [.., Object::Number(_), Object::Number(y)]) => {
                    if !line.is_nan() && (line - y).abs() > 0.5 {
                        self.newline();
                    }
                    line = *y;
                }
                (b"BI", _) => {
                    // An inline image: its bytes are no operators.
                    match memchr::memmem::find(&content[parser.at..], b"EI") {
                        Some(n) => parser.at += n + 2,
                        None => return Ok(()),
                    }
                }
                (b"Do", [.., Object::Name(name)]) if depth < 8 => {
                    if let Some((dict, range)) = forms.get(name).and_then(|f| self.file.stream(f))
                        && dict.name("Subtype") == Some("Form")
                    {
                        let bytes = self.file.decode(&dict, range, self.budget)?;
                        let own = self.file.dict(dict.get("Resources"));
                        self.run(&bytes, if own.is_empty() { resources } else { &own }, depth + 1)?;
                    }
                }
                _ => {}
            }
            held.clear();
        }
        Ok(())
    }

    fn newline(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn font(&mut self, entry: &Object) -> Result<Rc<Font>, AttachmentError> {
        if let Object::Ref(number) = entry
            && let Some(font) = self.fonts.get(number)
        {
            return Ok(font.clone());
        }
        let dict = self.file.dict(Some(entry));
        let font = Rc::new(Font::load(self.file, &dict, self.budget)?);
        if let Object::Ref(number) = entry {
            self.fonts.insert(*number, font.clone());
        }
        Ok(font)
    }
}
