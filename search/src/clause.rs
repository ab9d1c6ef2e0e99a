//! Words that rank: cut at sentence punctuation, told apart into terms, numbers and questions.

use crate::analyze::normal;

/// A word, normalised and as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Normalised characters, never empty.
    pub text: Vec<char>,
    /// As it was typed, for whole values.
    pub raw: String,
}

const MAX_CLAUSES: usize = 32;

/// A word longer than this is a sentence, as are words that together have twice as many characters.
const TERM_CHARS: usize = 8;

/// What makes a short text a question.
const ASKING: &[&str] =
    &["吗", "呢", "谁", "哪", "什么", "怎么", "怎样", "如何", "为何", "何时", "是否", "能否", "可否", "多少"];

impl Clause {
    /// `None`: nothing is left of the text.
    pub fn new(raw: &str) -> Option<Self> {
        let text: Vec<char> = raw.chars().map(normal).collect();
        (!text.is_empty()).then(|| Self { text, raw: raw.to_string() })
    }

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

/// The words of typed pieces. Where only punctuation was typed, somebody looks for just that.
pub fn clauses_of<'a>(pieces: impl Iterator<Item = &'a str>) -> Vec<Clause> {
    let pieces: Vec<&str> = pieces.collect();
    let mut found: Vec<Clause> = Vec::new();
    for piece in &pieces {
        let chars: Vec<char> = piece.chars().collect();
        let mut from = 0;
        for at in 0..=chars.len() {
            if at < chars.len() && !divides(&chars, at) {
                continue;
            }
            let word: String = chars[from..at].iter().collect();
            from = at + 1;
            let noise = |c: char| !c.is_alphanumeric() && !matches!(normal(c), '(' | ')');
            let word = word.trim_matches(noise);
            if word.chars().any(char::is_alphanumeric) && found.iter().all(|c| c.raw != word) {
                found.extend(Clause::new(word));
            }
        }
    }
    if found.is_empty() {
        found.extend(pieces.iter().filter_map(|p| Clause::new(p.trim())));
    }
    found.truncate(MAX_CLAUSES);
    found
}

/// Sentence punctuation, but not the comma in 1,000.
fn divides(chars: &[char], at: usize) -> bool {
    let digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
    match normal(chars[at]) {
        '。' | ';' | '?' | '!' | '、' | ' ' => true,
        ',' => !(digit(at.checked_sub(1).and_then(|i| chars.get(i))) && digit(chars.get(at + 1))),
        _ => false,
    }
}

/// Whether the words are a question or sentences rather than search terms: then all their
/// grams rank as one bag.
pub fn is_question(words: &[Clause]) -> bool {
    let total: usize = words.iter().map(|w| w.text.len()).sum();
    let asks = |word: &Clause| {
        let text: String = word.text.iter().collect();
        ASKING.iter().any(|a| text.contains(a))
    };
    !words.iter().any(Clause::is_number)
        && (total > 2 * TERM_CHARS || words.iter().any(|w| w.text.len() > TERM_CHARS || asks(w)))
}

/// Whether a word has wildcards: `*` anywhere between or at characters, `?` between characters of
/// something that asks nothing.
pub fn is_pattern(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let letters = chars.iter().filter(|c| c.is_alphanumeric()).count();
    if letters == 0 || chars.len() > 24 || ASKING.iter().any(|a| text.contains(a)) {
        return false;
    }
    let inner = |i: usize| i > 0 && chars.get(i + 1).is_some_and(|c| c.is_alphanumeric());
    chars.iter().enumerate().any(|(i, c)| *c == '*' || (*c == '?' && inner(i)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        clauses_of([text].into_iter()).into_iter().map(|c| c.text.into_iter().collect()).collect()
    }

    #[test]
    fn words_are_cut_at_sentence_punctuation() {
        assert_eq!(read("张三，李四"), ["张三", "李四"]);
        assert_eq!(read("赔偿1,000元"), ["赔偿1,000元"]);
        assert_eq!(read("（2017）沪0120刑初684号"), ["(2017)沪0120刑初684号"]);
        assert_eq!(read("，"), [","]);
        assert_eq!(read("怎么办？怎么办？"), ["怎么办"]);
    }

    #[test]
    fn questions_and_numbers_are_told_apart() {
        let asks = |text: &str| is_question(&clauses_of([text].into_iter()));
        assert!(asks("朋友借了我的钱一直不还，我可以去法院起诉他吗"));
        assert!(!asks("（2017）沪0120刑初684号"));
        assert!(!asks("交通肇事赔偿"));
        assert!(clauses_of(["鲁1428刑初153号"].into_iter())[0].is_number());
    }

    #[test]
    fn wildcards_are_not_questions() {
        assert!(is_pattern("电动*车") && is_pattern("电动?车") && is_pattern("盗窃*"));
        assert!(!is_pattern("怎么办?谁管") && !is_pattern("*") && !is_pattern("成立吗?") && !is_pattern("自首?"));
    }
}
