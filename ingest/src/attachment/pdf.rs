//! The text of PDF files (ISO 32000-1): pages in order, strings through their fonts' tables back to
//! Unicode. Scanned pages have no text; encrypted files are refused.

mod content;
mod object;

use super::{AttachmentError, Budget, damaged};
use content::{Font, Interpreter};
use object::{Dict, Object, Parser};
use std::collections::{HashMap, HashSet};
use std::io::Read;

/// Pages that are read.
const MOST_PAGES: usize = 5_000;

/// The objects of a file by number. Later definitions replace earlier ones, as updates do.
struct File<'a> {
    bytes: &'a [u8],
    offsets: HashMap<u32, usize>,
    /// Objects that lay packed in streams.
    packed: HashMap<u32, Object>,
}

pub(super) fn text(bytes: &[u8], budget: &mut Budget) -> Result<String, AttachmentError> {
    let mut file = File { bytes, offsets: HashMap::new(), packed: HashMap::new() };
    file.scan(budget)?;
    if find(bytes, b"/Encrypt", 0).is_some_and(|at| !bytes[at + 8..].starts_with(b"Metadata")) {
        return Err(AttachmentError::Damaged("文件已加密".into()));
    }
    file.unpack(budget)?;
    let mut pages = Vec::new();
    let root = file.root().ok_or_else(|| damaged("没有页面目录"))?;
    file.pages(&root, &Dict::default(), &mut HashSet::new(), &mut pages, 0);
    let mut out = String::new();
    let mut fonts: HashMap<u32, std::rc::Rc<Font>> = HashMap::new();
    for page in pages {
        budget.check()?;
        let resources = file.dict(page.get("Resources"));
        let mut bytes = Vec::new();
        for part in file.list(page.get("Contents")) {
            if let Some((dict, range)) = file.stream(&part) {
                bytes.extend(file.decode(&dict, range, budget)?);
                bytes.push(b'\n');
            }
        }
        let mut run = Interpreter { file: &file, fonts: &mut fonts, out: &mut out, budget };
        run.run(&bytes, &resources, 0)?;
        out.push('\n');
    }
    Ok(out)
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(bytes.get(from..)?, wanted).map(|at| from + at)
}

