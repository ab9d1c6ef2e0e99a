//! The parties by role, from the head of a judgment.

use super::page::{Page, is_han};
use serde::Serialize;
use std::ops::Range;

/// Whether a party is a human being. Only others are linked and searched across cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Being {
    Person,
    Organisation,
}

/// Somebody named in the head, with the role that the text gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Party {
    /// As written: 被告人, 上诉人（原审原告）.
    pub role: String,
    pub name: String,
    pub being: Being,
    pub confidence: f64,
    /// `[start, end)` of the name in characters of the text.
    pub place: (usize, usize),
}

/// Longer roles first, so that 被告人 is not read as 被告 of a person named 人….
const ROLES: [&str; 72] = [
    "附带民事诉讼原告人暨被害人",
    "附带民事诉讼原告单位",
    "附带民事诉讼被告单位",
    "附带民事诉讼原告人",
    "附带民事诉讼被告人",
    "附带民事诉讼原告",
    "附带民事诉讼被告",
    "附带民事公益诉讼起诉人",
    "公益诉讼起诉人",
    "委托诉讼代理人",
    "指定诉讼代理人",
    "法定诉讼代理人",
    "共同委托代理人",
    "共同委托诉讼代理人",
    "原审附带民事诉讼原告人",
    "原审附带民事诉讼被告人",
    "再审被申请人",
    "再审申请人",
    "被申请执行人",
    "申请执行人",
    "赔偿义务机关",
    "赔偿请求人",
    "原审被告单位",
    "原审被告人",
    "原审第三人",
    "一审第三人",
    "一审原告",
    "一审被告",
    "二审上诉人",
    "二审被上诉人",
    "原审原告",
    "原审被告",
    "原审自诉人",
    "原公诉机关",
    "公诉机关",
    "抗诉机关",
    "申诉人",
    "被申诉人",
    "被申请人",
    "申请人",
    "被上诉人",
    "上诉单位",
    "上诉人",
    "反诉原告",
    "反诉被告",
    "自诉人",
    "被告单位",
    "被告人",
    "诉讼代表人",
    "委托辩护人",
    "指定辩护人",
    "辩护人",
    "法定代理人",
    "法定代表人",
    "诉讼代理人",
    "委托代理人",
    "主要负责人",
    "执行事务合伙人",
    "负责人",
    "经营者",
    "投资人",
    "出庭负责人",
    "出庭应诉负责人",
    "被害单位",
    "被害人",
    "第三人",
    "被执行人",
    "利害关系人",
    "异议人",
    "案外人",
    "原告",
    "被告",
];

/// Words that end the list of parties: the course of the proceedings begins.
const COURSE: [&str; 14] = [
    "一案",
    "起诉书",
    "本院受理",
    "本院于",
    "本院立案",
    "本院依法",
    "审理终结",
    "向本院",
    "诉至本院",
    "指控",
    "诉称",
    "因与",
    "提起公诉",
    "不服",
];

/// Ends of the names of bodies.
const BODIES: [&str; 44] = [
    "公司",
    "厂",
    "院",
    "局",
    "所",
    "中心",
    "委员会",
    "政府",
    "店",
    "合作社",
    "银行",
    "集团",
    "部",
    "学校",
    "大学",
    "中学",
    "小学",
    "幼儿园",
    "医院",
    "支行",
    "分行",
    "社",
    "协会",
    "基金会",
    "企业",
    "合伙",
    "场",
    "馆",
    "队",
    "站",
    "处",
    "办公室",
    "办事处",
    "村民小组",
    "居委会",
    "村委会",
    "业委会",
    "业主大会",
    "联合会",
    "商行",
    "经营部",
    "工作室",
    "管委会",
    "商会",
];

pub(super) fn being(name: &str) -> Being {
    let bare = name.split('(').next().unwrap_or(name);
    let long = bare.chars().filter(|c| is_han(*c)).count() > 3;
    if long && (BODIES.iter().any(|end| bare.ends_with(end)) || bare.contains("公司") || bare.contains("银行")) {
        Being::Organisation
    } else {
        Being::Person
    }
}

