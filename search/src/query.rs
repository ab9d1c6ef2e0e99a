//! The query of the search box, forgiving: nothing that somebody types is an error.
//!
//! - words divided by spaces or sentence punctuation: ranked, any of them suffices;
//! - `"…"`, `“…”`, `「…」`, `『…』`: a fragment that must be there, exactly as written after
//!   normalisation (inside `"…"` a doubled `""` is one quote; a missing end is the end of the text);
//! - `-word`, `-"…"`, or a word after a lone `非` or `NOT`: a fragment that must not be there.

use crate::analyze::normal;

/// What a clause asks of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ranks texts; see [`least_bigrams`].
    Word,
    /// Must be there as a whole.
    Phrase,
    /// Must not be there as a whole.
    Not,
}

/// A part of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    pub kind: Kind,
    /// Normalised characters, never empty.
    pub text: Vec<char>,
    /// As it was typed, for whole values.
    pub raw: String,
}

/// A parsed query. Empty: asks for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub clauses: Vec<Clause>,
    /// A question mark stands outside of quotes.
    pub asks: bool,
}

/// Characters of one query that are read; the rest is ignored.
const MAX_CHARS: usize = 1_000;
const MAX_CLAUSES: usize = 32;

/// A word longer than this is a sentence, as are words that together have twice as many characters.
const TERM_CHARS: usize = 8;

/// What makes a short text a question.
const ASKING: &[&str] =
    &["吗", "呢", "谁", "哪", "什么", "怎么", "怎样", "如何", "为何", "何时", "是否", "能否", "可否", "多少"];

impl Query {
    /// Reads what was typed.
    pub fn parse(text: &str) -> Self {
        let chars: Vec<char> = text.chars().take(MAX_CHARS).collect();
        let mut reader = Reader { chars: &chars, clauses: Vec::new(), asks: false, negate: false };
        reader.read();
        let (mut clauses, asks) = (reader.clauses, reader.asks);
        if clauses.is_empty() && !chars.iter().all(|c| normal(*c) == ' ') {
            // Punctuation only: somebody looks for just that.
            clauses.extend(clause(Kind::Word, chars.iter().collect::<String>().trim()));
        }
        clauses.truncate(MAX_CLAUSES);
        Self { clauses, asks }
    }

    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Clause> {
        self.clauses.iter().filter(move |c| c.kind == kind)
    }

    /// Whether the words are a question or sentences rather than search terms: then all their
    /// grams rank as one bag.
    pub fn is_question(&self) -> bool {
        let words: Vec<&Clause> = self.of(Kind::Word).collect();
        let total: usize = words.iter().map(|w| w.text.len()).sum();
        let asks = |word: &Clause| {
            let text: String = word.text.iter().collect();
            ASKING.iter().any(|a| text.contains(a))
        };
        !words.iter().any(|w| w.is_number())
            && !words.is_empty()
            && (self.asks || total > 2 * TERM_CHARS || words.iter().any(|w| w.text.len() > TERM_CHARS || asks(w)))
    }
}

impl Clause {
    /// Case, document and telephone numbers: mostly letters and digits, so all of it counts.
    pub fn is_number(&self) -> bool {
        let ascii = self.text.iter().filter(|c| c.is_ascii_alphanumeric()).count();
        ascii * 5 >= self.text.len() * 2 && self.text.iter().any(char::is_ascii_digit)
    }

    /// The different bigrams, in order.
    pub fn bigrams(&self) -> Vec<[char; 2]> {
        let mut found = Vec::new();
        for pair in self.text.windows(2) {
            let pair = [pair[0], pair[1]];
            if !found.contains(&pair) {
                found.push(pair);
            }
        }
        found
    }
}

/// How many of a word's different bigrams a text must have: all of two, three fifths of more;
/// of numbers all.
pub fn least_bigrams(word: &Clause, bigrams: usize) -> usize {
    if bigrams <= 2 || word.is_number() { bigrams } else { (bigrams * 3).div_ceil(5) }
}

/// How many of a question's different bigrams a text must have.
pub fn least_of_question(bigrams: usize) -> usize {
    (bigrams / 10).max(2).min(bigrams)
}

fn clause(kind: Kind, raw: &str) -> Option<Clause> {
    let text: Vec<char> = raw.chars().map(normal).collect();
    (!text.is_empty()).then(|| Clause { kind, text, raw: raw.to_string() })
}

