//! The parts of a judgment: what the sides say, what the court found, why, and what it ruled.

use super::page::Page;
use super::statutes::regex;
use regex::Regex;
use serde::Serialize;
use std::ops::Range;
use std::sync::LazyLock;

/// A part of a judgment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Court, number, parties, course of the proceedings.
    Header,
    /// 诉称, 指控
    Claims,
    /// 辩称
    Defence,
    /// 审理查明
    Findings,
    /// 本院认为
    Reasoning,
    /// 判决如下
    Ruling,
    /// Appeal, signatures, date.
    Signature,
    /// Articles quoted after the signature.
    Appendix,
}

impl Part {
    pub fn label(self) -> &'static str {
        match self {
            Self::Header => "首部",
            Self::Claims => "诉称",
            Self::Defence => "辩称",
            Self::Findings => "审理查明",
            Self::Reasoning => "本院认为",
            Self::Ruling => "裁判结果",
            Self::Signature => "尾部",
            Self::Appendix => "附录",
        }
    }
}

/// One part and its characters `[start, end)` of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    pub part: Part,
    pub place: (usize, usize),
}

static CLAIMS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "诉称[,:]|(?:向本院)?提出(?:上诉|再审|诉讼)请求[:,]|诉讼请求[:,]|(?:检察院|公诉机关|机关)指控[:,]|^(?:公诉机关|[^。,]{2,30}人民检察院)指控|起诉书指控[:,]|起诉请求[:,]|上诉(?:人)?[^。,]{0,12}(?:提出|称)[:,]|请求判令",
    )
});
static DEFENCE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "辩称[,:]|答辩称|(?:对|在)[^。]{0,30}(?:指控|起诉)[^。]{0,20}(?:无异议|均无异议|不持异议|无辩解)|辩护人[^。,]{0,20}(?:认为|提出)|未(?:作|做|提交)(?:书面)?答辩",
    )
});
static FINDINGS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "^(?:经(?:公开)?(?:开庭)?审理,?查明|经(?:本院)?(?:二审|再审)?审理,?查明|审理查明|本院(?:经审理)?(?:二审|再审)?查明|经审查,?查明|本院经审理认定(?:事实)?|本院确认(?:如下|以下)|原审(?:法院)?(?:判决)?(?:查明|认定)|一审法院(?:认定|查明)|经查明)",
    )
});
static REASONING: LazyLock<Regex> = LazyLock::new(|| {
    regex("^(?:本院(?:经审查|经审理|审查|审理)?(?:后)?认为|综上,?本院认为|合议庭认为|本院再审认为|本院二审认为)")
});
pub(super) static RULING: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "(?:判决|裁定|决定|判令|达成(?:如下)?协议)(?:如下|结果如下)?:|(?:判决|裁定|决定)如下|如下(?:判决|裁定|决定)[:。]|达成如下协议",
    )
});
static SIGNATURE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "^(?:如不服本|如(?:对本|不服)(?:判决|裁定|决定)|本(?:判决|裁定|决定|调解书|民事裁定书|民事判决|刑事裁定|行政裁定)(?:为终审|立即(?:发生)?|即发生|送达后|一经作出|自(?:即日起|双方|送达|宣告))|(?:代理|助理)?审判[长员]|院长)|上诉于[^。]{4,30}法院|^(?:审判长|审判员)",
    )
});
static APPENDIX: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "^(?:附(?:录|件|注|本案|相关|法律|:|[(])|(?:主要|相关|本案(?:所)?(?:适用|依据|引用)(?:的)?)(?:的)?法律(?:条文|规定|依据)|适用的?法律)",
    )
});

/// Bytes of the ruling marker: from its own sentence's mark to its end.
pub(super) fn ruling_mark(page: &Page) -> Option<Range<usize>> {
    // The ruling is the last marker before the signature whose sentence ends with it; quotations of
    // earlier judgments use 判决 in the middle of a sentence.
    let mut best: Option<Range<usize>> = None;
    for found in RULING.find_iter(&page.text) {
        let text = &page.text;
        let before = &text[page.floor(found.start().saturating_sub(24))..found.start()];
        let quoted = before.contains("作出") && before.contains("号");
        let asked = before.contains("请求") || before.contains("一审") || before.contains("原审法院");
        let strong = found.as_str().contains("如下");
        if quoted || (asked && !strong) || before.contains("原判") && !strong {
            continue;
        }
        if strong || best.is_none() {
            let earlier = best.as_ref().is_some_and(|b| text[b.clone()].contains("如下"));
            // In an appeal the first court's ruling is quoted before 本院认为; the last strong one counts.
            if strong || !earlier {
                best = Some(found.range());
            }
        }
    }
    best
}

/// Bytes of each part, in order. Parts that the text does not mark are left out.
pub(super) fn parts(page: &Page) -> Vec<(Part, Range<usize>)> {
    let text = &page.text;
    let ruling = ruling_mark(page);
    let mut starts: Vec<(usize, Part)> = vec![(0, Part::Header)];
    let mut stage = Part::Header;
    for sentence in page.sentences(0..text.len()) {
        if ruling.as_ref().is_some_and(|r| sentence.start >= r.start) {
            break;
        }
        let words = &text[sentence.clone()];
        // An appeal tells the first instance's story first, so findings may come before claims.
        let next = if REASONING.is_match(words) {
            Some(Part::Reasoning)
        } else if stage != Part::Reasoning && FINDINGS.is_match(words) {
            Some(Part::Findings)
        } else if matches!(stage, Part::Claims | Part::Header) && DEFENCE.is_match(words) && stage != Part::Header {
            Some(Part::Defence)
        } else if stage == Part::Header && CLAIMS.is_match(words) && sentence.start > 0 {
            Some(Part::Claims)
        } else {
            None
        };
        if let Some(part) = next.filter(|p| *p != stage) {
            stage = part;
            starts.push((sentence.start, part));
        }
    }
    if let Some(ruling) = ruling {
        starts.push((ruling.end, Part::Ruling));
        let mut stage = Part::Ruling;
        for sentence in page.pieces(ruling.end..text.len()) {
            let words = &text[sentence.clone()];
            if stage == Part::Ruling && SIGNATURE.is_match(words) {
                stage = Part::Signature;
                starts.push((sentence.start, stage));
            }
            if let Some(found) = APPENDIX.find(words).filter(|_| stage != Part::Appendix) {
                stage = Part::Appendix;
                starts.push((sentence.start + found.start(), stage));
                break;
            }
        }
    }
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([text.len()]).collect::<Vec<_>>();
    starts.into_iter().zip(ends).filter(|((at, _), end)| at < end).map(|((at, part), end)| (part, at..end)).collect()
}
