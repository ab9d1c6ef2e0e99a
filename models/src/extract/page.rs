//! A text made ready for reading: width folded, stray spaces of scans dropped, places kept.

use std::ops::Range;

/// What stood between two characters of the cleaned text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    None,
    /// A space between words of two or more characters: may end a heading.
    Soft,
    /// A line or paragraph ends here.
    Hard,
}

/// A cleaned text. Positions in it are bytes of [`Page::text`]; [`Page::source`] leads back to the
/// characters of the text as it came.
#[derive(Debug)]
pub(super) struct Page {
    pub text: String,
    /// For each byte of `text` that starts a character: the character of the source.
    at: Vec<usize>,
    gaps: Vec<Gap>,
}

/// Width and brackets: every opening bracket of a case number becomes `(`, every closing one `)`.
fn fold(c: char) -> char {
    match c {
        '（' | '〔' | '［' | '[' | '﹝' | '【' | '{' | '｛' => '(',
        '）' | '〕' | '］' | ']' | '﹞' | '】' | '}' | '｝' => ')',
        '〈' | '﹤' | '<' | '＜' => '《',
        '〉' | '﹥' | '>' | '＞' => '》',
        '：' => ':',
        '；' => ';',
        '，' => ',',
        '○' | 'Ο' | 'О' | '０' => '0',
        '〇' => '零',
        '！'..='～' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' | '〇' | '々')
}

/// Lines shorter than this are headings, names and dates; longer ones may be wrapped by a scanner.
const WRAPPED: usize = 24;

impl Page {
    pub fn new(source: &str) -> Self {
        let chars: Vec<char> = source.chars().collect();
        // Runs between white space, with what parts them.
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for end in 0..=chars.len() {
            if end == chars.len() || chars[end].is_whitespace() || chars[end] == '\u{ad}' {
                if end > start {
                    runs.push(start..end);
                }
                start = end + 1;
            }
        }
        let mut page = Self { text: String::with_capacity(source.len()), at: Vec::new(), gaps: Vec::new() };
        let mut line = 0;
        for (n, run) in runs.iter().enumerate() {
            let mut gap = Gap::None;
            if let Some(before) = n.checked_sub(1).map(|n| &runs[n]) {
                let last = chars[before.end - 1];
                let newline = chars[before.end..run.start].contains(&'\n');
                let ended = matches!(last, '。' | '；' | ';' | '！' | '？' | '”');
                gap = if newline {
                    let heading = matches!(last, '号' | '书' | '院' | '：' | ':' | '日' | '）' | ')');
                    if ended || heading || line < WRAPPED { Gap::Hard } else { Gap::None }
                } else if ended {
                    Gap::Hard
                } else if before.len() > 1 && run.len() > 1 {
                    Gap::Soft
                } else {
                    Gap::None
                };
                if newline {
                    line = 0;
                }
            }
            for i in run.clone() {
                page.push(fold(chars[i]), i, gap);
                gap = Gap::None;
            }
            line += run.len();
        }
        page
    }

    fn push(&mut self, c: char, at: usize, gap: Gap) {
        self.text.push(c);
        for n in 0..c.len_utf8() {
            self.at.push(at);
            self.gaps.push(if n == 0 { gap } else { Gap::None });
        }
    }

    /// Whether a line ends before this byte.
    pub fn breaks(&self, at: usize) -> bool {
        self.gaps.get(at) == Some(&Gap::Hard)
    }

    /// Whether there was any gap before this byte.
    pub fn parts(&self, at: usize) -> bool {
        self.gaps.get(at).is_some_and(|g| *g != Gap::None)
    }

    /// Characters `[start, end)` of the source for bytes of the cleaned text.
    pub fn source(&self, range: Range<usize>) -> (usize, usize) {
        let Some(start) = self.at.get(range.start) else { return (0, 0) };
        let end = range.end.checked_sub(1).and_then(|last| self.at.get(last)).map_or(*start, |last| last + 1);
        (*start, end)
    }

    /// The largest boundary of a character that is not beyond `at`.
    pub fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// Sentences of a part: ended by `。` or the end of a line.
    pub fn sentences(&self, part: Range<usize>) -> Vec<Range<usize>> {
        self.split(part, |at| self.breaks(at))
    }

    /// The same, parted at any gap too: headings, parties and signatures stand like this.
    pub fn pieces(&self, part: Range<usize>) -> Vec<Range<usize>> {
        self.split(part, |at| self.parts(at))
    }

    fn split(&self, part: Range<usize>, ends: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
        let mut out = Vec::new();
        let mut start = part.start;
        for (offset, c) in self.text[part.clone()].char_indices() {
            let at = part.start + offset;
            if at > start && ends(at) {
                out.push(start..at);
                start = at;
            }
            if c == '。' {
                out.push(start..at + c.len_utf8());
                start = at + c.len_utf8();
            }
        }
        if start < part.end {
            out.push(start..part.end);
        }
        out
    }
}

/// Whole numbers below ten thousand as Chinese texts write them: 二百六十六, 六十, 十, 266.
pub(super) fn number(text: &str) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let (mut total, mut digit, mut positional, mut units) = (0_u32, None::<u32>, 0_u32, false);
    for c in text.chars() {
        let value = "零一二三四五六七八九".chars().position(|d| d == c).map(|v| v as u32).or(match c {
            '0'..='9' => c.to_digit(10),
            '两' => Some(2),
            _ => None,
        });
        match (value, c) {
            (Some(v), _) => {
                digit = Some(v);
                positional = positional.checked_mul(10)?.checked_add(v)?;
            }
            (None, '十' | '百' | '千' | '万') => {
                units = true;
                let unit = match c {
                    '十' => 10,
                    '百' => 100,
                    '千' => 1_000,
                    _ => {
                        total = (total + digit.unwrap_or(0)).checked_mul(10_000)?;
                        digit = None;
                        continue;
                    }
                };
                total = total.checked_add(digit.unwrap_or(1).checked_mul(unit)?)?;
                digit = None;
            }
            _ => return None,
        }
    }
    if units { total.checked_add(digit.unwrap_or(0)) } else { Some(positional) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        for (text, value) in [
            ("二百六十六", 266),
            ("六十", 60),
            ("十", 10),
            ("一百零二", 102),
            ("266", 266),
            ("二零一七", 2017),
            ("三万五千", 35_000),
            ("十二", 12),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert_eq!(number("二x"), None);
        assert_eq!(number(""), None);
    }

    #[test]
    fn stray_spaces_go_and_lines_stay() {
        let page = Page::new("上 海 市 奉 贤 区 人 民 法 院\n刑 事 判 决 书\n（ 2017 ）沪0120刑初684号");
        assert_eq!(page.text, "上海市奉贤区人民法院刑事判决书(2017)沪0120刑初684号");
        let at = page.text.find('刑').expect("there");
        assert!(page.breaks(at));
        assert_eq!(page.source(0.."上海".len()), (0, 3));
    }
}
