//! Where a query's words stand in a text, and the passages that show it.

use crate::analyze::normalise;
use crate::clause::{Clause, is_question};
use crate::ends::{Ends, list_of};
use crate::near::{Needle, Together};
use crate::query::Section;
use std::collections::BTreeMap;
use zonglan_catalog::search::Passage;

/// Characters of a passage, and how many of them stand before its first mark.
const LENGTH: usize = 120;
const BEFORE: usize = 24;
/// Passages of one field.
const PASSAGES: usize = 3;
/// Places that are looked at for passages; a common character has more in a long text.
const PLACES: usize = 2_000;

/// What to look for: words and fragments, the bigrams of words that are not there as a whole, and
/// conditions of place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Targets {
    whole: Vec<Vec<char>>,
    /// Bigrams of each word, and which of `whole` it is.
    parts: Vec<(Option<usize>, Vec<[char; 2]>)>,
    together: Vec<Together>,
}

/// A place of a target: from, to (exclusive), which target.
type Place = (usize, usize, usize);

impl Targets {
    /// Marks words that rank, and `same`, words that mean the same.
    pub fn words(clauses: &[Clause], same: impl IntoIterator<Item = Vec<char>>) -> Self {
        let mut targets = Self::default();
        let question = is_question(clauses);
        for clause in clauses {
            let whole = (!question || clause.text.len() <= 4).then(|| {
                targets.whole.push(clause.text.clone());
                targets.whole.len() - 1
            });
            if clause.text.len() > 2 {
                let bigrams = clause.bigrams().into_iter().filter(|p| p.iter().all(|c| c.is_alphanumeric())).collect();
                targets.parts.push((whole, bigrams));
            }
        }
        targets.whole.extend(same);
        targets
    }

