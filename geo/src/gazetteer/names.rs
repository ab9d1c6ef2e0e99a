//! A dictionary of names that forgives one typing error.
//!
//! Names are found by their deletions (Garbe's symmetric delete): two words within one edit share
//! a form with at most one character left out of each, so a look-up costs as many probes as the
//! word has characters, however many names there are.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

#[derive(Debug, Default)]
pub(crate) struct Names {
    list: Vec<Box<str>>,
    ids: HashMap<Box<str>, u32>,
    /// Hash of each name with none or one character left out.
    deletions: HashMap<u64, Vec<u32>>,
    longest: usize,
}

impl Names {
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.list.len() as u32;
        self.list.push(name.into());
        self.ids.insert(name.into(), id);
        let chars: Vec<char> = name.chars().collect();
        self.longest = self.longest.max(chars.len());
        for key in keys(&chars) {
            let ids = self.deletions.entry(key).or_default();
            if ids.last() != Some(&id) {
                ids.push(id);
            }
        }
        id
    }

    pub fn get(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    pub fn name(&self, id: u32) -> &str {
        &self.list[id as usize]
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Names at most one edit away.
    pub fn similar(&self, word: &[char]) -> Vec<(u32, Edit)> {
        let mut found: Vec<(u32, Edit)> = Vec::new();
        for key in keys(word) {
            for id in self.deletions.get(&key).into_iter().flatten() {
                if found.iter().any(|(known, _)| known == id) {
                    continue;
                }
                let name: Vec<char> = self.name(*id).chars().collect();
                if let Some(edit) = one_edit(word, &name) {
                    found.push((*id, edit));
                }
            }
        }
        found
    }

    /// Names within a stretch of text: id, length in the text, edit. Exact ones only,
    /// unless `forgive`. Names of one character, and forgiven ones of two, are not looked for.
    pub fn within(&self, text: &[char], forgive: bool) -> Vec<(u32, usize, Edit)> {
        let mut found = Vec::new();
        let mut word = String::new();
        for start in 0..text.len() {
            word.clear();
            for (n, c) in text[start..].iter().enumerate().take(self.longest + usize::from(forgive)) {
                word.push(*c);
                let len = n + 1;
                if len < 2 {
                    continue;
                }
                if !forgive {
                    found.extend(self.get(&word).map(|id| (id, len, Edit::None)));
                } else if len >= 3 {
                    let similar = self.similar(&text[start..start + len]);
                    found.extend(similar.into_iter().map(|(id, edit)| (id, len, edit)));
                }
            }
        }
        found
    }

    pub fn heap_bytes(&self) -> usize {
        let text: usize = self.list.iter().map(|n| 2 * n.len() + 40).sum();
        let lists: usize = self.deletions.values().map(|ids| 40 + 4 * ids.capacity()).sum();
        text + lists
    }
}

fn keys(word: &[char]) -> impl Iterator<Item = u64> {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let whole = hasher.hash_one(word.iter().collect::<String>());
    (0..word.len())
        .map(move |skip| {
            let rest: String = word.iter().enumerate().filter(|(i, _)| *i != skip).map(|(_, c)| *c).collect();
            hasher.hash_one(rest)
        })
        .chain(std::iter::once(whole))
}

/// How a word of a text differs from a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    None,
    /// Two neighbours changed places.
    Swapped,
    /// The text has a character more.
    Extra,
    /// The text has a character less.
    Missing,
    Substituted,
}

impl Edit {
    /// Characters' worth of doubt. A swap or an extra character leaves all of the name to be seen, so
    /// chance hits are rare; a missing or wrong one fits many names.
    pub fn cost(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Swapped => 0.45,
            Self::Extra => 0.6,
            Self::Missing => 0.85,
            Self::Substituted => 0.9,
        }
    }
}

/// The edit from a name to a word, if there is at most one.
fn one_edit(word: &[char], name: &[char]) -> Option<Edit> {
    let (a, b) = (word, name);
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    match (&a[..a.len() - tail], &b[..b.len() - tail]) {
        ([], []) => Some(Edit::None),
        ([_], []) => Some(Edit::Extra),
        ([], [_]) => Some(Edit::Missing),
        ([_], [_]) => Some(Edit::Substituted),
        ([p, q], [r, s]) if p == s && q == r => Some(Edit::Swapped),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_is_forgiven() {
        let mut names = Names::default();
        let id = names.intern("漕溪北路");
        names.intern("漕宝路");
        for word in ["漕溪北路", "漕西北路", "溪漕北路", "漕溪路", "漕溪北北路"] {
            let chars: Vec<char> = word.chars().collect();
            assert!(names.similar(&chars).iter().any(|(found, _)| *found == id), "{word}");
        }
        let chars: Vec<char> = "曹西北路".chars().collect();
        assert!(names.similar(&chars).is_empty());
        assert_eq!(names.intern("漕溪北路"), id);
    }
}