struct Reader<'a> {
    chars: &'a [char],
    clauses: Vec<Clause>,
    asks: bool,
    negate: bool,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut at = 0;
        while at < self.chars.len() {
            let c = self.chars[at];
            let starts = at == 0 || normal(self.chars[at - 1]) == ' ';
            if normal(c) == ' ' {
                at += 1;
            } else if starts && matches!(c, '-' | '－') && self.chars.get(at + 1).is_some_and(|n| normal(*n) != ' ') {
                self.negate = true;
                at += 1;
            } else if let Some(ends) = quote_ends(c) {
                at = self.quoted(at + 1, ends);
            } else {
                at = self.word(at);
            }
        }
    }

    fn quoted(&mut self, start: usize, ends: &[char]) -> usize {
        let mut text = String::new();
        let mut at = start;
        while at < self.chars.len() {
            let c = self.chars[at];
            if ends.contains(&c) {
                if c == '"' && self.chars.get(at + 1) == Some(&'"') {
                    at += 1;
                } else {
                    break;
                }
            }
            text.push(c);
            at += 1;
        }
        let kind = if std::mem::take(&mut self.negate) { Kind::Not } else { Kind::Phrase };
        self.clauses.extend(clause(kind, &text));
        at + 1
    }

    fn word(&mut self, start: usize) -> usize {
        let mut end = start;
        while end < self.chars.len()
            && normal(self.chars[end]) != ' '
            && quote_ends(self.chars[end]).is_none()
            && !self.divides(end)
        {
            end += 1;
        }
        if end == start {
            self.asks |= normal(self.chars[start]) == '?';
            return start + 1;
        }
        let word: String = self.chars[start..end].iter().collect();
        let alone = (start == 0 || normal(self.chars[start - 1]) == ' ')
            && self.chars.get(end).is_some_and(|c| normal(*c) == ' ');
        if alone && matches!(word.as_str(), "非" | "NOT") {
            self.negate = true;
            return end;
        }
        let noise = |c: char| !c.is_alphanumeric() && !matches!(normal(c), '(' | ')');
        let word = word.trim_matches(noise);
        if word.chars().any(char::is_alphanumeric) {
            let kind = if std::mem::take(&mut self.negate) { Kind::Not } else { Kind::Word };
            let known = self.clauses.iter().any(|c| c.kind == kind && c.raw == word);
            self.clauses.extend(clause(kind, word).filter(|_| !known));
        }
        end
    }

    /// Sentence punctuation, but not the comma in 1,000.
    fn divides(&self, at: usize) -> bool {
        let digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
        match normal(self.chars[at]) {
            '。' | ';' | '?' | '!' | '、' => true,
            ',' => !(digit(at.checked_sub(1).and_then(|i| self.chars.get(i))) && digit(self.chars.get(at + 1))),
            _ => false,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(Kind, String)> {
        Query::parse(text).clauses.into_iter().map(|c| (c.kind, c.text.into_iter().collect())).collect()
    }

    #[test]
    fn words_phrases_and_exclusions() {
        use Kind::{Not, Phrase, Word};
        let expect = |list: &[(Kind, &str)]| list.iter().map(|(k, t)| (*k, t.to_string())).collect::<Vec<_>>();
        assert_eq!(read("盗窃　电动车"), expect(&[(Word, "盗窃"), (Word, "电动车")]));
        assert_eq!(read("“入户盗窃” -累犯 非 自首"), expect(&[(Phrase, "入户盗窃"), (Not, "累犯"), (Not, "自首")]));
        assert_eq!(read("非法经营"), expect(&[(Word, "非法经营")]));
        assert_eq!(read("「称“你好”」后"), expect(&[(Phrase, "称\"你好\""), (Word, "后")]));
        assert_eq!(read("\"说\"\"好\"\"\""), expect(&[(Phrase, "说\"好\"")]));
        assert_eq!(read("\"没有结尾"), expect(&[(Phrase, "没有结尾")]));
        assert_eq!(read("（2017）沪0120刑初684号"), expect(&[(Word, "(2017)沪0120刑初684号")]));
        assert_eq!(read("张三，李四"), expect(&[(Word, "张三"), (Word, "李四")]));
        assert_eq!(read("赔偿1,000元"), expect(&[(Word, "赔偿1,000元")]));
        assert_eq!(read("，"), expect(&[(Word, ",")]));
        assert_eq!(read(" \u{3000}\n"), expect(&[]));
    }

    #[test]
    fn questions_and_numbers_are_told_apart() {
        assert!(Query::parse("朋友借了我的钱一直不还，我可以去法院起诉他吗").is_question());
        assert!(!Query::parse("（2017）沪0120刑初684号").is_question());
        assert!(!Query::parse("交通肇事赔偿").is_question());
        assert!(Query::parse("鲁1428刑初153号").clauses[0].is_number());
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_clause_is_empty(text in any::<String>()) {
            prop_assert!(Query::parse(&text).clauses.iter().all(|c| !c.text.is_empty()));
        }

        #[test]
        fn query_characters_in_any_order(text in "[-“”\"「」『』非，。 张a1（）]{0,30}") {
            prop_assert!(Query::parse(&text).clauses.iter().all(|c| !c.text.is_empty()));
        }
    }
}
