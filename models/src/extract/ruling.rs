//! Charges or cause, what the court ruled, and the date.

use super::page::{Page, number};
use super::parties::Party;
use super::statutes::regex;
use chrono::NaiveDate;
use regex::Regex;
use serde::Serialize;
use std::ops::Range;
use std::sync::LazyLock;

static CONVICTED: LazyLock<Regex> = LazyLock::new(|| {
    // 犯盗窃罪，判处…; not 犯罪, 犯罪事实 or 罪犯.
    regex(
        "犯(?P<charge>[^罪,。;:()《》“”犯][^,。;:()《》“”]{0,58}?罪)(?:[,。;:(]|[、和及]|判处|处|免予|免除|一案|的|,|$)",
    )
});
static ACCUSED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "(?:构成|以|涉嫌|犯)(?P<charge>[^罪,。;:()《》“”犯构][^,。;:()《》“”]{1,40}?罪)(?:[,。;、和的]|追究|定罪|一案|向|$)",
    )
});
static TITLE: LazyLock<Regex> =
    LazyLock::new(|| regex("(?P<charge>[\\p{Han}、]{2,30}?)(?:罪)?(?:一审|二审|再审|一案)"));
static CAUSE: LazyLock<Regex> = LazyLock::new(|| regex("(?P<cause>[^。;《》“”]{2,60}?)一案"));
static DATE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "(?P<y>[零一二三四五六七八九0-9OoΟ]{4})年(?P<m>[零一二三四五六七八九十0-9]{1,3})月(?P<d>[零一二三四五六七八九十0-9]{1,3})日?",
    )
});
static TERM: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "(?P<kind>有期徒刑|拘役|管制)(?:(?P<y>[零一二三四五六七八九十0-9]{1,3})年)?零?(?:(?P<m>[零一二三四五六七八九十0-9]{1,3})个?月)?",
    )
});
static FINE: LazyLock<Regex> =
    LazyLock::new(|| regex("罚金(?:人民币)?(?P<n>[0-9.,，]+|[零一二三四五六七八九十百千万两]+)(?P<w>万)?(?:余)?元"));

/// Causes of action of civil and administrative cases, from the Supreme People's Court's
/// 民事案件案由规定 (2020) and 关于行政案件案由的暂行规定 (2020): those that are brought most.
/// A cause that is not here is read from the words before 一案.
const CAUSES: [&str; 96] = [
    "民间借贷纠纷",
    "金融借款合同纠纷",
    "小额借款合同纠纷",
    "借款合同纠纷",
    "买卖合同纠纷",
    "房屋买卖合同纠纷",
    "商品房预售合同纠纷",
    "商品房销售合同纠纷",
    "房屋租赁合同纠纷",
    "租赁合同纠纷",
    "融资租赁合同纠纷",
    "建设工程施工合同纠纷",
    "建设工程分包合同纠纷",
    "建设工程合同纠纷",
    "装饰装修合同纠纷",
    "承揽合同纠纷",
    "加工合同纠纷",
    "定作合同纠纷",
    "运输合同纠纷",
    "货运代理合同纠纷",
    "物业服务合同纠纷",
    "供用热力合同纠纷",
    "供用电合同纠纷",
    "服务合同纠纷",
    "教育培训合同纠纷",
    "旅游合同纠纷",
    "保险合同纠纷",
    "财产保险合同纠纷",
    "人身保险合同纠纷",
    "保证合同纠纷",
    "抵押合同纠纷",
    "担保合同纠纷",
    "追偿权纠纷",
    "信用卡纠纷",
    "储蓄存款合同纠纷",
    "劳务合同纠纷",
    "劳动合同纠纷",
    "劳动争议",
    "追索劳动报酬纠纷",
    "确认劳动关系纠纷",
    "工伤保险待遇纠纷",
    "经济补偿金纠纷",
    "委托合同纠纷",
    "居间合同纠纷",
    "中介合同纠纷",
    "合伙合同纠纷",
    "合伙协议纠纷",
    "赠与合同纠纷",
    "合同纠纷",
    "离婚纠纷",
    "离婚后财产纠纷",
    "离婚后损害责任纠纷",
    "变更抚养关系纠纷",
    "抚养费纠纷",
    "抚养纠纷",
    "赡养费纠纷",
    "赡养纠纷",
    "同居关系纠纷",
    "婚约财产纠纷",
    "法定继承纠纷",
    "遗嘱继承纠纷",
    "继承纠纷",
    "分家析产纠纷",
    "共有物分割纠纷",
    "共有纠纷",
    "机动车交通事故责任纠纷",
    "医疗损害责任纠纷",
    "提供劳务者受害责任纠纷",
    "产品责任纠纷",
    "生命权、健康权、身体权纠纷",
    "名誉权纠纷",
    "人格权纠纷",
    "侵权责任纠纷",
    "财产损害赔偿纠纷",
    "不当得利纠纷",
    "无因管理纠纷",
    "返还原物纠纷",
    "排除妨害纠纷",
    "相邻关系纠纷",
    "所有权确认纠纷",
    "物权保护纠纷",
    "土地承包经营权纠纷",
    "农村土地承包合同纠纷",
    "股权转让纠纷",
    "股东资格确认纠纷",
    "公司解散纠纷",
    "票据追索权纠纷",
    "证券虚假陈述责任纠纷",
    "著作权权属、侵权纠纷",
    "侵害商标权纠纷",
    "侵害作品信息网络传播权纠纷",
    "不正当竞争纠纷",
    "执行异议之诉",
    "案外人执行异议之诉",
    "债权人撤销权纠纷",
    "债权转让合同纠纷",
];

