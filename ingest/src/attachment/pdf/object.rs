//! Objects of a PDF file: numbers, names, strings, arrays, dictionaries, references.

use std::collections::HashMap;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Null,
    Number(f64),
    Name(String),
    Text(Vec<u8>),
    Array(Vec<Object>),
    Dict(Dict),
    Ref(u32),
    /// An operator of a page's content, or a word such as `true`.
    Word(Vec<u8>),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Dict(HashMap<String, Object>);

impl Dict {
    pub fn get(&self, key: &str) -> Option<&Object> {
        self.0.get(key)
    }

    pub fn insert(&mut self, key: &str, value: Object) {
        self.0.insert(key.to_string(), value);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn name(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Object::Name(name)) => Some(name),
            _ => None,
        }
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        match self.0.get(key) {
            Some(Object::Number(n)) => Some(*n),
            _ => None,
        }
    }
}

/// How deep arrays and dictionaries may lie in each other.
const DEPTH: usize = 60;

pub(super) struct Parser<'a> {
    bytes: &'a [u8],
    pub at: usize,
    depth: usize,
}

fn is_space(b: u8) -> bool {
    matches!(b, 0 | 9 | 10 | 12 | 13 | 32)
}

fn is_mark(b: u8) -> bool {
    matches!(b, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

impl<'a> Parser<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()), depth: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self) {
        while let Some(b) = self.peek() {
            if b == b'%' {
                while self.peek().is_some_and(|b| b != b'\n' && b != b'\r') {
                    self.at += 1;
                }
            } else if is_space(b) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The next object; `None` at the end or where nothing can be read.
    pub fn object(&mut self) -> Option<Object> {
        self.skip();
        match self.peek()? {
            b'/' => Some(Object::Name(self.name())),
            b'(' => Some(Object::Text(self.literal())),
            b'<' if self.bytes.get(self.at + 1) == Some(&b'<') => self.dict(),
            b'<' => {
                let end =
                    self.bytes[self.at..].iter().position(|b| *b == b'>').map_or(self.bytes.len(), |n| self.at + n);
                let text = hex(&self.bytes[self.at + 1..end]);
                self.at = (end + 1).min(self.bytes.len());
                Some(Object::Text(text))
            }
            b'[' => self.array(),
            b'+' | b'-' | b'.' | b'0'..=b'9' => Some(self.number()),
            b')' | b'>' | b']' | b'{' | b'}' => {
                self.at += 1;
                Some(Object::Word(vec![self.bytes[self.at - 1]]))
            }
            _ => {
                let word = self.word();
                Some(if word == b"null" { Object::Null } else { Object::Word(word.to_vec()) })
            }
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(|b| !is_space(b) && !is_mark(b)) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    fn name(&mut self) -> String {
        self.at += 1;
        let raw = self.word();
        let mut out = Vec::with_capacity(raw.len());
        let mut i = 0;
        while i < raw.len() {
            let code = (raw[i] == b'#')
                .then(|| raw.get(i + 1..i + 3))
                .flatten()
                .and_then(|h| std::str::from_utf8(h).ok())
                .and_then(|h| u8::from_str_radix(h, 16).ok());
            match code {
                Some(byte) => {
                    out.push(byte);
                    i += 3;
                }
                None => {
                    out.push(raw[i]);
                    i += 1;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A number, or a reference where two whole numbers and an R follow.
    fn number(&mut self) -> Object {
        let value = |raw: &[u8]| std::str::from_utf8(raw).ok().and_then(|t| t.parse::<f64>().ok());
        let start = self.at;
        let first = self.word();
        let Some(n) = value(first) else {
            self.at = self.at.max(start + 1);
            return Object::Null;
        };
        let after = self.at;
        if n >= 0.0 && n.fract() == 0.0 && first.iter().all(u8::is_ascii_digit) {
            self.skip();
            if self.peek().is_some_and(|b| b.is_ascii_digit()) {
                let generation = self.word();
                self.skip();
                let here = self.at;
                if generation.iter().all(u8::is_ascii_digit) && self.word() == b"R" {
                    return Object::Ref(n as u32);
                }
                self.at = here;
            }
        }
        self.at = after;
        Object::Number(n)
    }

    fn literal(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut open = 0;
        while let Some(b) = self.peek() {
            self.at += 1;
            match b {
                b'(' => {
                    open += 1;
                    if open > 1 {
                        out.push(b);
                    }
                }
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return out;
                    }
                    out.push(b);
                }
                b'\\' => {
                    let Some(c) = self.peek() else { return out };
                    self.at += 1;
                    match c {
                        b'n' => out.push(b'\n'),
                        b'r' => out.push(b'\r'),
                        b't' => out.push(b'\t'),
                        b'b' => out.push(8),
                        b'f' => out.push(12),
                        b'\r' => {
                            if self.peek() == Some(b'\n') {
                                self.at += 1;
                            }
                        }
                        b'\n' => {}
                        b'0'..=b'7' => {
                            let mut code = u32::from(c - b'0');
                            for _ in 0..2 {
                                match self.peek() {
                                    Some(d @ b'0'..=b'7') => {
                                        code = code * 8 + u32::from(d - b'0');
                                        self.at += 1;
                                    }
                                    _ => break,
                                }
                            }
                            out.push(code as u8);
                        }
                        c => out.push(c),
                    }
                }
                b => out.push(b),
            }
        }
        out
    }

    fn array(&mut self) -> Option<Object> {
        self.at += 1;
        self.depth += 1;
        let mut list = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None => break,
                Some(b']') => {
                    self.at += 1;
                    break;
                }
                Some(_) if self.depth > DEPTH => return None,
                Some(_) => list.push(self.object()?),
            }
        }
        self.depth -= 1;
        Some(Object::Array(list))
    }

    fn dict(&mut self) -> Option<Object> {
        self.at += 2;
        self.depth += 1;
        let mut dict = Dict::default();
        loop {
            self.skip();
            match self.peek() {
                None => break,
                Some(b'>') => {
                    self.at = (self.at + 2).min(self.bytes.len());
                    break;
                }
                Some(b'/') if self.depth <= DEPTH => {
                    let key = self.name();
                    let value = self.object()?;
                    dict.0.insert(key, value);
                }
                Some(_) => {
                    if self.depth > DEPTH {
                        return None;
                    }
                    self.object()?;
                }
            }
        }
        self.depth -= 1;
        Some(Object::Dict(dict))
    }

    /// Where the bytes of a stream begin, if `stream` is next.
    pub fn stream_start(&mut self) -> Option<usize> {
        self.skip();
        let rest = self.bytes[self.at..].strip_prefix(b"stream")?;
        let lead = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b'\r', ..] => 1,
            _ => 0,
        };
        Some(self.at + 6 + lead)
    }
}

pub(super) fn hex(bytes: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> = bytes.iter().filter_map(|b| (*b as char).to_digit(16)).map(|d| d as u8).collect();
    if digits.len() % 2 == 1 {
        digits.push(0);
    }
    digits.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect()
}

pub(super) fn ascii85(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut group: Vec<u32> = Vec::new();
    let emit = |group: &[u32], out: &mut Vec<u8>| {
        let full = group.iter().copied().chain(std::iter::repeat(84)).take(5);
        let value = full.fold(0_u32, |v, d| v.wrapping_mul(85).wrapping_add(d));
        out.extend(&value.to_be_bytes()[..group.len().saturating_sub(1)]);
    };
    for b in bytes {
        match b {
            b'~' => break,
            b'z' if group.is_empty() => out.extend([0; 4]),
            b'!'..=b'u' => {
                group.push(u32::from(b - b'!'));
                if group.len() == 5 {
                    emit(&group, &mut out);
                    group.clear();
                }
            }
            _ => {}
        }
    }
    if group.len() > 1 {
        emit(&group, &mut out);
    }
    out
}
