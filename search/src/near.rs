//! Places of words in one text, and which of them stand together. Pure; used by the engine's
//! scorer and by highlighting alike.

use crate::analyze::normalise;
use crate::clause::is_pattern;
use crate::ends::Ends;
use crate::query::{Near, Section};

/// A place: from, to (exclusive).
pub(crate) type Span = (u32, u32);

/// A `*` stands for at most so many characters of one sentence.
const STAR: u32 = 40;

/// What is looked for: pieces one after the other, with anything between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needle(pub Vec<Piece>);

/// Characters; `None` is any one character.
pub(crate) type Piece = Vec<Option<char>>;

impl Needle {
    pub fn exact(text: &str) -> Self {
        Self(vec![normalise(text).into_iter().map(Some).collect()])
    }

    /// A word, with its wildcards where it has some.
    pub fn word(text: &str) -> Self {
        if !is_pattern(text) {
            return Self::exact(text);
        }
        let any = |c: char| if c == '?' { None } else { Some(c) };
        let pieces = text
            .split('*')
            .map(|piece| normalise(piece).into_iter().map(any).collect::<Piece>())
            .map(|piece| trim(&piece).to_vec())
            .filter(|piece| !piece.is_empty());
        Self(pieces.collect())
    }

    /// The characters of a needle without wildcards.
    pub fn plain(&self) -> Option<Vec<char>> {
        match self.0.as_slice() {
            [piece] => piece.iter().copied().collect(),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(Vec::is_empty)
    }

    /// Joins the places of the pieces, each in order.
    pub fn join(&self, pieces: &[Vec<u32>], ends: &Ends) -> Vec<Span> {
        let length = |i: usize| self.0[i].len() as u32;
        let Some(first) = pieces.first() else { return Vec::new() };
        let start = |at: &u32| -> Option<Span> {
            let mut end = at + length(0);
            for (i, places) in pieces.iter().enumerate().skip(1) {
                let next = places.get(places.partition_point(|p| *p < end))?;
                if next - end > STAR {
                    return None;
                }
                end = next + length(i);
            }
            (pieces.len() == 1 || ends.unit((*at, end), Near::Sentence).is_some()).then_some((*at, end))
        };
        first.iter().filter_map(start).collect()
    }

    /// All places in a text in normal form.
    pub fn places(&self, text: &[char], ends: &Ends) -> Vec<Span> {
        let pieces: Vec<Vec<u32>> = self.0.iter().map(|piece| occurrences(text, piece)).collect();
        self.join(&pieces, ends)
    }
}

fn trim(piece: &[Option<char>]) -> &[Option<char>] {
    let from = piece.iter().position(Option::is_some).unwrap_or(piece.len());
    let to = piece.iter().rposition(Option::is_some).map_or(from, |i| i + 1);
    &piece[from..to]
}

fn occurrences(text: &[char], piece: &[Option<char>]) -> Vec<u32> {
    let end = (text.len() + 1).saturating_sub(piece.len());
    let same = |at: &usize| {
        // Most places differ in the first character.
        piece.iter().zip(&text[*at..]).all(|(p, c)| p.is_none_or(|p| p == *c))
    };
    (0..end).filter(same).map(|at| at as u32).collect()
}

/// A condition on places: each item has alternatives; all items must stand as said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Together {
    pub items: Vec<Vec<Needle>>,
    pub how: Option<Near>,
    pub section: Option<Section>,
}

impl Together {
    /// The places that meet the condition, by start. Empty: the text does not.
    pub fn hits(&self, mut items: Vec<Vec<Span>>, ends: &Ends) -> Vec<Span> {
        if let Some(section) = self.section {
            items.iter_mut().for_each(|spans| spans.retain(|s| ends.section(s.0) == Some(section)));
        }
        let how = match self.how {
            Some(how) if items.len() > 1 => how,
            _ => {
                if items.iter().any(Vec::is_empty) {
                    return Vec::new();
                }
                let mut spans = items.concat();
                spans.sort_unstable();
                return spans;
            }
        };
        let mut all: Vec<(Span, usize)> =
            items.iter().enumerate().flat_map(|(which, spans)| spans.iter().map(move |s| (*s, which))).collect();
        all.sort_unstable();
        let mut hits = Vec::new();
        let mut group: Vec<(Span, usize)> = Vec::new();
        let mut group_unit = None;
        let mut close = |group: &mut Vec<(Span, usize)>| {
            if (0..items.len()).all(|which| group.iter().any(|(_, w)| *w == which)) {
                hits.extend(group.iter().map(|(span, _)| *span));
            }
            group.clear();
        };
        for (span, which) in all {
            match how {
                Near::Chars(n) => {
                    let end = group.iter().map(|(s, _)| s.1).max();
                    if end.is_some_and(|end| span.0 > end && span.0 - end > n) {
                        close(&mut group);
                    }
                    group.push((span, which));
                }
                how => {
                    let Some(unit) = ends.unit(span, how) else { continue };
                    if group_unit != Some(unit) {
                        close(&mut group);
                        group_unit = Some(unit);
                    }
                    group.push((span, which));
                }
            }
        }
        close(&mut group);
        if let Near::Chars(n) = how {
            hits = pairs(&hits, &items, n);
        }
        hits
    }