    /// Adds what stands in a condition of place; words and phrases alone are such conditions too.
    pub fn add(&mut self, mut together: Together) {
        together.items.iter_mut().for_each(|needles| needles.retain(|n| !n.is_empty()));
        match together.items.as_slice() {
            [needles] if together.section.is_none() && needles.iter().all(|n| n.plain().is_some()) => {
                self.whole.extend(needles.iter().filter_map(Needle::plain));
            }
            _ => self.together.push(together),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.parts.is_empty() && self.together.is_empty()
    }

    /// All places in a text, by start.
    fn places(&self, original: &str, text: &[char]) -> Vec<Place> {
        let mut places = Vec::new();
        let mut found = vec![false; self.whole.len()];
        for (which, target) in self.whole.iter().enumerate() {
            for at in occurrences(text, target).take(PLACES) {
                places.push((at, at + target.len(), which));
                found[which] = true;
            }
        }
        for (index, (whole, bigrams)) in self.parts.iter().enumerate() {
            if whole.is_some_and(|which| found[which]) {
                continue;
            }
            let mut sorted = bigrams.clone();
            sorted.sort_unstable();
            let hits =
                text.windows(2).enumerate().filter(|(_, pair)| sorted.binary_search(&[pair[0], pair[1]]).is_ok());
            for (at, pair) in hits.take(PLACES) {
                let which = bigrams.iter().position(|b| b[0] == pair[0] && b[1] == pair[1]).unwrap_or(0);
                places.push((at, at + 2, self.whole.len() + index * 1_000 + which));
            }
        }
        if !self.together.is_empty() {
            let mut list = Vec::new();
            list_of(original, text, 0, &mut list);
            let ends = Ends(list);
            for (index, together) in self.together.iter().enumerate() {
                let which = self.whole.len() + 1_000_000 + index;
                let hits = together.find(text, &ends).into_iter().take(PLACES);
                places.extend(hits.map(|(from, to)| (from as usize, to as usize, which)));
            }
        }
        places.sort_unstable();
        places
    }

    /// The spans that match in a whole text, merged, in characters.
    pub fn marks(&self, text: &str) -> Vec<(usize, usize)> {
        merge(self.places(text, &normalise(text)).into_iter().map(|(from, to, _)| (from, to)))
    }

    /// How weighty the sections are in which the targets stand: the mean over targets of the
    /// weight of the weightiest section that has them.
    pub fn by_section(&self, text: &str, weight: &dyn Fn(Option<Section>) -> f32) -> f32 {
        let normal = normalise(text);
        let mut list = Vec::new();
        list_of(text, &normal, 0, &mut list);
        let ends = Ends(list);
        let mut best: BTreeMap<usize, f32> = BTreeMap::new();
        for (from, _, which) in self.places(text, &normal) {
            let weight = weight(ends.section(from as u32));
            let entry = best.entry(which).or_insert(weight);
            *entry = entry.max(weight);
        }
        if best.is_empty() { 0.0 } else { best.values().sum::<f32>() / best.len() as f32 }
    }

    /// The best passages of a text, in its order. A text without marks has none.
    pub fn passages(&self, field: &str, text: &str) -> Vec<Passage> {
        let normal = normalise(text);
        let places = self.places(text, &normal);
        if places.is_empty() {
            return Vec::new();
        }
        let mut windows: Vec<(usize, usize, usize)> = Vec::new(); // score, from, to
        for (index, place) in places.iter().enumerate() {
            let (from, to) = window(&normal, place.0);
            let inside: Vec<&Place> = places[index..].iter().take_while(|p| p.0 < to).collect();
            let mut kinds: Vec<usize> = inside.iter().map(|p| p.2).collect();
            kinds.sort_unstable();
            kinds.dedup();
            let weight: usize = kinds.iter().map(|which| self.whole.get(*which).map_or(2, Vec::len)).sum();
            windows.push((weight * 100 + inside.len().min(99), from, to));
        }
        windows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut chosen: Vec<(usize, usize)> = Vec::new();
        for (_, from, to) in windows {
            if chosen.len() == PASSAGES {
                break;
            }
            if chosen.iter().all(|(f, t)| to <= *f || from >= *t) {
                chosen.push((from, to));
            }
        }
        chosen.sort_unstable();
        let marks = merge(places.into_iter().map(|(from, to, _)| (from, to)));
        let chars: Vec<char> = text.chars().collect();
        chosen
            .into_iter()
            .map(|(from, to)| Passage {
                field: field.to_string(),
                text: chars[from..to].iter().collect(),
                marks: marks
                    .iter()
                    .filter(|(f, t)| *f < to && *t > from)
                    .map(|(f, t)| (f.max(&from) - from, t.min(&to) - from))
                    .collect(),
                offset: from,
                file: None,
            })
            .collect()
    }
}

/// The beginning of a text, for hits that the words do not explain.
pub(crate) fn lead(field: &str, text: &str) -> Passage {
    Passage {
        field: field.to_string(),
        text: text.chars().take(LENGTH).collect(),
        marks: Vec::new(),
        offset: 0,
        file: None,
    }
}

/// The window of a passage whose first mark is at `at`: from the sentence's start where it is near.
fn window(text: &[char], at: usize) -> (usize, usize) {
    let earliest = at.saturating_sub(BEFORE);
    let ends = |c: &char| matches!(c, '。' | ';' | '!' | '?');
    let from = text[earliest..at].iter().rposition(ends).map_or(earliest, |i| earliest + i + 1);
    // A text that fits is shown from its start.
    let from = if text.len() <= LENGTH { 0 } else { from.min(text.len() - LENGTH) };
    (from, (from + LENGTH).min(text.len()))
}

fn occurrences<'a>(text: &'a [char], target: &'a [char]) -> impl Iterator<Item = usize> + 'a {
    let first = target.first().copied();
    let end = (text.len() + 1).saturating_sub(target.len());
    (0..end).filter(move |at| Some(text[*at]) == first && text[*at..*at + target.len()] == *target)
}

/// Joins spans that overlap or touch.
fn merge(spans: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause::clauses_of;
    use crate::query::Query;
    use proptest::prelude::*;

    fn words(query: &str) -> Targets {
        let query = Query::words_only(query);
        let mut targets = Targets::words(&query.clauses(), []);
        for part in &query.parts {
            if let crate::query::Node::Phrase(text) = part {
                targets.add(Together { items: vec![vec![Needle::exact(text)]], how: None, section: None });
            }
        }
        targets
    }

    fn marked(passage: &Passage) -> Vec<String> {
        let chars: Vec<char> = passage.text.chars().collect();
        passage.marks.iter().map(|(f, t)| chars[*f..*t].iter().collect()).collect()
    }

    #[test]
    fn a_word_is_marked_whole_or_by_its_parts() {
        let targets = words;
        let text = "被告人張三駕駛電動車，后盗窃电动自行车一辆。";
        assert_eq!(marked(&targets("电动车").passages("t", text)[0]), ["電動車"]);
        assert_eq!(marked(&targets("电动自行车辆").passages("t", text)[0]), ["電動", "电动自行车"]);
        assert_eq!(
            marked(&targets("\"电动自行车辆\"").passages("t", text).first().cloned().unwrap_or(lead("t", ""))),
            [""; 0]
        );
    }

    #[test]
    fn the_passage_with_more_words_is_chosen() {
        let text = format!("盗窃{}。某日盗窃电动车。{}", "甲".repeat(300), "乙".repeat(300));
        let passages = Targets::words(&clauses_of(["盗窃", "电动车"].into_iter()), []).passages("t", &text);
        assert_eq!(passages.len(), 2);
        assert!(passages[1].text.starts_with("某日盗窃电动车"), "{passages:?}");
        assert_eq!(marked(&passages[1]), ["盗窃电动车"]);
        let all: Vec<char> = text.chars().collect();
        assert!(all[passages[1].offset..].starts_with(&passages[1].text.chars().collect::<Vec<_>>()));
    }

    proptest! {
        #[test]
        fn marks_lie_inside_their_passage(text in "[一-丅，。ａ ]{0,400}", query in "[一-丅，\"。a ]{0,12}") {
            for passage in words(&query).passages("t", &text) {
                let length = passage.text.chars().count();
                prop_assert!(passage.marks.iter().all(|(f, t)| f < t && *t <= length));
                prop_assert!(passage.marks.windows(2).all(|w| w[0].1 < w[1].0));
            }
        }
    }
}
