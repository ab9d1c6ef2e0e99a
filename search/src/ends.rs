//! Where sentences, paragraphs and sections of a text end: a list beside the text, so that the
//! positions of characters have no gaps and fragments across a full stop are found.
//!
//! An entry is a position and what is there, `position << 3 | kind`, in ascending order.

use crate::query::{Near, Section};

const SENTENCE: u64 = 0;
const PARAGRAPH: u64 = 1;
/// A section begins: 2 to 6 in the order of [`Section::ALL`].
const SECTION: u64 = 2;
/// A field begins, in no section.
const FIELD: u64 = 7;

/// Phrases that begin a section of a judgment, in normal form. They are fixed wording: styles of
/// judgments (法院刑事诉讼文书样式 1999; 民事诉讼文书样式 2016; 行政诉讼文书样式 2015).
const MARKS: &[(&str, Section)] = &[
    ("机关指控", Section::Claim),
    ("察院指控", Section::Claim),
    ("诉称", Section::Claim),
    ("诉讼请求", Section::Claim),
    ("辩称", Section::Defence),
    ("答辩", Section::Defence),
    ("审理查明", Section::Facts),
    ("本院查明", Section::Facts),
    ("本院认定", Section::Facts),
    ("本院认为", Section::Reasons),
    ("判决如下", Section::Ruling),
    ("裁定如下", Section::Ruling),
    ("决定如下", Section::Ruling),
];

/// The list of one field. `base` is the position of its first character.
pub(crate) fn list(text: &[char], base: u32, out: &mut Vec<u64>) {
    let put = |out: &mut Vec<u64>, at: usize, kind: u64| out.push((u64::from(base) + at as u64) << 3 | kind);
    put(out, 0, FIELD);
    let mut reached: Option<Section> = None;
    for (at, c) in text.iter().enumerate() {
        match c {
            '。' | '!' | '?' => put(out, at, SENTENCE),
            _ => {}
        }
        // All marks begin with one of these.
        if matches!(c, '机' | '察' | '诉' | '辩' | '答' | '审' | '本' | '判' | '裁' | '决')
            && let Some(section) = section_at(&text[at..], reached)
        {
            put(out, at, SECTION + section as u64);
            reached = reached.max(Some(section));
        }
    }
    put(out, text.len(), PARAGRAPH);
}

/// The list of one field with the line ends of the original, which normal forms do not have.
pub(crate) fn list_of(original: &str, normal: &[char], base: u32, out: &mut Vec<u64>) {
    let from = out.len();
    list(normal, base, out);
    let lines = original.chars().enumerate().filter(|(_, c)| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}'));
    let before = out.len();
    out.extend(lines.map(|(at, _)| (u64::from(base) + at as u64) << 3 | PARAGRAPH));
    if out.len() > before {
        out[from..].sort_unstable();
    }
}

/// The section that begins here. After 本院认为 only the ruling may follow: reasons quote the parties.
fn section_at(text: &[char], reached: Option<Section>) -> Option<Section> {
    let (mark, section) = MARKS.iter().find(|(mark, _)| {
        let mut chars = text.iter();
        mark.chars().all(|m| chars.next() == Some(&m))
    })?;
    let after = text.get(mark.chars().count());
    let late = match reached {
        Some(Section::Ruling) => true,
        Some(Section::Reasons) => *section < Section::Reasons,
        _ => false,
    };
    // 公诉机关指控的罪名 speaks of the claim.
    (!late && after != Some(&'的')).then_some(*section)
}

/// Questions to a list.
#[derive(Debug, Default)]
pub(crate) struct Ends(pub Vec<u64>);

impl Ends {
    /// Which sentence or paragraph a span lies in; `None` where it reaches over an end.
    pub fn unit(&self, (from, to): (u32, u32), how: Near) -> Option<usize> {
        let ends = |entry: &u64| match how {
            Near::Paragraph => entry & 7 == PARAGRAPH,
            _ => entry & 7 <= PARAGRAPH,
        };
        let first = self.0.partition_point(|e| e >> 3 < u64::from(from));
        // The last end before the span names the unit.
        let name = self.0[..first].iter().rposition(ends).map_or(0, |i| i + 1);
        let last = u64::from(to.saturating_sub(1));
        self.0[first..].iter().take_while(|e| **e >> 3 < last).all(|e| !ends(e)).then_some(name)
    }

    /// The section at a position.
    pub fn section(&self, at: u32) -> Option<Section> {
        let before = self.0.partition_point(|e| e >> 3 <= u64::from(at));
        let entry = self.0[..before].iter().rev().find(|e| **e & 7 >= SECTION)?;
        Section::ALL.get((*entry & 7) as usize - SECTION as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::normalise;

    fn ends(text: &str) -> Ends {
        let mut list = Vec::new();
        list_of(text, &normalise(text), 0, &mut list);
        Ends(list)
    }

    #[test]
    fn sentences_and_paragraphs() {
        let text = "甲乙。丙丁！\n戊己。庚";
        let ends = ends(text);
        let unit = |from, to, how| ends.unit((from, to), how);
        assert_eq!(unit(0, 1, Near::Sentence), unit(1, 3, Near::Sentence));
        assert_ne!(unit(0, 1, Near::Sentence), unit(3, 4, Near::Sentence));
        assert_eq!(unit(0, 1, Near::Paragraph), unit(3, 4, Near::Paragraph));
        assert_ne!(unit(0, 1, Near::Paragraph), unit(7, 8, Near::Paragraph));
        assert_eq!(unit(1, 4, Near::Sentence), None);
        assert_eq!(unit(4, 8, Near::Paragraph), None);
        assert!(unit(1, 4, Near::Paragraph).is_some());
    }

    #[test]
    fn sections_follow_the_order_of_a_judgment() {
        let text = "公诉机关指控：甲盗窃。经审理查明，甲偷。本院认为，公诉机关指控甲犯盗窃罪成立。判决如下：甲无罪。";
        let ends = ends(text);
        let section = |word: &str| {
            let at = text.find(word).map(|b| text[..b].chars().count()).expect("there");
            ends.section(at as u32)
        };
        assert_eq!(ends.section(0), None);
        assert_eq!(section("盗窃"), Some(Section::Claim));
        assert_eq!(section("甲偷"), Some(Section::Facts));
        assert_eq!(section("犯盗窃罪"), Some(Section::Reasons));
        assert_eq!(section("甲无罪"), Some(Section::Ruling));
    }
}
