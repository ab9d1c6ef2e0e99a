//! Case numbers in any bracket, of courts, procuratorates and police.

use super::page::Page;
use super::statutes::regex;
use regex::Regex;
use serde::Serialize;
use std::ops::Range;
use std::sync::LazyLock;

/// Who gave a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agency {
    Court,
    Procuratorate,
    Police,
    Other,
}

/// A number that names a case or a document of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Number {
    /// With full-width brackets and narrow digits: （2017）沪0120刑初684号.
    pub text: String,
    pub agency: Agency,
    /// `[start, end)` in characters of the text.
    pub place: (usize, usize),
    #[serde(skip)]
    pub(super) at: (usize, usize),
}

// A scanner reads 0 as O and 1 as l; in a year there are no letters.
static DATED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?P<head>[\p{Han}]{0,10})\((?P<year>[0-9零一二三四五六七八九OoDlI]{4})年?\)(?P<rest>[\p{Han}0-9OoIl·]{0,22}?(?:第)?(?:[0-9OoIl]{1,7}|[零一二三四五六七八九十百千]{1,7})(?:-[0-9]{1,3})?号(?:之[零一二三四五六七八九十0-9]{1,2}|-[0-9]{1,2})?)",
    )
});
static UNDATED: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?P<rest>[\p{Han}]{1,4}(?:刑|民|行|商|知|执|经)[一二三四五]?(?:初|终|再|抗|申|监|执)?字?第[0-9]{1,6}号)")
});

/// Narrow digits for what a scanner may have read.
fn digits(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_digit = |c: Option<&char>| c.is_some_and(|c| c.is_ascii_digit());
    chars
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let beside = i.checked_sub(1).is_some_and(|p| is_digit(chars.get(p))) || is_digit(chars.get(i + 1));
            match c {
                'O' | 'o' | 'D' if beside => '0',
                'l' | 'I' if beside => '1',
                c => *c,
            }
        })
        .collect()
}

fn year(text: &str) -> Option<String> {
    let fixed: String = text
        .chars()
        .map(|c| match c {
            'O' | 'o' | 'D' => '0',
            'l' | 'I' => '1',
            c => c,
        })
        .collect();
    let value = super::page::number(&fixed).filter(|y| (1949..2100).contains(y))?;
    Some(value.to_string())
}

fn agency(text: &str) -> Agency {
    let court = [
        "刑初", "刑终", "民初", "民终", "行初", "行终", "执", "刑再", "民再", "民申", "行申", "刑申", "民监", "刑更",
        "刑核", "赔", "破", "民特", "民催", "刑他", "知民", "商初", "商终", "行审", "民辖", "刑辖", "保令", "财保",
        "认",
    ];
    if text.contains('检')
        || text.contains("诉刑")
        || text.contains("公诉")
        || text.contains("刑诉")
        || text.contains("刑不诉")
    {
        Agency::Procuratorate
    } else if text.contains('公') && !text.contains("公示")
        || text.contains("拘")
        || text.contains("立字")
        || text.contains("捕")
    {
        Agency::Police
    } else if court.iter().any(|w| text.contains(w))
        || text.contains("字第") && ['刑', '民', '行', '商', '知', '经'].iter().any(|w| text.contains(*w))
        || ['刑', '民', '行'].iter().any(|w| text.contains(*w))
    {
        Agency::Court
    } else {
        Agency::Other
    }
}

/// Every number of a part, in order. Those of courts carry no letters before the bracket.
pub(super) fn numbers(page: &Page, part: Range<usize>) -> Vec<Number> {
    let mut out: Vec<Number> = Vec::new();
    let text = &page.text[part.clone()];
    for found in DATED.captures_iter(text) {
        let (Some(head), Some(y), Some(rest)) = (found.name("head"), found.name("year"), found.name("rest")) else {
            continue;
        };
        let Some(year) = year(y.as_str()) else { continue };
        let rest_text = digits(rest.as_str());
        // Procuratorates write their name before the year: 沪奉检诉刑诉［2017］700号.
        let head_text = head.as_str();
        let own = if rest_text.starts_with(|c: char| c.is_ascii_digit() || c == '第') {
            let cut = head_text
                .rfind(['以', '的', '作', '据', '由', '了', '出', '第', '为'])
                .map_or(0, |at| at + head_text[at..].chars().next().map_or(0, char::len_utf8));
            &head_text[cut..]
        } else {
            ""
        };
        let whole = format!("{own}（{year}）{rest_text}");
        let start = part.start + head.end() - own.len();
        let end = part.start + rest.end();
        out.push(Number { agency: agency(&whole), text: whole, place: page.source(start..end), at: (start, end) });
    }
    out
}

/// A court's number without a year, as some copies print it: 格刑初字第117号.
pub(super) fn undated(page: &Page, part: Range<usize>) -> Option<Number> {
    let found = UNDATED.captures(&page.text[part.clone()])?.name("rest")?;
    let (start, end) = (part.start + found.start(), part.start + found.end());
    Some(Number {
        text: found.as_str().to_string(),
        agency: Agency::Court,
        place: page.source(start..end),
        at: (start, end),
    })
}

/// One spelling for a case number, whatever its brackets, width and spaces: what a batch check
/// compares. `(2017)沪0120刑初684号` and `〔２０１７〕沪0120刑初 684 号` give the same.
pub fn canonical(text: &str) -> String {
    let page = Page::new(&text.split_whitespace().collect::<String>());
    match numbers(&page, 0..page.text.len()).into_iter().next() {
        Some(number) => number.text,
        None => page.text.replace('(', "（").replace(')', "）"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_width_do_not_matter() {
        let want = "（2017）沪0120刑初684号";
        for text in [
            "(2017)沪0120刑初684号",
            "〔２０１７〕沪0120刑初684号",
            "［2017］沪 0120 刑初684号",
            "[2017]沪0120刑初684号",
            "（2O17）沪0120刑初684号",
            "【2017】沪0120刑初684号",
            "（二〇一七）沪0120刑初684号",
        ] {
            assert_eq!(canonical(text), want, "{text}");
        }
        assert_eq!(canonical("(2016)黑0882刑初字33号"), "（2016）黑0882刑初字33号");
        assert_eq!(canonical("不是案号"), "不是案号");
    }

    #[test]
    fn numbers_of_procuratorates_are_theirs() {
        let page =
            Page::new("上海市奉贤区人民检察院以沪奉检诉刑诉［2017］700号起诉书指控。原审(2015)长民一(民)初字第1号。");
        let found = numbers(&page, 0..page.text.len());
        assert_eq!(found[0].text, "沪奉检诉刑诉（2017）700号");
        assert_eq!(found[0].agency, Agency::Procuratorate);
    }
}
