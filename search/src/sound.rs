//! How characters sound: pinyin without tones, for words typed with the wrong characters or in letters.

use std::collections::HashMap;
use std::sync::LazyLock;

const TABLE: &str = include_str!("../data/pinyin.txt");

struct Sounds {
    /// Syllables of a character, as places in `groups`.
    of: HashMap<char, Vec<usize>>,
    groups: Vec<(&'static str, Vec<char>)>,
}

static SOUNDS: LazyLock<Sounds> = LazyLock::new(|| {
    let mut sounds = Sounds { of: HashMap::new(), groups: Vec::new() };
    for (syllable, chars) in TABLE.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once(' ')) {
        for c in chars.chars() {
            sounds.of.entry(c).or_default().push(sounds.groups.len());
        }
        sounds.groups.push((syllable, chars.chars().collect()));
    }
    sounds
});

/// Other characters that sound like this one.
pub(crate) fn alike(c: char) -> impl Iterator<Item = char> {
    let groups = SOUNDS.of.get(&c).into_iter().flatten();
    groups.flat_map(|g| SOUNDS.groups[*g].1.iter().copied()).filter(move |other| *other != c)
}

/// Whether two words of equal length sound the same, character by character.
pub(crate) fn same(a: &[char], b: &[char]) -> bool {
    let sounds = |c: &char| SOUNDS.of.get(c);
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(x, y)| x == y || sounds(x).zip(sounds(y)).is_some_and(|(p, q)| p.iter().any(|s| q.contains(s))))
}

/// Whether letters spell the word, in whole syllables or in first letters.
pub(crate) fn spells(letters: &str, word: &[char]) -> bool {
    if letters.is_empty() || !letters.bytes().all(|b| b.is_ascii_lowercase()) {
        return false;
    }
    let initials =
        letters.len() == word.len() && letters.chars().zip(word).all(|(l, c)| syllables(*c).any(|s| s.starts_with(l)));
    initials || spelled(letters, word)
}

fn spelled(letters: &str, word: &[char]) -> bool {
    match word {
        [] => letters.is_empty(),
        [first, rest @ ..] => {
            syllables(*first).any(|s| letters.strip_prefix(s).is_some_and(|left| spelled(left, rest)))
        }
    }
}

fn syllables(c: char) -> impl Iterator<Item = &'static str> {
    SOUNDS.of.get(&c).into_iter().flatten().map(|g| SOUNDS.groups[*g].0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_sound_the_same() {
        let chars = |t: &str| t.chars().collect::<Vec<_>>();
        assert!(same(&chars("盗切"), &chars("盗窃")));
        assert!(!same(&chars("盗窃"), &chars("诈骗")));
        assert!(spells("daoqie", &chars("盗窃")) && spells("dq", &chars("盗窃")));
        assert!(!spells("daoqi", &chars("盗窃")) && !spells("", &[]));
        assert!(alike('窃').any(|c| c == '切') && alike('窃').all(|c| c != '窃'));
    }
}
