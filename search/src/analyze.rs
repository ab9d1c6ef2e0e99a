//! The Chinese analyser: 1:1 normalisation of characters, and unigrams and bigrams of them.
//!
//! Every character of a text, whitespace and punctuation too, has the position of its index in
//! the text. At position *i* stand the unigram of character *i* and the bigram of characters *i*
//! and *i+1*. A fragment of *n* characters is therefore found exactly, neither missed nor
//! invented, as the sequence of its bigrams at their distances (or as its unigram where *n* is 1).
//!
//! Normalisation maps each character to one character, so that a position in the normalised
//! text is the same position in the original: highlighting needs no offset table.

use std::sync::LazyLock;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Name under which the tokenizer is registered with an index.
pub(crate) const TOKENIZER: &str = "zonglan_grams";

/// Divides the name of the text's field from the text, and from the gram in a term.
pub(crate) const FIELD_END: char = '\0';

/// Traditional characters and their simplified forms, pairs of characters on lines.
const TRADITIONAL: &str = include_str!("../data/traditional.txt");

/// The normal form of each character of the basic plane.
static TABLE: LazyLock<Box<[char]>> = LazyLock::new(|| {
    let mut table: Vec<char> =
        (0..=0xFFFFu32).map(|code| char::from_u32(code).map_or(' ', |c| fold_case(fold_shape(c)))).collect();
    for line in TRADITIONAL.lines().filter(|line| !line.starts_with('#')) {
        let mut pair = line.chars();
        if let (Some(from), Some(to)) = (pair.next(), pair.next())
            && let Some(slot) = table.get_mut(from as usize)
        {
            *slot = to;
        }
    }
    table.into_boxed_slice()
});

/// The normal form of one character.
///
/// Full-width forms become ASCII; capitals become small where the small form is one character;
/// whitespace, control and invisible format characters become a space; single and double quotes
/// of all kinds become `'` and `"`; round, square, tortoise-shell and lenticular brackets become
/// `(` and `)`; dashes become `-`; traditional characters become simplified ones.
pub fn normal(c: char) -> char {
    match TABLE.get(c as usize) {
        Some(normal) => *normal,
        None => fold_case(c),
    }
}

/// The normalised characters of a text, as many as the text has.
pub fn normalise(text: &str) -> Vec<char> {
    text.chars().map(normal).collect()
}

fn fold_shape(c: char) -> char {
    match c {
        '“' | '”' | '„' | '‟' | '＂' | '「' | '」' | '『' | '』' | '〝' | '〞' | '﹁' | '﹂' | '«' | '»' => {
            '"'
        }
        '‘' | '’' | '‚' | '‛' | '＇' | '`' | '´' => '\'',
        '（' | '〔' | '［' | '[' | '【' | '｛' | '{' | '﹝' | '〖' => '(',
        '）' | '〕' | '］' | ']' | '】' | '｝' | '}' | '﹞' | '〗' => ')',
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '－' | '−' | '─' | '﹣' => '-',
        '·' | '•' | '‧' | '・' | '･' | '∙' => '·',
        '〈' => '《',
        '〉' => '》',
        '｡' => '。',
        '､' => '、',
        // Invisible: zero width characters, direction marks, soft hyphen, byte order mark.
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{00AD}' | '\u{FEFF}' => ' ',
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).map_or(c, fold_shape),
        c if c.is_whitespace() || c.is_control() => ' ',
        c => c,
    }
}

fn fold_case(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Cuts `field\0text` into the terms `field\0gram` with true positions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grams {
    token: Token,
}

impl Tokenizer for Grams {
    type TokenStream<'a> = GramStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> GramStream<'a> {
        let (prefix, body) = match text.find(FIELD_END) {
            Some(at) => text.split_at(at + FIELD_END.len_utf8()),
            None => ("", text),
        };
        self.token.reset();
        self.token.text.push_str(prefix);
        let mut rest = body.chars();
        let next = rest.next().map(normal);
        GramStream { prefix: prefix.len(), rest, current: None, next, position: 0, token: &mut self.token }
    }
}

/// See [`Grams`].
pub(crate) struct GramStream<'a> {
    prefix: usize,
    rest: std::str::Chars<'a>,
    /// The character whose unigram was given last, and whose bigram comes next.
    current: Option<char>,
    next: Option<char>,
    position: usize,
    token: &'a mut Token,
}

impl TokenStream for GramStream<'_> {
    fn advance(&mut self) -> bool {
        self.token.text.truncate(self.prefix);
        if let (Some(current), Some(next)) = (self.current.take(), self.next) {
            self.token.text.push(current);
            self.token.text.push(next);
            self.position += 1;
            return true;
        }
        let Some(c) = self.next else {
            return false;
        };
        self.token.text.push(c);
        self.token.position = self.position;
        self.current = Some(c);
        self.next = self.rest.next().map(normal);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grams(text: &str) -> Vec<(usize, String)> {
        let mut tokenizer = Grams::default();
        let mut stream = tokenizer.token_stream(text);
        let mut found = Vec::new();
        while stream.advance() {
            found.push((stream.token().position, stream.token().text.replace('\0', ":")));
        }
        found
    }

    #[test]
    fn every_character_and_pair_has_its_true_position() {
        let expect = [(0, "t:张"), (0, "t:张三"), (1, "t:三"), (1, "t:三,"), (2, "t:,"), (2, "t:,a"), (3, "t:a")];
        assert_eq!(grams("t\0张三，Ａ"), expect.map(|(at, term)| (at, term.to_string())));
        assert!(grams("t\0").is_empty());
    }

    #[test]
    fn one_form_for_widths_quotes_and_brackets() {
        let form = |text: &str| normalise(text).into_iter().collect::<String>();
        for number in [
            "(2017)沪0120刑初684号",
            "〔2017〕沪０１２０刑初684号",
            "［2017］沪0120刑初684号",
            "【2017】沪0120刑初684号",
        ] {
            assert_eq!(form(number), "(2017)沪0120刑初684号");
        }
        assert_eq!(form("“甲”「乙」"), "\"甲\"\"乙\"");
        assert_eq!(form("第\u{3000}條\n\t"), "第 条  ");
        assert_eq!(form("電動車ＡＢc"), "电动车abc");
    }

    proptest! {
        #[test]
        fn normalisation_keeps_positions_and_is_idempotent(text in "\\PC{0,40}|[一-龥ａ-ｚ（）「」\\s]{0,40}") {
            let once = normalise(&text);
            prop_assert_eq!(once.len(), text.chars().count());
            let again = normalise(&once.iter().collect::<String>());
            prop_assert_eq!(again, once);
        }
    }
}
