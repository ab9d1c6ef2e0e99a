//! What a judgment says about itself: court, number, date, procedure, charges or cause, parties by
//! role, statutes, result and sections, each with a confidence between 0 and 1.
//!
//! Everything is read from the text alone, by the forms that courts write in; nothing is guessed
//! from outside. A value below its threshold (`extract/judgment.toml`) is 待确认: somebody looks at
//! it before others rely on it.

mod header;
pub mod link;
mod numbers;
mod page;
mod parties;
mod ruling;
mod sections;
mod statutes;
mod thresholds;

pub use numbers::{Agency, Number, canonical};
pub use parties::{Being, Party};
pub use ruling::Outcome;
pub use sections::{Part, Section};
pub use statutes::Cited;
pub use thresholds::Thresholds;

use chrono::NaiveDate;
use page::Page;
use serde::Serialize;
use std::ops::Range;

/// A value read from a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found<T> {
    pub value: T,
    /// From 0 to 1: how often a value read in this way is right, by experience.
    pub confidence: f64,
    /// `[start, end)` in characters of the text.
    pub place: (usize, usize),
}

/// Everything read from one judgment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Extracted {
    pub court: Option<Found<String>>,
    /// With full-width brackets and narrow digits.
    pub case_number: Option<Found<String>>,
    /// A code of `case_kind`.
    pub kind: Option<Found<String>>,
    /// 刑事判决书, 民事裁定书, ...
    pub document: Option<Found<String>>,
    /// A code of `court_procedure`.
    pub procedure: Option<Found<String>>,
    pub judged_on: Option<Found<NaiveDate>>,
    /// Charges of a criminal case, the cause of another.
    pub charges: Vec<Found<String>>,
    pub parties: Vec<Party>,
    /// Articles that the ruling rests on.
    pub statutes: Vec<Cited>,
    pub statutes_confidence: f64,
    pub outcome: Option<Outcome>,
    pub sections: Vec<Section>,
    /// Other numbers in the text: of the indictment, of the judgment appealed from.
    pub related: Vec<Number>,
}

fn found<T>(page: &Page, value: T, place: Range<usize>, confidence: f64) -> Found<T> {
    Found { value, confidence, place: page.source(place) }
}

/// Reads a judgment. Never fails: what is not there is not found.
///
/// ```
/// let text = "上海市奉贤区人民法院 刑事判决书 （2017）沪0120刑初684号 公诉机关上海市奉贤区人民检察院。";
/// let read = zonglan_models::extract::judgment(text);
/// assert_eq!(read.court.unwrap().value, "上海市奉贤区人民法院");
/// assert_eq!(read.case_number.unwrap().value, "（2017）沪0120刑初684号");
/// ```
pub fn judgment(text: &str) -> Extracted {
    let page = Page::new(text);
    let parts = sections::parts(&page);
    let part = |wanted: Part| parts.iter().find(|(p, _)| *p == wanted).map(|(_, range)| range.clone());
    let ruling = part(Part::Ruling);
    let mark = sections::ruling_mark(&page);
    let numbers = numbers::numbers(&page, 0..page.text.len());
    let own = header::own_number(&numbers, page.floor(700)).map(|(n, sure)| (n.clone(), sure));
    let own = own.or_else(|| numbers::undated(&page, 0..page.floor(400)).map(|n| (n, 0.6)));
    let heading_end = header::heading_end(&page, own.as_ref().map(|(n, _)| n));
    let heading = header::heading(&page, heading_end, own.as_ref().map(|(n, _)| n));
    let head = own.as_ref().map_or(0, |(n, _)| n.at.1)
        ..part(Part::Header).map_or_else(|| page.floor(3_000), |r| r.end).max(heading_end);
    let kind = heading.kind.or_else(|| kind_of_words(&page.text));
    let people = parties::parties(&page, head.clone());

    let mut out = Extracted {
        court: header::court(&page, heading_end)
            .map(|(range, sure)| found(&page, page.text[range.clone()].to_string(), range, sure)),
        kind: kind.map(|k| found(&page, k.to_string(), 0..0, if heading.kind.is_some() { 0.99 } else { 0.6 })),
        document: heading.form.map(|form| found(&page, form, 0..0, 0.97)),
        procedure: header::procedure(&page, mark.as_ref().map_or(page.text.len(), |m| m.start))
            .map(|(code, range, sure)| found(&page, code.to_string(), range, sure)),
        judged_on: ruling::date(&page, ruling.as_ref().or(mark.as_ref()))
            .map(|(date, range, sure)| found(&page, date, range, sure)),
        sections: parts
            .iter()
            .map(|(part, range)| Section { part: *part, place: page.source(range.clone()) })
            .collect(),
        outcome: ruling.as_ref().map(|r| {
            let mut outcome = ruling::outcome(&page, r, kind);
            outcome.text = original(text, outcome.place, ruling::RULING_TEXT);
            outcome
        }),
        ..Extracted::default()
    };
    let charges = if kind == Some("criminal") {
        ruling::charges(&page, ruling.as_ref(), part(Part::Reasoning).as_ref(), &head)
    } else {
        ruling::cause(&page, &head, &people, kind == Some("administrative")).into_iter().collect()
    };
    out.charges = charges.into_iter().map(|(name, range, sure)| found(&page, name, range, sure)).collect();
    out.parties = people;
    for party in &mut out.parties {
        party.name = original(text, party.place, usize::MAX);
    }
    let (cited, sure) = cited(&page, mark.as_ref(), part(Part::Reasoning));
    (out.statutes, out.statutes_confidence) = (cited, sure);
    if let Some((number, sure)) = own {
        out.related = numbers.into_iter().filter(|n| n.text != number.text).collect();
        out.case_number = Some(Found { value: number.text, confidence: sure, place: number.place });
    } else {
        out.related = numbers;
    }
    let mut seen = std::collections::HashSet::new();
    out.related.retain(|n| seen.insert(n.text.clone()));
    out
}

