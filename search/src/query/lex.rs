//! Cuts a query into tokens with their places. Operators are words of their own, never parts of one.

use super::{Names, Near, Section};
use crate::analyze::normal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    /// `-` before something.
    Minus,
    /// `+` before something.
    Plus,
    Not,
    And,
    Or,
    Near(Near),
    Quote(String),
    Word(String),
    /// A field's name and the colon after it.
    Field(String),
    Section(Section),
}

/// Half-open span in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub from: usize,
    pub to: usize,
    /// A quotation or group without its end.
    pub open: bool,
}

/// Groups inside groups; deeper brackets are characters.
const MAX_DEPTH: usize = 12;

/// Distance of `NEAR` without a number, and the largest.
const NEAR: u32 = 10;
const FARTHEST: u32 = 500;

pub(super) fn lex(chars: &[char], names: &Names) -> Vec<Token> {
    let mut lexer = Lexer { chars, names, tokens: Vec::new(), ends: Vec::new() };
    lexer.run();
    lexer.tokens
}

struct Lexer<'a> {
    chars: &'a [char],
    names: &'a Names,
    tokens: Vec<Token>,
    /// Where the open groups end; the length of the text where an end is missing.
    ends: Vec<usize>,
}

impl Lexer<'_> {
    fn push(&mut self, kind: Kind, from: usize, to: usize) {
        self.tokens.push(Token { kind, from, to, open: false });
    }

    fn space(&self, at: usize) -> bool {
        self.chars.get(at).is_none_or(|c| normal(*c) == ' ')
    }

    fn run(&mut self) {
        let mut at = 0;
        // Whether a prefix (`-`, `+`, `(`, `name:`) may stand here.
        let mut start = true;
        while at < self.chars.len() {
            let c = self.chars[at];
            if self.ends.last() == Some(&at) {
                self.ends.pop();
                self.push(Kind::Close, at, at + 1);
                at += 1;
                start = true;
            } else if normal(c) == ' ' {
                at += 1;
                start = true;
            } else if start && matches!(c, '-' | '－' | '+' | '＋') && !self.space(at + 1) {
                self.push(if matches!(c, '-' | '－') { Kind::Minus } else { Kind::Plus }, at, at + 1);
                at += 1;
            } else if let Some(ends) = quote_ends(c) {
                at = self.quote(at, ends);
                start = true;
            } else if let Some(end) = start.then(|| self.group(at)).flatten() {
                self.push(Kind::Open, at, at + 1);
                if end >= self.chars.len()
                    && let Some(token) = self.tokens.last_mut()
                {
                    token.open = true;
                }
                self.ends.push(end);
                at += 1;
            } else {
                (at, start) = self.word(at, start);
            }
        }
    }

    fn quote(&mut self, from: usize, ends: &[char]) -> usize {
        let (mut text, mut at, mut open) = (String::new(), from + 1, true);
        while let Some(&c) = self.chars.get(at) {
            at += 1;
            if ends.contains(&c) {
                if c == '"' && self.chars.get(at) == Some(&'"') {
                    at += 1;
                } else {
                    open = false;
                    break;
                }
            }
            text.push(c);
        }
        self.tokens.push(Token { kind: Kind::Quote(text), from, to: at, open });
        at
    }

    /// Where the group that begins here ends. `None`: the bracket is a character, as in （2017）沪01民初1号.
    fn group(&self, from: usize) -> Option<usize> {
        if !matches!(self.chars[from], '(' | '（') || self.ends.len() >= MAX_DEPTH {
            return None;
        }
        let limit = self.ends.last().copied().unwrap_or(self.chars.len());
        let (mut depth, mut at) = (0, from);
        while at < limit {
            let c = self.chars[at];
            if let Some(ends) = quote_ends(c) {
                at += 1;
                while at < limit && !ends.contains(&self.chars[at]) {
                    at += 1;
                }
            } else if matches!(c, '(' | '（') {
                depth += 1;
            } else if matches!(c, ')' | '）') {
                depth -= 1;
                if depth == 0 {
                    let inside = &self.chars[from + 1..at];
                    let number = inside.iter().all(|c| c.is_ascii_digit() || normal(*c).is_ascii_digit());
                    let ends = self.space(at + 1) || at + 1 == limit;
                    return (ends && !number && !inside.iter().all(|c| normal(*c) == ' ')).then_some(at);
                }
            }
            at += 1;
        }
        let digit = |at: usize| self.chars.get(at).is_some_and(|c| normal(*c).is_ascii_digit());
        (!digit(from + 1) && !self.space(from + 1)).then_some(limit)
    }

    /// A word, an operator, or a field's name. Gives where it ends and whether a prefix may follow.
    fn word(&mut self, from: usize, start: bool) -> (usize, bool) {
        let limit = self.ends.last().copied().unwrap_or(self.chars.len());
        let mut end = from;
        while end < limit && !self.space(end) && quote_ends(self.chars[end]).is_none() {
            let name = &self.chars[from..end];
            if start && matches!(self.chars[end], ':' | '：') && !name.is_empty() {
                let name: String = name.iter().collect();
                // A name with nothing after it is a word.
                let kind = match Section::named(&name) {
                    Some(section) => Some(Kind::Section(section)),
                    None => self.names.find(&name).map(|n| Kind::Field(n.to_string())),
                };
                if let Some(kind) = kind.filter(|_| end + 1 < limit && !self.space(end + 1)) {
                    self.push(kind, from, end + 1);
                    return (end + 1, true);
                }
            }
            end += 1;
        }
        let text: String = self.chars[from..end].iter().collect();
        let alone = start && (self.space(end) || end == limit);
        let kind = alone.then(|| operator(&text)).flatten().unwrap_or(Kind::Word(text));
        self.push(kind, from, end);
        (end, false)
    }
}

