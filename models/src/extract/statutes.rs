//! The articles that a ruling rests on.

use super::page::{Page, number};
use regex::Regex;
use serde::Serialize;
use std::ops::Range;
use std::sync::LazyLock;

/// An article as a text cites it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Cited {
    /// Full name of the law without its marks: 中华人民共和国刑法.
    pub law: String,
    pub article: u32,
    /// The number after 之: 1 for 第一百三十三条之一; 0 where there is none.
    pub inserted: u32,
    /// What follows the article's number: 第三款, 第一款第（二）项; empty where there is nothing.
    pub detail: String,
    /// `[start, end)` in characters of the text.
    pub place: (usize, usize),
}

impl Cited {
    /// 《中华人民共和国刑法》第一百三十三条之一第一款, with Arabic numerals in the article.
    pub fn label(&self) -> String {
        let inserted = if self.inserted > 0 { format!("之{}", self.inserted) } else { String::new() };
        format!("《{}》第{}条{inserted}{}", self.law, self.article, self.detail)
    }

    /// The same article, whatever its paragraphs.
    pub fn same_article(&self, other: &Self) -> bool {
        self.law == other.law && self.article == other.article && self.inserted == other.inserted
    }
}

static CITATION: LazyLock<Regex> = LazyLock::new(|| {
    // A law in its marks, the same law by reference, or an article with its parts.
    let digits = "[零一二三四五六七八九十百千两0-9]+";
    let pattern = format!(
        "《(?P<law>[^《》]{{2,60}})》|(?P<same>同法|该法|本法|上述法律)|第?(?P<article>{digits})条(?:之(?P<inserted>[一二三四五六七八九十]+))?(?P<detail>(?:第?(?:{digits})(?:[、和及,](?:第?{digits}))*款|第?\\(?(?:{digits})\\)?(?:[、和及,](?:第?\\(?{digits}\\)?))*项|[、和及,]?第(?:{digits})款|\\({digits}\\)项)*)|第(?P<bare>[零一二三四五六七八九十百千]{{2,}})(?P<bare_detail>第{digits}款)"
    );
    regex(&pattern)
});

/// Compiles a pattern of this crate; they are constants, tried by the tests.
#[expect(clippy::expect_used, reason = "the pattern is a constant that every test compiles")]
pub(super) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// Full names for the short ones that texts use.
fn full_name(name: &str) -> String {
    let name = name.trim_matches(|c: char| c == '(' || c == ')');
    let short = [
        "刑法",
        "刑事诉讼法",
        "民法典",
        "民事诉讼法",
        "行政诉讼法",
        "行政处罚法",
        "行政强制法",
        "行政复议法",
        "合同法",
        "婚姻法",
        "劳动合同法",
        "劳动法",
        "侵权责任法",
        "物权法",
        "道路交通安全法",
        "公司法",
        "担保法",
        "继承法",
        "民法通则",
        "民法总则",
        "治安管理处罚法",
        "政府信息公开条例",
    ];
    if short.contains(&name) { format!("中华人民共和国{name}") } else { name.to_string() }
}

/// Names in marks that are no laws: judgments, contracts, notices of the case itself.
fn is_law(name: &str) -> bool {
    let ends = [
        "法",
        "典",
        "法典",
        "通则",
        "总则",
        "条例",
        "规定",
        "办法",
        "解释",
        "细则",
        "决定",
        "意见",
        "批复",
        "规则",
        "准则",
        "公约",
        "修正案",
        "纪要",
        "标准",
        "规范",
        "解答",
        "通知",
        "指引",
        "安排",
        "条约",
        "议定书",
        "补充规定",
    ];
    let name = name.split('(').next().unwrap_or(name);
    ends.iter().any(|end| name.ends_with(end))
        || name.contains("若干问题")
        || (name.contains("中华人民共和国") && !name.ends_with('书'))
}

/// Articles cited in a part of the text, in order, each once.
pub(super) fn cited(page: &Page, part: Range<usize>) -> Vec<Cited> {
    let mut law: Option<String> = None;
    let mut out: Vec<Cited> = Vec::new();
    for found in CITATION.captures_iter(&page.text[part.clone()]) {
        if let Some(name) = found.name("law") {
            law = is_law(name.as_str()).then(|| full_name(name.as_str()));
            continue;
        }
        let (Some(law), Some(whole)) = (&law, found.get(0)) else { continue };
        let Some(article) = found.name("article").or_else(|| found.name("bare")) else { continue };
        let Some(value) = number(article.as_str()).filter(|n| (1..3_000).contains(n)) else { continue };
        let entry = Cited {
            law: law.clone(),
            article: value,
            inserted: found.name("inserted").and_then(|n| number(n.as_str())).unwrap_or(0),
            detail: found
                .name("detail")
                .or_else(|| found.name("bare_detail"))
                .map_or_else(String::new, |d| d.as_str().into()),
            place: page.source(part.start + whole.start()..part.start + whole.end()),
        };
        if !out.iter().any(|c| c.same_article(&entry) && c.detail == entry.detail) {
            out.push(entry);
        }
    }
    out
}