impl File<'_> {
    /// Every `N G obj`, whatever the cross-reference table says: damaged tables are common.
    fn scan(&mut self, budget: &Budget) -> Result<(), AttachmentError> {
        let mut at = 0;
        let mut seen = 0;
        while let Some(found) = find(self.bytes, b" obj", at) {
            at = found + 4;
            let head = &self.bytes[found.saturating_sub(24)..found];
            let mut parts = head.rsplit(|b| b.is_ascii_whitespace() || *b == b'>');
            let generation = parts.next().is_some_and(|g| !g.is_empty() && g.iter().all(u8::is_ascii_digit));
            let number = parts.next().and_then(|n| std::str::from_utf8(n).ok()).and_then(|n| {
                let digits = n.len() - n.bytes().rev().take_while(u8::is_ascii_digit).count();
                n[digits..].parse::<u32>().ok()
            });
            if let (true, Some(number)) = (generation, number) {
                self.offsets.insert(number, at);
                seen += 1;
                if seen % 1_000 == 0 {
                    budget.check()?;
                }
            }
        }
        if seen == 0 { Err(damaged("没有对象")) } else { Ok(()) }
    }

    /// Objects inside object streams.
    fn unpack(&mut self, budget: &mut Budget) -> Result<(), AttachmentError> {
        let numbers: Vec<u32> = self.offsets.keys().copied().collect();
        for number in numbers {
            let Some((dict, range)) = self.stream(&Object::Ref(number)) else { continue };
            if dict.name("Type") != Some("ObjStm") {
                continue;
            }
            let bytes = self.decode(&dict, range, budget)?;
            let (Some(count), Some(first)) = (dict.number("N"), dict.number("First")) else { continue };
            let (count, first) = ((count.max(0.0) as usize).min(bytes.len()), first.max(0.0) as usize);
            let mut head = Parser::new(&bytes, 0);
            let mut places = Vec::new();
            for _ in 0..count {
                match (head.object(), head.object()) {
                    (Some(Object::Number(n)), Some(Object::Number(offset))) => {
                        places.push((n as u32, offset.max(0.0) as usize))
                    }
                    _ => break,
                }
            }
            for (number, offset) in places {
                if let Some(object) = Parser::new(&bytes, first.saturating_add(offset)).object() {
                    self.packed.entry(number).or_insert(object);
                }
            }
        }
        Ok(())
    }

    /// The object that another one stands for.
    fn resolve(&self, object: &Object) -> Object {
        let mut object = object.clone();
        for _ in 0..8 {
            let Object::Ref(number) = object else { return object };
            object = match self.offsets.get(&number) {
                Some(at) => Parser::new(self.bytes, *at).object().unwrap_or(Object::Null),
                None => self.packed.get(&number).cloned().unwrap_or(Object::Null),
            };
        }
        Object::Null
    }

    fn dict(&self, object: Option<&Object>) -> Dict {
        match object.map(|o| self.resolve(o)) {
            Some(Object::Dict(dict)) => dict,
            _ => Dict::default(),
        }
    }

    /// One object, or the members of an array.
    fn list(&self, object: Option<&Object>) -> Vec<Object> {
        match object {
            None => Vec::new(),
            Some(object) => match self.resolve(object) {
                Object::Array(list) => list,
                Object::Null => Vec::new(),
                _ => vec![object.clone()],
            },
        }
    }

    /// The dictionary of a stream and the bytes that follow it.
    fn stream(&self, object: &Object) -> Option<(Dict, std::ops::Range<usize>)> {
        let Object::Ref(number) = object else { return None };
        let mut parser = Parser::new(self.bytes, *self.offsets.get(number)?);
        let Some(Object::Dict(dict)) = parser.object() else { return None };
        let start = parser.stream_start()?;
        let length = match dict.get("Length").map(|l| self.resolve(l)) {
            Some(Object::Number(n)) if n >= 0.0 => Some(n as usize),
            _ => None,
        };
        let ends = |end: usize| {
            self.bytes.get(end..).is_some_and(|rest| {
                rest.iter()
                    .position(|b| !b.is_ascii_whitespace())
                    .is_some_and(|n| n < 4 && rest[n..].starts_with(b"endstream"))
            })
        };
        let end = length.and_then(|n| start.checked_add(n)).filter(|end| ends(*end));
        let end = end.or_else(|| find(self.bytes, b"endstream", start))?;
        Some((dict, start..end))
    }

    /// What a stream unpacks to. Filters of images give nothing.
    fn decode(
        &self,
        dict: &Dict,
        range: std::ops::Range<usize>,
        budget: &mut Budget,
    ) -> Result<Vec<u8>, AttachmentError> {
        let mut bytes = self.bytes[range].to_vec();
        for filter in self.list(dict.get("Filter")) {
            let Object::Name(name) = self.resolve(&filter) else { continue };
            bytes = match name.as_str() {
                "FlateDecode" | "Fl" => {
                    // A stream that ends early gives what it has.
                    let mut out = Vec::new();
                    let mut source = flate2::read::ZlibDecoder::new(bytes.as_slice());
                    let mut chunk = [0; 32 << 10];
                    loop {
                        budget.check()?;
                        match source.read(&mut chunk) {
                            Ok(0) | Err(_) => break out,
                            Ok(n) => {
                                budget.left = budget
                                    .left
                                    .checked_sub(n)
                                    .ok_or(AttachmentError::TooLarge { bytes: out.len() + n, limit: out.len() })?;
                                out.extend_from_slice(&chunk[..n]);
                            }
                        }
                    }
                }
                "ASCIIHexDecode" | "AHx" => object::hex(&bytes),
                "ASCII85Decode" | "A85" => object::ascii85(&bytes),
                _ => return Ok(Vec::new()),
            };
        }
        Ok(bytes)
    }

    /// The first node of the tree of pages: the catalogue's, or any that has no parent.
    fn root(&self) -> Option<Object> {
        let numbers = self.offsets.keys().chain(self.packed.keys());
        let mut fallback = None;
        for number in numbers {
            let object = Object::Ref(*number);
            let Object::Dict(dict) = self.resolve(&object) else { continue };
            match dict.name("Type") {
                Some("Catalog") => {
                    if let Some(pages) = dict.get("Pages").filter(|p| !self.dict(Some(p)).is_empty()) {
                        return Some(pages.clone());
                    }
                }
                Some("Pages") if dict.get("Parent").is_none() => fallback = Some(object),
                _ => {}
            }
        }
        fallback
    }

    fn pages(&self, node: &Object, above: &Dict, seen: &mut HashSet<u32>, out: &mut Vec<Dict>, depth: usize) {
        if let Object::Ref(number) = node
            && !seen.insert(*number)
        {
            return;
        }
        if depth > 40 || out.len() >= MOST_PAGES {
            return;
        }
        let mut dict = self.dict(Some(node));
        if let (None, Some(inherited)) = (dict.get("Resources"), above.get("Resources")) {
            dict.insert("Resources", inherited.clone());
        }
        let kids = self.list(dict.get("Kids"));
        if kids.is_empty() {
            if dict.get("Contents").is_some() {
                out.push(dict);
            }
            return;
        }
        for kid in kids {
            self.pages(&kid, &dict, seen, out, depth + 1);
        }
    }
}