/// What an administrative case is about.
const ADMINISTRATIVE: [&str; 18] = [
    "行政处罚",
    "行政强制执行",
    "行政强制措施",
    "行政强制",
    "行政许可",
    "行政征收",
    "行政征用",
    "行政登记",
    "行政确认",
    "行政给付",
    "行政复议",
    "行政协议",
    "行政补偿",
    "行政赔偿",
    "政府信息公开",
    "不履行法定职责",
    "房屋征收补偿决定",
    "工伤认定",
];

/// A value with its place in bytes of the page and how sure it is.
pub(super) type Read = (String, Range<usize>, f64);

/// One charge for each, without the last 罪 cut: 盗窃罪, 掩饰、隐瞒犯罪所得罪.
fn charges_of(list: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut start = 0;
    for (at, mark) in list.match_indices("罪") {
        let end = at + mark.len();
        let next = &list[end..];
        let ends = next.is_empty()
            || next.starts_with('、') && !next.starts_with("、犯罪所得")
            || next.starts_with('和')
            || next.starts_with('及')
            || next.starts_with("与");
        // 犯罪所得 has a 罪 inside.
        if ends && !next.starts_with("所得") {
            let name = list[start..end]
                .trim_matches(['、', '和', '及', '与'])
                .trim_start_matches("涉嫌")
                .trim_start_matches('犯');
            if name.chars().count() > 2 {
                out.push(name.to_string());
            }
            start = end;
        }
    }
    out
}

/// A charge is made of words, not of a sentence.
fn is_charge(name: &str) -> bool {
    let length = name.chars().count();
    let words = [
        "数罪",
        "犯罪的",
        "认罪",
        "悔罪",
        "无罪",
        "新罪",
        "前罪",
        "漏罪",
        "此罪",
        "该罪",
        "本罪",
        "同种罪",
        "何罪",
        "各罪",
        "所犯",
        "被告人",
        "其行为",
        "原罪",
        "余罪",
        "有罪",
        "轻罪",
        "重罪",
        "判决",
        "他罪",
        "二罪",
        "两罪",
        "三罪",
        "之罪",
        "指控",
        "定罪",
        "服罪",
    ];
    (3..=34).contains(&length) && name.ends_with('罪') && !words.iter().any(|w| name.contains(w))
}

