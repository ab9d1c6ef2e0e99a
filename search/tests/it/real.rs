//! Real judgments, where the folder of shared files is at hand (`ZONGLAN_SHARED`).

use crate::city::{City, Dice, row, text};
use crate::fragments::check;
use flate2::read::GzDecoder;
use std::io::{BufRead, BufReader};
use std::path::Path;

#[test]
fn fragments_of_real_judgments() {
    let Ok(shared) = std::env::var("ZONGLAN_SHARED") else {
        println!("skipped: ZONGLAN_SHARED is not set");
        return;
    };
    let path = Path::new(&shared).join("data/judgments/judge.jsonl.gz");
    let file = std::fs::File::open(&path).expect("the file of judgments opens");
    let texts: Vec<(String, String)> = BufReader::new(GzDecoder::new(file))
        .lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(&line.expect("reads")).expect("is JSON");
            let field = |name: &str| json[name].as_str().unwrap_or_default().to_string();
            (field("id"), format!("{}\n{}", field("judgment"), field("fact")))
        })
        .collect();
    assert_eq!(texts.len(), 501);
    let city = City::new();
    let rows: Vec<_> = texts.iter().map(|(id, t)| row(id, &[("text", text(t))])).collect();
    city.put("judgment", &rows, None);
    let relevant = check(&city, &texts, &mut Dice(1), 2_000, 8);
    println!("2000 fragments of 501 judgments, {relevant} relevant texts: recall and precision 1.000");
}
