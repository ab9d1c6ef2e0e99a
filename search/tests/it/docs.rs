//! The examples of `docs/search.md` are read without a complaint and answered.

use crate::city::{City, everyone, row, text};
use zonglan_catalog::Catalogue;
use zonglan_catalog::search::SearchRequest;
use zonglan_catalog::traits::SearchIndex;

const DOCS: &str = include_str!("../../../docs/search.md");

#[test]
fn examples_are_read_as_written() {
    let city = City::new();
    city.put("judgment", &[row("a", &[("text", text("盗窃电动车"))])], None);
    let catalogue = Catalogue::builtin().expect("the packs are valid");
    let dataset = catalogue.dataset("judgment").expect("is there");
    let mut examples = 0;
    for block in DOCS.split("```query\n").skip(1) {
        for example in block.split("```").next().unwrap_or_default().lines() {
            let parsed = city.indexes.parse_query(dataset, example);
            assert!(parsed.problems.is_empty() && !parsed.chips.is_empty(), "{example}: {parsed:?}");
            let joined: Vec<&str> = parsed.chips.iter().map(|c| c.text.as_str()).collect();
            assert_eq!(city.indexes.parse_query(dataset, &joined.join(" ")).chips, parsed.chips, "{example}");
            // Field names differ in the catalogue of the tests; what has none is asked there.
            let asks_field = parsed.chips.iter().any(|c| c.kind == "field");
            let request =
                SearchRequest { dataset: "judgment".into(), query: example.into(), strict: true, ..Default::default() };
            if !asks_field {
                city.ask(&everyone(), &request);
            }
            examples += 1;
        }
    }
    assert!(examples >= 25, "{examples}");
}
