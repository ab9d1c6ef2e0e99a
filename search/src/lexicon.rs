//! Words that mean the same, and lay words with the terms of law: the `synonyms` files of the packs.

use crate::analyze::normalise;
use serde::Deserialize;
use std::collections::HashMap;
use zonglan_catalog::Catalogue;
use zonglan_catalog::load::Problem;

/// One file of `packs/<system>/synonyms/`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Where the words are from.
    #[expect(dead_code, reason = "for readers of the file; checked to be there")]
    basis: String,
    #[serde(default)]
    same: Vec<Same>,
    #[serde(default)]
    lay: Vec<Lay>,
}

/// Words that stand for each other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Same {
    words: Vec<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    basis: Option<String>,
}

/// What people say, and what the law calls it: one direction, for ranking only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lay {
    words: Vec<String>,
    terms: Vec<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    basis: Option<String>,
}

/// All files together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lexicon {
    same: HashMap<Vec<char>, Vec<String>>,
    lay: HashMap<Vec<char>, Vec<String>>,
    longest: usize,
    /// Every word of the files as written, sorted, for suggestions.
    pub words: Vec<String>,
}

impl Lexicon {
    pub fn of(catalogue: &Catalogue) -> Result<Self, Problem> {
        let mut lexicon = Self::default();
        let names: Vec<String> = catalogue.files("synonyms").map(|(name, _)| name.to_string()).collect();
        for name in names {
            let file: File = catalogue.parse_file("synonyms", &name)?.unwrap_or_default();
            for group in file.same {
                for word in &group.words {
                    let others = group.words.iter().filter(|w| *w != word).cloned();
                    lexicon.same.entry(normalise(word)).or_default().extend(others);
                }
                lexicon.words.extend(group.words);
            }
            for entry in file.lay {
                for word in &entry.words {
                    lexicon.lay.entry(normalise(word)).or_default().extend(entry.terms.iter().cloned());
                }
                lexicon.words.extend(entry.words);
                lexicon.words.extend(entry.terms);
            }
        }
        lexicon.longest = lexicon.same.keys().chain(lexicon.lay.keys()).map(Vec::len).max().unwrap_or(0);
        lexicon.words.sort_unstable();
        lexicon.words.dedup();
        Ok(lexicon)
    }

    /// Words that stand for this one.
    pub fn same(&self, word: &str) -> &[String] {
        self.same.get(&normalise(word)).map_or(&[], Vec::as_slice)
    }

    /// The terms of all words found in a text, each once, longest words first at each place.
    pub fn terms_in(&self, text: &[char]) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let most = self.longest.min(text.len() - at);
            let mut step = 1;
            for length in (1..=most).rev() {
                let word = &text[at..at + length];
                let terms = self.same.get(word).into_iter().chain(self.lay.get(word)).flatten();
                let before = found.len();
                for term in terms {
                    if !found.contains(&term.as_str()) {
                        found.push(term);
                    }
                }
                if found.len() > before || self.same.contains_key(word) || self.lay.contains_key(word) {
                    step = length;
                    break;
                }
            }
            at += step;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zonglan_catalog::load::SourceFile;

    #[test]
    fn words_are_found_inside_a_question() {
        let text = r#"
basis = "test"
[[same]]
words = ["醉驾", "危险驾驶"]
[[lay]]
words = ["欠钱不还", "欠钱"]
terms = ["民间借贷", "借款"]
"#;
        let file = SourceFile { path: "t/synonyms/legal.toml".into(), text: text.into() };
        let catalogue = Catalogue::parse(&[file]).expect("valid");
        let lexicon = Lexicon::of(&catalogue).expect("reads");
        assert_eq!(lexicon.same("醉駕"), ["危险驾驶"]);
        assert_eq!(lexicon.terms_in(&normalise("他欠钱不还又醉驾")), ["民间借贷", "借款", "危险驾驶"]);
    }
}