fn add(out: &mut Vec<Read>, page: &Page, offset: usize, found: &regex::Captures, sure: f64) {
    let Some(list) = found.name("charge") else { return };
    for charge in charges_of(list.as_str()).into_iter().filter(|c| is_charge(c)) {
        if !out.iter().any(|(name, ..)| *name == charge) {
            let at = page.text[offset + list.start()..].find(&charge).map_or(list.start(), |n| list.start() + n);
            out.push((charge.clone(), offset + at..offset + at + charge.len(), sure));
        }
    }
}

/// Charges of a criminal judgment: those convicted of, or else those accused of.
pub(super) fn charges(
    page: &Page,
    ruling: Option<&Range<usize>>,
    reasoning: Option<&Range<usize>>,
    head: &Range<usize>,
) -> Vec<Read> {
    let mut out = Vec::new();
    if let Some(part) = ruling {
        let text = &page.text[part.clone()];
        for found in CONVICTED.captures_iter(text) {
            // 原犯, 前罪 and revoked probation name older charges.
            let before = found.get(0).map_or("", |m| &text[floor(text, m.start().saturating_sub(18))..m.start()]);
            if before.contains("撤销")
                || before.contains('原') && !before.contains("原审被告人")
                || before.contains('前')
                || before.contains('曾')
            {
                continue;
            }
            add(&mut out, page, part.start, &found, 0.98);
        }
    }
    if out.is_empty()
        && let Some(part) = reasoning
    {
        for found in ACCUSED.captures_iter(&page.text[part.clone()]) {
            let built = found.get(0).is_some_and(|m| m.as_str().starts_with("构成") || m.as_str().starts_with('犯'));
            if built {
                add(&mut out, page, part.start, &found, 0.85);
            }
        }
    }
    if out.is_empty() {
        let end = page.floor((head.end + 6_000).min(page.text.len()));
        for found in CONVICTED.captures_iter(&page.text[..end]).chain(ACCUSED.captures_iter(&page.text[..end])) {
            add(&mut out, page, 0, &found, 0.7);
            if !out.is_empty() {
                break;
            }
        }
    }
    if out.is_empty()
        && let Some(found) = TITLE.captures(&page.text[..page.floor(150)])
        && let Some(charge) = found.name("charge")
    {
        out.push((format!("{}罪", charge.as_str()), charge.range(), 0.4));
    }
    out
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The cause of a civil or administrative case.
pub(super) fn cause(page: &Page, head: &Range<usize>, parties: &[Party], administrative: bool) -> Option<Read> {
    let end = page.floor((head.end + 3_000).min(page.text.len()));
    let text = &page.text[..end];
    for found in CAUSE.captures_iter(text) {
        let cause = found.name("cause")?;
        let words = cause.as_str();
        if administrative {
            if let Some(at) = ADMINISTRATIVE
                .iter()
                .filter_map(|c| words.rfind(c).map(|at| (at, *c)))
                .max_by_key(|(at, c)| at + c.len())
            {
                let (at, name) = at;
                return Some((name.to_string(), cause.start() + at..cause.start() + at + name.len(), 0.9));
            }
            if let Some(at) = words.rfind('诉') {
                let tail = after_parties(&words[at + '诉'.len_utf8()..], parties);
                if (2..=24).contains(&tail.chars().count()) {
                    return Some((tail.to_string(), cause.end() - tail.len()..cause.end(), 0.6));
                }
            }
            continue;
        }
        // The longest known cause that ends the words.
        if let Some(name) = CAUSES.iter().filter(|c| words.ends_with(**c)).max_by_key(|c| c.len()) {
            return Some(((*name).to_string(), cause.end() - name.len()..cause.end(), 0.97));
        }
        let tail = after_parties(words, parties);
        let ends = tail.ends_with("纠纷")
            || tail.ends_with("争议")
            || tail.ends_with("责任")
            || tail.ends_with("之诉")
            || tail.ends_with("权益");
        if ends && (4..=30).contains(&tail.chars().count()) {
            let known = CAUSES.iter().any(|c| tail.ends_with(*c));
            return Some((tail.to_string(), cause.end() - tail.len()..cause.end(), if known { 0.9 } else { 0.65 }));
        }
    }
    // Named without 一案: in a title or the reasoning.
    let list: Vec<&str> = if administrative { ADMINISTRATIVE.to_vec() } else { CAUSES.to_vec() };
    let name = list.into_iter().filter(|c| page.text.contains(*c)).max_by_key(|c| c.len())?;
    let at = page.text.find(name)?;
    Some((name.to_string(), at..at + name.len(), 0.6))
}

/// What is left of 原告张三与被告某公司买卖合同纠纷 when the parties are taken away.
fn after_parties<'a>(words: &'a str, parties: &[Party]) -> &'a str {
    let mut cut = 0;
    for party in parties {
        if let Some(at) = words.rfind(&party.name) {
            cut = cut.max(at + party.name.len());
        }
    }
    for end in ["公司", "某", "被告", "有限公司)", "委员会", "人民政府", "等"] {
        if let Some(at) = words.rfind(end) {
            cut = cut.max(at + end.len());
        }
    }
    words[cut..].trim_start_matches(|c: char| {
        matches!(c, '(' | ')' | ',' | '、' | '因' | '等' | '间' | '的' | '某' | '之') || c.is_ascii_digit()
    })
}

