//! Court, kind and procedure from the head of a judgment.

use super::numbers::{Agency, Number};
use super::page::{Page, is_han};
use super::statutes::regex;
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "(?P<kind>刑事附带民事|刑事|民事|行政赔偿|行政|执行|国家赔偿|赔偿|海事|知识产权)?(?P<form>判决书|裁定书|决定书|调解书|通知书|支付令|判决|裁定)",
    )
});
/// Provinces, regions and cities that a court's name may begin with.
const PROVINCES: [&str; 34] = [
    "北京",
    "天津",
    "上海",
    "重庆",
    "河北",
    "山西",
    "辽宁",
    "吉林",
    "黑龙江",
    "江苏",
    "浙江",
    "安徽",
    "福建",
    "江西",
    "山东",
    "河南",
    "湖北",
    "湖南",
    "广东",
    "海南",
    "四川",
    "贵州",
    "云南",
    "陕西",
    "甘肃",
    "青海",
    "台湾",
    "内蒙古",
    "广西",
    "西藏",
    "宁夏",
    "新疆",
    "香港",
    "澳门",
];

/// What a heading says beside the court: criminal, civil or administrative, and judgment or order.
#[derive(Debug, Default)]
pub(super) struct Heading {
    pub kind: Option<&'static str>,
    pub form: Option<String>,
}

/// The end of the heading: the case number, or the first lines where there is none.
pub(super) fn heading_end(page: &Page, number: Option<&Number>) -> usize {
    number.map_or_else(|| page.floor(360), |n| n.at.1)
}

/// The court that gave the judgment, and how sure that is.
pub(super) fn court(page: &Page, heading: usize) -> Option<(Range<usize>, f64)> {
    let text = &page.text;
    let mut best: Option<(Range<usize>, f64)> = None;
    // Titles of some sources run before the heading, so the name nearest the document's kind counts.
    for (at, _) in text[..page.floor(heading.max(200))].match_indices("法院") {
        let end = at + "法院".len();
        let after = &text[end..];
        let names_document = DOCUMENT.find(after).is_some_and(|d| d.start() == 0)
            || after.starts_with('(')
            || page.parts(end) && end < heading;
        let Some(name) = name_before(page, end) else { continue };
        let sure = match (names_document, end <= heading) {
            (true, true) => 0.99,
            (true, false) | (false, true) => 0.7,
            (false, false) => 0.5,
        };
        if best.as_ref().is_none_or(|(_, other)| sure > *other) {
            best = Some((name, sure));
        }
    }
    // Without a heading: 本院 is not named, but appeals and seals are.
    best.or_else(|| {
        let at = text.rfind("人民法院")?;
        let name = name_before(page, at + "人民法院".len())?;
        let appeal = text[..name.start].ends_with('向') || text[..name.start].ends_with("上诉于");
        Some((name, if appeal { 0.2 } else { 0.45 }))
    })
}

/// The name of a court that ends at `end`: back to a gap, a mark, or the word before it.
fn name_before(page: &Page, end: usize) -> Option<Range<usize>> {
    let text = &page.text;
    let mut start = end;
    let mut soft = None;
    for (at, c) in text[..end].char_indices().rev().take(34) {
        if !is_han(c) || c == '书' || c == '稿' {
            break;
        }
        start = at;
        if page.breaks(at) {
            break;
        }
        if page.parts(at) && soft.is_none() {
            soft = Some(at);
        }
    }
    // A space inside a heading ends the name only where what follows is a whole name.
    if let Some(at) = soft.filter(|at| text[*at..end].chars().count() >= 6) {
        start = at;
    }
    let name = &text[start..end];
    // A province inside the name is where it begins: 罪一审上海市黄浦区人民法院.
    if let Some(at) = PROVINCES
        .iter()
        .filter_map(|p| name.rfind(p))
        .max()
        .filter(|at| *at > 0 && !name[..*at].ends_with(['市', '省', '区', '州', '盟']))
    {
        start += at;
    } else if let Some(at) =
        ["不服", "原审", "由", "向", "上诉于"].iter().filter_map(|w| name.rfind(w).map(|at| at + w.len())).max()
        && name.len() - at >= "某县人民法院".len()
    {
        start += at;
    }
    let name = &text[start..end];
    let named = name.chars().count() >= 5 && !name.contains("本院") && !name.contains("我院");
    named.then_some(start..end)
}

/// Kind and form of the document.
pub(super) fn heading(page: &Page, heading: usize, number: Option<&Number>) -> Heading {
    let text = &page.text[..page.floor(heading)];
    let mut found = Heading::default();
    for part in DOCUMENT.captures_iter(text) {
        if let Some(kind) = part.name("kind") {
            found.kind = match kind.as_str() {
                "刑事" | "刑事附带民事" => Some("criminal"),
                "民事" | "海事" | "知识产权" => Some("civil"),
                "行政" | "行政赔偿" => Some("administrative"),
                _ => None,
            };
        }
        if let (Some(kind), Some(form)) = (part.name("kind"), part.name("form")) {
            let suffix = if form.as_str().ends_with('书') || form.as_str() == "支付令" { "" } else { "书" };
            found.form = Some(format!("{}{}{suffix}", kind.as_str(), form.as_str()));
        }
    }
    if let Some(number) = number.filter(|_| found.kind.is_none()) {
        let has = |c: char| number.text.contains(c);
        found.kind = if has('刑') {
            Some("criminal")
        } else if has('行') {
            Some("administrative")
        } else if has('民') || has('商') || has('知') {
            Some("civil")
        } else {
            None
        };
    }
    found
}

/// The procedure as the code list `court_procedure` names it, its place, and how sure that is.
pub(super) fn procedure(page: &Page, before_ruling: usize) -> Option<(&'static str, Range<usize>, f64)> {
    let text = &page.text[..before_ruling];
    let last = |word: &str| text.rfind(word).map(|at| at..at + word.len());
    // A later change of procedure stands after the first choice.
    let names = [
        ("速裁程序", "fast_track"),
        ("小额诉讼程序", "small_claims"),
        ("小额诉讼", "small_claims"),
        ("简易程序", "summary"),
        ("普通程序", "ordinary"),
    ];
    let mut found: Vec<(Range<usize>, &'static str)> =
        names.iter().filter_map(|(word, code)| Some((last(word)?, *code))).collect();
    found.sort_by_key(|(range, _)| range.start);
    if let Some((range, code)) = found.pop() {
        // 适用普通程序简化审 and 建议适用简易程序 are weaker than 本院适用.
        let before = &text[page.floor(range.start.saturating_sub(36))..range.start];
        let own = before.contains("本院") || before.contains("适用") || before.contains("转为");
        return Some((code, range, if own { 0.97 } else { 0.75 }));
    }
    if let Some(range) = last("独任审判").or_else(|| last("独任审理")) {
        return Some(("summary", range, 0.7));
    }
    last("合议庭").map(|range| ("ordinary", range, 0.8))
}

/// The first number of the heading that a court gave.
pub(super) fn own_number(numbers: &[Number], limit: usize) -> Option<(&Number, f64)> {
    let court = |n: &&Number| n.agency == Agency::Court;
    let near = numbers.iter().filter(court).find(|n| n.at.0 < limit);
    near.map(|n| (n, 0.99))
        .or_else(|| numbers.iter().find(|n| n.agency != Agency::Procuratorate && n.at.0 < limit).map(|n| (n, 0.6)))
}
