//! Every quoted fragment is found, and nothing else: hits against substrings of normalised texts.

use crate::city::{City, Dice, everyone, judgment, request, row, text};
use std::collections::BTreeSet;
use zonglan_catalog::search::SearchRequest;
use zonglan_search::analyze::normalise;

/// A query for just these characters, in quotes that they do not hold themselves.
pub fn quoted(fragment: &str) -> String {
    if !fragment.contains('」') {
        format!("「{fragment}」")
    } else {
        format!("\"{}\"", fragment.replace('"', "\"\""))
    }
}

/// Compares the hits of random fragments with the texts that hold them; returns their number.
pub fn check(city: &City, texts: &[(String, String)], dice: &mut Dice, fragments: usize, longest: usize) -> usize {
    let normal: Vec<(&str, String)> =
        texts.iter().map(|(id, t)| (id.as_str(), normalise(t).into_iter().collect())).collect();
    let chars: Vec<Vec<char>> = texts.iter().map(|(_, t)| t.chars().collect()).collect();
    let mut relevant = 0;
    for _ in 0..fragments {
        let source = dice.pick(&chars);
        let length = 1 + dice.below(longest);
        let start = dice.below(source.len().saturating_sub(length).max(1));
        let fragment: String = source[start..(start + length).min(source.len())].iter().collect();
        relevant += check_one(city, &normal, &fragment);
    }
    relevant
}

/// Compares the hits of one fragment with the normalised texts that hold it; returns their number.
pub fn check_one(city: &City, normal: &[(&str, String)], fragment: &str) -> usize {
    let sought: String = normalise(fragment).into_iter().collect();
    let truth: BTreeSet<&str> = normal.iter().filter(|(_, t)| t.contains(&sought)).map(|(id, _)| *id).collect();
    let first = city.ask(&everyone(), &request(&quoted(fragment)));
    let mut list = first.hits;
    while list.len() < first.total as usize {
        let request = SearchRequest { offset: list.len(), ..request(&quoted(fragment)) };
        let page = city.ask(&everyone(), &request);
        assert!(!page.hits.is_empty(), "{fragment:?}: {} of {}", list.len(), first.total);
        list.extend(page.hits);
    }
    let hits: BTreeSet<&str> = list.iter().map(|h| h.id.as_str()).collect();
    assert_eq!(hits, truth, "fragment {fragment:?}");
    assert_eq!(first.total as usize, truth.len());
    for hit in &list {
        let marked = hit.highlights.iter().flat_map(|p| {
            let chars: Vec<char> = p.text.chars().collect();
            p.marks
                .iter()
                .map(move |(f, t)| normalise(&chars[*f..*t].iter().collect::<String>()).into_iter().collect::<String>())
        });
        assert!(marked.clone().count() > 0, "{fragment:?} is not marked in {}", hit.id);
        assert!(marked.into_iter().any(|m| m.contains(&sought)), "{fragment:?}");
    }
    truth.len()
}

#[test]
fn random_fragments_of_generated_texts() {
    let mut dice = Dice(7);
    let texts: Vec<(String, String)> = (0..300)
        .map(|i| {
            (format!("j{i}"), {
                let words = 40 + dice.below(160);
                judgment(&mut dice, words)
            })
        })
        .collect();
    let city = City::new();
    // In several commits, so that there are several segments.
    for part in texts.chunks(70) {
        let rows: Vec<_> = part.iter().map(|(id, t)| row(id, &[("text", text(t))])).collect();
        city.put("judgment", &rows, None);
    }
    let relevant = check(&city, &texts, &mut dice, 2_000, 8);
    assert!(relevant > 2_000);
    check(&city, &texts, &mut dice, 200, 60);
}

#[test]
fn case_numbers_are_found_in_any_brackets_whole_and_in_part() {
    let city = City::new();
    city.put(
        "judgment",
        &[
            row("a", &[("text", text("案号（2017）沪0120刑初684号，结案"))]),
            row("b", &[("text", text("案号〔2017〕沪0120刑初685号，结案"))]),
            row("c", &[("case_number", text("(2019)鲁1428刑初153号"))]),
        ],
        None,
    );
    for query in [
        "(2017)沪0120刑初684号",
        "（2017）沪0120刑初684号",
        "〔2017〕沪0120刑初684号",
        "[2017]沪０１２０刑初684号",
        "［2017］沪0120刑初684号",
        "刑初684号",
    ] {
        assert_eq!(city.ids(query), ["a"], "{query}");
        assert_eq!(city.ids(&format!("“{query}”")), ["a"], "{query}");
    }
    assert_eq!(city.ids("\"1428刑初\""), ["c"]);
    assert_eq!(city.ids("(2019)鲁1428刑初153号"), ["c"]);
    assert_eq!(city.ids("\"沪0120刑初68\"").len(), 2);
}

#[test]
fn phrases_do_not_cross_fields_nor_reorder() {
    let city = City::new();
    city.put(
        "judgment",
        &[
            row("a", &[("text", text("逃逸之后事逃不掉又肇事"))]),
            row("b", &[("text", text("肇事逃逸"))]),
            row("c", &[("case_number", text("肇事")), ("text", text("逃逸"))]),
            row("d", &[("text", text("哈哈哈"))]),
        ],
        None,
    );
    assert_eq!(city.ids("\"肇事逃逸\""), ["b"]);
    assert_eq!(city.ids("\"哈哈哈\""), ["d"]);
    assert!(city.ids("\"哈哈哈哈\"").is_empty());
    assert_eq!(city.ids("\"逃逸\"").len(), 3);
    assert_eq!(city.ids("\"逃逸\" -之后").len(), 2);
}