/// The date below the signatures.
pub(super) fn date(page: &Page, ruling: Option<&Range<usize>>) -> Option<(NaiveDate, Range<usize>, f64)> {
    let from = ruling.map_or(0, |r| r.end);
    let appendix = ["附:", "附相关", "附法律", "附录", "附本"].iter().filter_map(|w| page.text[from..].find(w)).min();
    let end = appendix.map_or(page.text.len(), |at| from + at);
    let mut best: Option<(NaiveDate, Range<usize>, f64)> = None;
    for (start, end) in [(from, end), (end, page.text.len()), (0, from)] {
        for found in DATE.captures_iter(&page.text[start..end]) {
            let (Some(y), Some(m), Some(d), Some(whole)) =
                (found.name("y"), found.name("m"), found.name("d"), found.get(0))
            else {
                continue;
            };
            let text = |m: regex::Match| m.as_str().replace(['O', 'o', 'Ο'], "0");
            let parsed = number(&text(y)).zip(number(&text(m))).zip(number(&text(d)));
            let Some(((y, m), d)) = parsed else { continue };
            let Some(date) =
                NaiveDate::from_ymd_opt(i32::try_from(y).unwrap_or(0), m, d).filter(|_| (1949..2100).contains(&y))
            else {
                continue;
            };
            let at = start + whole.start();
            let chinese = found.name("y").is_some_and(|y| !y.as_str().bytes().any(|b| b.is_ascii_digit() && b != b'0'));
            let before = &page.text[page.floor(at.saturating_sub(60))..at];
            let signed = before.contains("审判") || before.contains("陪审员") || before.contains("院长");
            let sure = match (start >= from && ruling.is_some(), chinese, signed) {
                (true, true, true) => 0.99,
                (true, true, false) => 0.93,
                (true, false, true) => 0.9,
                (false, true, _) => 0.85,
                (true, false, false) => 0.45,
                (false, false, _) => 0.3,
            };
            if best.as_ref().is_none_or(|(_, _, other)| sure >= *other) {
                best = Some((date, at..start + whole.end(), sure));
            }
        }
        if best.as_ref().is_some_and(|(_, _, sure)| *sure > 0.8) {
            break;
        }
    }
    best
}

/// What was ruled, as a code, with the first sentence's term and fine.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// `convicted`, `acquitted`, `exempted`, `upheld`, `changed`, `remanded`, `granted`, `partly`,
    /// `dismissed`, `withdrawn`, `settled`, `annulled`, `other`.
    pub kind: &'static str,
    /// The words of the ruling, shortened.
    pub text: String,
    /// Months of imprisonment, detention or control of the first defendant.
    pub term_months: Option<u32>,
    pub probation: bool,
    /// Fine of the first defendant, in fen.
    pub fine: Option<i64>,
    pub confidence: f64,
    pub place: (usize, usize),
}

/// Characters of the ruling that are kept.
pub(super) const RULING_TEXT: usize = 400;