    /// The places in a text in normal form.
    pub fn find(&self, text: &[char], ends: &Ends) -> Vec<Span> {
        let items = self.items.iter().map(|needles| {
            let mut spans: Vec<Span> = needles.iter().flat_map(|n| n.places(text, ends)).collect();
            spans.sort_unstable();
            spans.dedup();
            spans
        });
        self.hits(items.collect(), ends)
    }
}

/// Of places in groups those that have a place of another item near: a word that stands many times
/// carries a group on, but only its nearest places count.
fn pairs(hits: &[Span], items: &[Vec<Span>], n: u32) -> Vec<Span> {
    let near = |a: &Span, b: &Span| if a.0 <= b.0 { b.0 <= a.1 + n } else { a.0 <= b.1 + n };
    let kept = |span: &&Span| {
        items.iter().filter(|spans| spans.binary_search(span).is_err()).any(|spans| {
            let at = spans.partition_point(|s| s < *span);
            spans[at.saturating_sub(1)..].iter().take(2).any(|s| near(s, span))
        })
    };
    hits.iter().filter(kept).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(items: &[&[&str]], how: Option<Near>, text: &str) -> Vec<Span> {
        let normal = normalise(text);
        let mut list = Vec::new();
        crate::ends::list_of(text, &normal, 0, &mut list);
        let items = items.iter().map(|alternatives| alternatives.iter().map(|w| Needle::word(w)).collect()).collect();
        Together { items, how, section: None }.find(&normal, &Ends(list))
    }

    #[test]
    fn near_counts_the_characters_between() {
        let near = |n, text| find(&[&["甲"], &["乙"]], Some(Near::Chars(n)), text);
        assert_eq!(near(2, "甲一二乙"), [(0, 1), (3, 4)]);
        assert_eq!(near(1, "甲一二乙"), []);
        assert_eq!(near(0, "乙甲"), [(0, 1), (1, 2)]);
        assert_eq!(near(1, "甲一二三乙四甲"), [(4, 5), (6, 7)]);
        assert_eq!(find(&[&["甲"], &["乙", "丙"]], Some(Near::Chars(1)), "乙一二甲丙"), [(3, 4), (4, 5)]);
        assert_eq!(find(&[&["甲"], &["乙"], &["丙"]], Some(Near::Chars(1)), "甲一乙一丙"), [(0, 1), (2, 3), (4, 5)]);
        assert_eq!(find(&[&["甲"], &["乙"], &["丙"]], Some(Near::Chars(1)), "甲一乙一二丙"), []);
    }

    #[test]
    fn sentences_and_paragraphs_hold_together() {
        let both = |how, text| find(&[&["甲"], &["乙"]], Some(how), text);
        assert_eq!(both(Near::Sentence, "甲。乙甲"), [(2, 3), (3, 4)]);
        assert_eq!(both(Near::Sentence, "甲。乙"), []);
        assert_eq!(both(Near::Paragraph, "甲。乙"), [(0, 1), (2, 3)]);
        assert_eq!(both(Near::Paragraph, "甲\n乙"), []);
    }

    #[test]
    fn wildcards() {
        assert_eq!(find(&[&["电动*车"]], None, "电动自行车，电动。车"), [(0, 5)]);
        assert_eq!(find(&[&["电动?车"]], None, "电动汽车电动车"), [(0, 4)]);
        assert_eq!(find(&[&["*盗窃*"]], None, "入户盗窃罪"), [(2, 4)]);
    }
}