/// The words of the text as it came, without stray spaces and end marks.
fn original(text: &str, (start, end): (usize, usize), most: usize) -> String {
    let words: String =
        text.chars().skip(start).take(end.saturating_sub(start)).filter(|c| !c.is_whitespace()).collect();
    words.trim_matches(['：', ':', '。']).chars().take(most).collect()
}

/// Charges and laws named in facts that somebody pasted: what similar cases are looked for by.
pub fn facts(text: &str, known_charges: &[&str]) -> Vec<String> {
    let page = Page::new(text);
    let mut out: Vec<String> = known_charges
        .iter()
        .filter(|name| {
            let bare = name.trim_end_matches('罪');
            bare.chars().count() >= 2 && page.text.contains(bare)
        })
        .map(|name| (*name).to_string())
        .collect();
    // 抢劫 lies in 抢劫枪支: the longer one stands for both.
    let all = out.clone();
    out.retain(|name| {
        !all.iter().any(|other| other != name && other.trim_end_matches('罪').contains(name.trim_end_matches('罪')))
    });
    out
}

fn kind_of_words(text: &str) -> Option<&'static str> {
    if text.contains("公诉机关") || text.contains("被告人") {
        Some("criminal")
    } else if text.contains("行政机关") || text.contains("行政行为") {
        Some("administrative")
    } else {
        (text.contains("原告") || text.contains("上诉人")).then_some("civil")
    }
}

/// The articles in the sentence of the ruling's mark and the one before it; where those cite none,
/// the articles that the reasoning applies.
fn cited(page: &Page, mark: Option<&Range<usize>>, reasoning: Option<Range<usize>>) -> (Vec<Cited>, f64) {
    let Some(mark) = mark else { return (Vec::new(), 0.0) };
    let from =
        reasoning.as_ref().map_or_else(|| page.floor(mark.start.saturating_sub(3_000)), |r| r.start).min(mark.start);
    let sentences = page.sentences(from..mark.start);
    let last = sentences.last().cloned();
    let mut found = last.clone().map(|r| statutes::cited(page, r)).unwrap_or_default();
    if found.is_empty()
        && let Some(before) = sentences.len().checked_sub(2).map(|n| sentences[n].clone())
    {
        let words = &page.text[before.clone()];
        if ["依照", "依据", "根据", "按照", "适用"].iter().any(|w| words.contains(w)) {
            found = statutes::cited(page, before);
        }
    }
    if !found.is_empty() {
        return (found, 0.97);
    }
    // Courts that apply an article where they speak of it.
    for sentence in sentences {
        let words = &page.text[sentence.clone()];
        if ["依照", "依据", "根据", "按照"].iter().any(|w| words.contains(w)) {
            for cited in statutes::cited(page, sentence) {
                if !found.iter().any(|c| c.same_article(&cited) && c.detail == cited.detail) {
                    found.push(cited);
                }
            }
        }
    }
    let sure = if found.is_empty() { 0.3 } else { 0.75 };
    (found, sure)
}

#[cfg(test)]
mod tests;