pub(super) fn outcome(page: &Page, ruling: &Range<usize>, kind: Option<&str>) -> Outcome {
    let text = &page.text[ruling.clone()];
    let has = |w: &str| text.contains(w);
    let (name, confidence) = match kind {
        Some("criminal") if has("维持原判") && !has("撤销") => ("upheld", 0.97),
        Some("criminal") if has("发回") && has("重") && has("审") => ("remanded", 0.97),
        Some("criminal") if has("准许") && (has("撤回上诉") || has("撤回起诉") || has("撤诉")) => {
            ("withdrawn", 0.95)
        }
        Some("criminal") if has("撤销") && has("原审") || has("撤销") && has("改判") || has("维持") && has("撤销") => {
            ("changed", 0.85)
        }
        Some("criminal") if has("无罪") && !has("判处") => ("acquitted", 0.97),
        Some("criminal") if (has("免予刑事处罚") || has("免于刑事处罚") || has("免予刑事处分")) && !has("判处") => {
            ("exempted", 0.97)
        }
        Some("criminal") if has("判处") || has("有期徒刑") || has("拘役") || has("罚金") => {
            ("convicted", 0.97)
        }
        _ if has("发回") && has("重审") => ("remanded", 0.95),
        _ if has("维持原判") || has("驳回上诉") => ("upheld", 0.95),
        _ if has("准许") && (has("撤回") || has("撤诉")) || has("按撤诉处理") || has("按自动撤回") => {
            ("withdrawn", 0.95)
        }
        _ if has("调解") || has("达成") && has("协议") => ("settled", 0.8),
        Some("administrative") if has("撤销") || has("确认违法") || has("确认") && has("违法") => {
            ("annulled", 0.88)
        }
        _ if has("驳回") && has("其他诉讼请求") || has("驳回") && has("其余") => ("partly", 0.93),
        _ if has("驳回") && (has("诉讼请求") || has("起诉") || has("再审申请")) && !has("支付") && !has("给付") => {
            ("dismissed", 0.93)
        }
        _ if has("撤销") => ("changed", 0.7),
        _ if [
            "支付", "给付", "偿还", "归还", "返还", "赔偿", "准予", "解除", "确认", "履行", "随", "准许", "腾退",
            "搬离",
        ]
        .iter()
        .any(|w| has(w)) =>
        {
            ("granted", 0.8)
        }
        _ => ("other", 0.4),
    };
    let mut outcome = Outcome { kind: name, confidence, place: page.source(ruling.clone()), ..Outcome::default() };
    if kind == Some("criminal") {
        // 决定执行 is the sum of several sentences; the first defendant's come before the second's.
        let first = text.find("二、被告人").map_or(text, |at| &text[..at]);
        let sentenced = first.find("决定执行").map_or(first, |at| &first[at..]);
        outcome.term_months = TERM.captures_iter(sentenced).find_map(|t| {
            let part = |name: &str| t.name(name).and_then(|v| number(v.as_str()));
            match (part("y"), part("m")) {
                (None, None) => None,
                (y, m) => Some(y.unwrap_or(0) * 12 + m.unwrap_or(0)),
            }
        });
        outcome.probation = sentenced.contains("缓刑") && !sentenced.contains("撤销");
        outcome.fine = FINE.captures(sentenced).and_then(|f| {
            let digits: String = f.name("n")?.as_str().chars().filter(|c| *c != ',' && *c != '，').collect();
            let scale = if f.name("w").is_some() { 10_000.0 } else { 1.0 };
            let yuan = digits.parse::<f64>().ok().or_else(|| number(&digits).map(f64::from))?;
            Some((yuan * scale * 100.0).round() as i64)
        });
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_charges_are_parted() {
        assert_eq!(charges_of("盗窃罪、诈骗罪"), ["盗窃罪", "诈骗罪"]);
        assert_eq!(charges_of("掩饰、隐瞒犯罪所得、犯罪所得收益罪"), ["掩饰、隐瞒犯罪所得、犯罪所得收益罪"]);
        assert_eq!(
            charges_of("走私、贩卖、运输、制造毒品罪和容留他人吸毒罪"),
            ["走私、贩卖、运输、制造毒品罪", "容留他人吸毒罪"]
        );
    }
}