fn operator(text: &str) -> Option<Kind> {
    Some(match text {
        "且" | "并且" | "AND" | "&&" => Kind::And,
        "或" | "或者" | "OR" | "||" => Kind::Or,
        "非" | "不含" | "NOT" => Kind::Not,
        "/s" | "/S" | "同句" => Kind::Near(Near::Sentence),
        "/p" | "/P" | "同段" => Kind::Near(Near::Paragraph),
        "NEAR" => Kind::Near(Near::Chars(NEAR)),
        _ => {
            let number = text.strip_prefix("NEAR/").or(text.strip_prefix("近/")).or(text.strip_prefix('/'))?;
            let digits = !number.is_empty() && number.len() <= 6 && number.bytes().all(|b| b.is_ascii_digit());
            Kind::Near(Near::Chars(number.parse::<u32>().ok().filter(|_| digits)?.min(FARTHEST)))
        }
    })
}

/// The characters that end what this one begins. Input methods get the direction wrong.
fn quote_ends(c: char) -> Option<&'static [char]> {
    Some(match c {
        '"' => &['"'],
        '＂' => &['＂'],
        '“' | '”' => &['“', '”'],
        '「' => &['」'],
        '『' => &['』'],
        _ => return None,
    })
}

/// Whether a word is read as just this word wherever it stands, also inside a group.
pub(super) fn bare(text: &str, names: &Names) -> bool {
    let same = |token: &Token| matches!(&token.kind, Kind::Word(w) if w == text);
    let alone = lex(&text.chars().collect::<Vec<_>>(), names);
    let grouped = lex(&format!("( {text} x )").chars().collect::<Vec<_>>(), names);
    matches!(alone.as_slice(), [word] if same(word))
        && matches!(grouped.as_slice(), [open, word, _, close]
            if open.kind == Kind::Open && close.kind == Kind::Close && same(word))
}

/// Whether a name can stand before a colon.
pub(super) fn plain_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphanumeric())
        && name.chars().all(|c| normal(c) != ' ' && quote_ends(c).is_none() && !matches!(c, ':' | '：' | '(' | '（'))
}