/// The role at the start of a piece, with what stands in brackets after it, and its length.
fn role(words: &str) -> Option<(String, usize)> {
    let role = ROLES.iter().filter(|role| words.starts_with(**role)).max_by_key(|role| role.len())?;
    let mut length = role.len();
    let mut full = (*role).to_string();
    if words[length..].starts_with('(')
        && let Some(end) = words[length..].find(')')
    {
        let inner = &words[length + 1..length + end];
        if ROLES.iter().any(|r| inner.contains(r)) || inner.contains("原审") || inner.contains("一审") {
            full = format!("{role}（{inner}）");
            length += end + 1;
        }
    }
    Some((full, length))
}

/// Parties of the head, from the case number to the course of the proceedings.
pub(super) fn parties(page: &Page, head: Range<usize>) -> Vec<Party> {
    let mut out: Vec<Party> = Vec::new();
    for piece in page.pieces(head) {
        let words = &page.text[piece.clone()];
        let found = role(words);
        let course = COURSE.iter().any(|w| words.contains(w));
        let Some((role, length)) = found else {
            if course && !out.is_empty() {
                break;
            }
            continue;
        };
        let before = out.len();
        read_names(page, piece.start + length..piece.end, &role, &mut out);
        // 被告人张三对指控的事实…: a sentence of the text, not a party.
        let told = out[before..]
            .first()
            .is_some_and(|p| p.name.chars().count() > 4 && p.being == Being::Person && p.confidence < 0.6);
        if told {
            out.truncate(before);
        }
        if course && !words.contains('男') && !words.contains('女') && !words.contains("住") && before > 0 {
            out.truncate(before.max(usize::from(before == 0)));
            break;
        }
    }
    out
}

/// Names after a role: up to the first mark; several are parted by `、`.
fn read_names(page: &Page, part: Range<usize>, role: &str, out: &mut Vec<Party>) {
    let text = &page.text[part.clone()];
    let mut start = 0;
    for lead in [":", "自报", "(自报)", "自报:", "暨"] {
        if text[start..].starts_with(lead) {
            start += lead.len();
        }
    }
    let rest = &text[start..];
    // Brackets inside a company's name belong to it: 中国平安财产保险(上海)股份有限公司.
    let mut end = rest.len();
    let mut depth = 0;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => {
                let inner_end = rest[at..].find(')').map_or(rest.len(), |e| at + e + 1);
                let inside_name = rest[inner_end..].chars().next().is_some_and(is_han);
                if !inside_name {
                    end = at;
                    break;
                }
                depth += 1;
            }
            ')' => depth -= 1,
            ',' | '。' | ';' | ':' if depth <= 0 => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let names = &rest[..end];
    let mut at = start;
    for name in names.split('、') {
        let place = part.start + at..part.start + at + name.len();
        at += name.len() + '、'.len_utf8();
        let clean = name.trim();
        let length = clean.chars().count();
        let letters = clean.chars().all(|c| {
            is_han(c)
                || c.is_ascii_alphanumeric()
                || matches!(c, '·' | '×' | '*' | '(' | ')' | '.' | '-' | '"' | '“' | '”' | '&')
        });
        if length < 2 && !clean.ends_with('某') || length > 45 || !letters {
            continue;
        }
        let being = being(clean);
        let verbs = ["对", "犯", "到庭", "及", "提出", "认为", "在", "因", "经", "的", "被", "于", "以"];
        let confidence = match being {
            Being::Organisation => 0.93,
            Being::Person if length <= 4 => 0.95,
            Being::Person if clean.contains('·') || clean.is_ascii() => 0.9,
            Being::Person if verbs.iter().any(|v| clean.contains(v)) => 0.4,
            Being::Person if length <= 8 => 0.65,
            Being::Person => 0.5,
        };
        if !out.iter().any(|p| p.name == clean && p.role == role) {
            out.push(Party {
                role: role.to_string(),
                name: clean.to_string(),
                being,
                confidence,
                place: page.source(place),
            });
        }
    }
}
